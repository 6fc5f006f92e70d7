"""A task as callers see it: what the gateway writes, what the command line reads, what /openapi.json describes.

These are dictionaries with a type, so that one that is written costs nothing beyond itself; mypy holds both ends to the
names. Who reads one may meet a word that it does not know, of a newer gateway.
"""

from typing import Annotated, Any, NotRequired

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from asya_crds.status import ErrorClass, TaskStatus

STATUS_SCHEMA = {"enum": [status.value for status in TaskStatus]}

StatusWord = Annotated[str, WithJsonSchema(STATUS_SCHEMA)]
ClassWord = Annotated[str, WithJsonSchema({"enum": [each.value for each in ErrorClass]})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
OptionalTime = Annotated[str | None, WithJsonSchema({"type": ["string", "null"], "format": "date-time"})]
OptionalText = Annotated[str | None, WithJsonSchema({"type": ["string", "null"]})]
PercentDone = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]


class RouteJson(TypedDict):
    """Where a task was, is and goes: `curr` is the actor that has it, "" past the last one."""

    prev: list[str]
    curr: str
    next: list[str]


# `class` is no name in Python.
TaskErrorJson = TypedDict(
    "TaskErrorJson",
    {
        "code": str,
        "message": str,
        "class": ClassWord,
        "actor": NotRequired[str],
        "attempts": NotRequired[int],
        "details": NotRequired[Any],
    },
)
TaskErrorJson.__doc__ = "Why a task did not succeed, without what is unknown."


class PauseJson(TypedDict):
    """What a task waits for: `schema` is the answer's JSON Schema, `fields` what the actor asked,
    [{name, type, prompt?, payload_key?, required?, default?, options?}]."""

    id: str
    prompt: str
    schema: dict[str, Any]
    fields: list[dict[str, Any]]
    data: NotRequired[Any]


class TaskSummaryJson(TypedDict):
    """A task without its payload and result, as lists show it; the names of both dialects stand side by side."""

    id: str
    parent_id: OptionalText
    context_id: OptionalText
    flow: str
    status: StatusWord
    message: OptionalText
    progress_percent: PercentDone
    route: RouteJson
    current_actor_name: OptionalText
    current_actor_idx: int
    actors_completed: int
    total_actors: int
    created_at: Time
    updated_at: Time
    finished_at: OptionalTime
    deadline_at: OptionalTime
    error: TaskErrorJson | None
    pause: PauseJson | None


class TaskJson(TaskSummaryJson):
    """A task with its payload and result, any JSON values, unchanged."""

    payload: Any
    result: Any
    retry_of: OptionalText


class UpdateJson(TypedDict):
    """The data of an `update` event: an entry of a task's log. The names of both dialects stand side by side; of a kind
    of entry that the gateway does not know its own members stand beside these."""

    id: str
    status: StatusWord
    progress_percent: PercentDone
    timestamp: Time
    message: NotRequired[str]
    prev: NotRequired[list[str]]
    curr: NotRequired[str]
    next: NotRequired[list[str]]
    actor: NotRequired[OptionalText]
    actors: NotRequired[list[str]]
    current_actor_idx: NotRequired[int]
    task_state: NotRequired[str]
    actor_state: NotRequired[str]
    duration_ms: NotRequired[float]
    message_size_kb: NotRequired[float]
    pause: NotRequired[PauseJson]
    error: NotRequired[TaskErrorJson]
    result: NotRequired[Any]


class TaskPageJson(TypedDict):
    """GET /tasks: a page, newest first; `next_cursor` is null on the last one alone, another may be short or empty."""

    tasks: list[TaskSummaryJson]
    next_cursor: OptionalText


class MessageListJson(TypedDict):
    """GET /api/v1/mesh: a page; `total` is what is known up to this page's end and one further."""

    messages: list[TaskSummaryJson]
    total: int
