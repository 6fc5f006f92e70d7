"""The requests of the REST task API, and its responses other than tasks (docs/protocols/rest.md).

Bodies are closed: an unknown member is refused. Otherwise a misspelled member would be ignored without notice.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, PlainValidator, WithJsonSchema, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from asya_crds.answers import GIVEN, AnswerAction
from asya_crds.message_fields import Id, Object, Text


def _tool_name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected the name of a tool")
    return value


def _given(value: Any) -> AnswerAction:
    if isinstance(value, str) and value in GIVEN:
        return AnswerAction(value)
    raise ValueError(f"expected one of {', '.join(GIVEN)}")


_CLOSED = ConfigDict(extra="forbid")
_TOOL_SCHEMA = {"type": "string", "minLength": 1, "description": "A flow with an `mcp` block."}
ToolName = Annotated[str, PlainValidator(_tool_name), WithJsonSchema(_TOOL_SCHEMA)]
Given = Annotated[AnswerAction, PlainValidator(_given), WithJsonSchema({"enum": [each.value for each in GIVEN]})]


@with_config(_CLOSED)
class CallJson(TypedDict):
    """POST /tools/call; `arguments` are checked against the flow's inputSchema."""

    name: ToolName
    arguments: NotRequired[Object | None]


_DECLINES: JsonDict = {"enum": [AnswerAction.DECLINE.value, AnswerAction.CANCEL.value]}
_SAYS_SOMETHING: JsonDict = {
    "anyOf": [{"required": ["answer"]}, {"required": ["action"]}],
    "if": {"properties": {"action": _DECLINES}, "required": ["action"]},
    "then": {"properties": {"answer": {"type": "null"}}},
}


@with_config(ConfigDict(extra="forbid", json_schema_extra=_SAYS_SOMETHING))
class AnswerJson(TypedDict):
    """POST /tasks/{id}/resume: `answer` is checked against the schema of the input; a decline has none. Without `key`,
    it is for the only open input. With `pause_id`, it is rejected if another pause is open."""

    answer: NotRequired[Any]
    key: NotRequired[Id | None]
    action: NotRequired[Given]
    pause_id: NotRequired[Id | None]


@with_config(_CLOSED)
class CancelJson(TypedDict):
    """POST /tasks/{id}/cancel."""

    reason: NotRequired[Text | None]


@with_config(_CLOSED)
class RetryJson(TypedDict):
    """POST /tasks/{id}/retry: a `payload` replaces the task's own and is checked against the flow's schema."""

    payload: NotRequired[Any]


class HandleJson(TypedDict):
    """The text of the answer to a call: the task's id, and where to read and stream it."""

    task_id: str
    message: str
    status_url: str
    stream_url: str


class TextContentJson(TypedDict):
    """One text of a CallToolResult."""

    type: Literal["text"]
    text: str


class CallResultJson(TypedDict):
    """An MCP CallToolResult; its text is the JSON {task_id, message, status_url, stream_url}."""

    content: list[TextContentJson]
    isError: bool


class ViolationJson(TypedDict):
    """A place where a value breaks its schema."""

    path: str
    message: str


class RefusalJson(TypedDict):
    """Why a request was refused. With a 503, `outcome` says whether a write may have been done. `data` is for programs:
    with a 403 `required_scopes` and `user_scopes`."""

    code: str
    message: str
    field: NotRequired[str]
    outcome: NotRequired[Literal["not_done", "unknown"]]
    violations: NotRequired[list[ViolationJson]]
    data: NotRequired[dict[str, Any]]


class ErrorJson(TypedDict):
    """The body of every error response in JSON."""

    error: RefusalJson
