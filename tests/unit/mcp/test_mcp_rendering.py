"""Whatever a flow returns, clients of every revision get a result that their schema takes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.status import ErrorClass
from asya_crds.task_error import TaskError
from asya_gateway.protocols.mcp.rendering import business_text
from asya_gateway.protocols.mcp.tool_results import Returned, made_elsewhere
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


@pytest.mark.parametrize("revision", list(Revision))
@given(value=results | anything)
def test_any_value_becomes_a_result_of_the_revision(revision: Revision, value: Any) -> None:
    text = Returned(jsontext.dumps(value), revision).result("t").text(revision)
    assert made_elsewhere("t", jsontext.dumps(value), revision.value, None) == text
    result = jsontext.loads(text)
    conforms(result, "CallToolResult", str(revision))
    assert result["content"]


@pytest.mark.parametrize("revision", list(Revision))
@given(value=results | anything)
def test_the_other_process_holds_a_result_against_its_schema_as_this_one_does(revision: Revision, value: Any) -> None:
    schema = {"type": "object", "required": ["more"]}
    returned = Returned(jsontext.dumps(value), revision)
    promised = returned.promised()
    kept = promised is None or (isinstance(promised[0], dict) and "more" in promised[0])
    made = jsontext.loads(made_elsewhere("t", jsontext.dumps(value), revision.value, schema))
    conforms(made, "CallToolResult", str(revision))
    if kept:
        assert made == jsontext.loads(returned.result("t").text(revision))
    else:
        assert made["isError"] is True
        assert "does not match the tool's output schema" in made["content"][0]["text"]


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
