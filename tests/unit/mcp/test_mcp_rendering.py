"""Whatever a flow returns, clients of every revision get a result that their schema takes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.flow import Flow
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.task import Task
from asya_gateway.protocols.mcp.rendering import waiting
from asya_gateway.protocols.mcp.tool_results import Returned, made_elsewhere
from asya_gateway.protocols.mcp.versions import Revision
from tests.support.mcp import conforms

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
words = st.sampled_from(
    ["type", "text", "data", "mimeType", "resource", "uri", "name", "blob", "annotations", "_meta", "title", "size"]
)
kinds: st.SearchStrategy[Any] = st.sampled_from(
    ["text", "image", "audio", "resource", "resource_link", "video", [], None, 7]
)
blocks = st.dictionaries(words, st.text() | kinds | st.integers() | st.dictionaries(words, st.text()), max_size=5)
results = st.dictionaries(
    st.sampled_from(["content", "structuredContent", "isError", "_meta", "more"]),
    st.lists(blocks | anything, max_size=3) | anything,
)


@pytest.mark.parametrize("revision", list(Revision))
@given(value=results | anything)
def test_any_value_becomes_a_result_of_the_revision(revision: Revision, value: Any) -> None:
    text = Returned(jsontext.dumps(value), revision).result("t").text(revision)
    result = jsontext.loads(text)
    made, failure = made_elsewhere("t", jsontext.dumps(value), revision.value, None, {})
    assert (made, failure is not None) == (text, result["isError"])
    conforms(result, "CallToolResult", str(revision))
    assert result["content"]


@pytest.mark.parametrize("revision", list(Revision))
@given(value=results | anything)
def test_the_other_process_holds_a_result_against_its_schema_as_this_one_does(revision: Revision, value: Any) -> None:
    schema = {"type": "object", "required": ["more"]}
    returned = Returned(jsontext.dumps(value), revision, promised=True)
    found = returned.structured_value()
    kept = found is None or (found != () and isinstance(found[0], dict) and "more" in found[0])
    made = jsontext.loads(made_elsewhere("t", jsontext.dumps(value), revision.value, schema, {})[0])
    conforms(made, "CallToolResult", str(revision))
    if kept:
        assert made == jsontext.loads(returned.result("t").text(revision))
    else:
        assert made["isError"] is True
        assert "does not match the tool's output schema" in made["content"][0]["text"]


@pytest.mark.parametrize("revision", list(Revision))
@pytest.mark.parametrize("text", ["null", '{"content":[{"type":"text","text":"t"}],"structuredContent":null}'])
def test_null_is_structured_where_the_schema_admits_it(revision: Revision, text: str) -> None:
    """2026-07-28, server/tools: structuredContent is any JSON value that conforms to the outputSchema."""
    made, failure = made_elsewhere("t", text, revision.value, {"type": ["object", "null"]}, {})
    result = jsontext.loads(made)
    conforms(result, "CallToolResult", str(revision))
    if revision.any_structured:
        assert failure is None
        assert result["structuredContent"] is None
    assert "structuredContent" in result or not revision.any_structured
    broken = jsontext.loads(made_elsewhere("t", text, revision.value, {"type": "object"}, {})[0])
    assert broken["isError"] is True
    assert "structuredContent" not in broken


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
    assert TaskError("processing_error", "'count'", ErrorClass.BUSINESS, details=details).told == text


def test_a_task_that_waits_for_an_authorization_invites_no_answer() -> None:
    """A model must not answer in the place of its person."""
    pause = Pause("p", "Connect your mail", {"type": "object"}, [], url="https://mail.example/authorize")
    now = datetime(2026, 7, 28, tzinfo=UTC)
    task = Task("t", TaskStatus.AUTH_REQUIRED, "mail", "", Route((), "first", ()), 1.0, 2, now, now, pause=pause)
    flow = Flow.model_validate({"name": "mail", "entrypoint": "first", "mcp": {}})
    for tools in (True, False):
        said = waiting(task, flow, Revision.JULY_2026, "", tools=tools).fields["content"][0]["text"]
        assert "https://mail.example/authorize" in said
        assert "task_answer" not in said
        assert "/resume" not in said
