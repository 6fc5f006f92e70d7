"""Whatever a flow returns, clients of every revision get a result that their schema takes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.status import ErrorClass, TaskError, TaskStatus
from asya_gateway.domain.task import Task
from asya_gateway.protocols.mcp.rendering import business_text, succeeded
from asya_gateway.protocols.mcp.versions import Revision
from tests.support.mcp import conforms

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
words = st.sampled_from(["type", "text", "data", "mimeType", "resource", "uri", "name", "blob"])
kinds: st.SearchStrategy[Any] = st.sampled_from(
    ["text", "image", "audio", "resource", "resource_link", "video", [], None, 7]
)
blocks = st.dictionaries(words, st.text() | kinds | st.dictionaries(words, st.text()), max_size=4)
results = st.dictionaries(
    st.sampled_from(["content", "structuredContent", "isError", "_meta", "more"]),
    st.lists(blocks | anything, max_size=3) | anything,
)


def task_with(result: Any) -> Task:
    now = datetime.now(UTC)
    text = jsontext.dumps(result)
    return Task("t", TaskStatus.SUCCEEDED, "f", "", Route((), "", ()), 100, 3, now, now, result=text)


@pytest.mark.parametrize("revision", list(Revision))
@given(value=results | anything)
def test_any_value_becomes_a_result_of_the_revision(revision: Revision, value: Any) -> None:
    result = jsontext.loads(succeeded(task_with(value), revision, None).text(revision))
    conforms(result, "CallToolResult", str(revision))
    assert result["content"]


@pytest.mark.parametrize(
    ("details", "text"),
    [
        (None, "'count'"),
        ({"type": "KeyError"}, "KeyError: 'count'"),
        ({"type": "shop.errors.NoStock"}, "NoStock: 'count'"),
        ({"type": 7}, "'count'"),
        ("KeyError", "'count'"),
    ],
)
def test_an_actors_error_says_its_kind_where_that_is_known(details: Any, text: str) -> None:
    assert business_text(TaskError("processing_error", "'count'", ErrorClass.BUSINESS, details=details)) == text
