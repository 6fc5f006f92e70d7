"""What callers of the plain task API send, and what it answers beside tasks (docs/protocols/rest.md).

A body is closed: a member that is not known is refused, since a misspelled one would change nothing, and its sender
would not hear of it.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, PlainValidator, WithJsonSchema, with_config
from typing_extensions import TypedDict

from asya_crds.message_fields import Id, Object, Text


def _tool_name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected the name of a tool")
    return value


_CLOSED = ConfigDict(extra="forbid")
_TOOL_SCHEMA = {"type": "string", "minLength": 1, "description": "A flow with an `mcp` block."}
ToolName = Annotated[str, PlainValidator(_tool_name), WithJsonSchema(_TOOL_SCHEMA)]


@with_config(_CLOSED)
class CallJson(TypedDict):
    """POST /tools/call; `arguments` are held against the flow's inputSchema."""

    name: ToolName
    arguments: NotRequired[Object | None]


@with_config(_CLOSED)
class AnswerJson(TypedDict):
    """POST /tasks/{id}/resume: `answer` is held against the pause's schema; with `pause_id` it is rejected if another
    pause is open."""

    answer: Any
    pause_id: NotRequired[Id | None]


@with_config(_CLOSED)
class CancelJson(TypedDict):
    """POST /tasks/{id}/cancel."""

    reason: NotRequired[Text | None]


@with_config(_CLOSED)
class RetryJson(TypedDict):
    """POST /tasks/{id}/retry: a `payload` replaces the task's, and is held against the flow's schema."""

    payload: NotRequired[Any]


class HandleJson(TypedDict):
    """What stands in the text of the answer to a call: the task's id, and where to read and stream it."""

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
    """Why a request was refused; `outcome` of a 503 says whether a write may have been done."""

    code: str
    message: str
    field: NotRequired[str]
    outcome: NotRequired[Literal["not_done", "unknown"]]
    violations: NotRequired[list[ViolationJson]]


class ErrorJson(TypedDict):
    """The body of every error, for a caller that speaks JSON."""

    error: RefusalJson
