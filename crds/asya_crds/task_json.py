"""A task as callers see it: written by the gateway, read by the command line, described in /openapi.json.

These are typed dictionaries, so that writing one costs nothing extra, while mypy checks the names at both ends. A
reader may meet values of a newer gateway that it does not know.
"""

from typing import Annotated, Any, NotRequired

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from asya_crds.answers import AnswerAction, InputMethod, OnDecline
from asya_crds.status import ErrorClass, TaskStatus

STATUS_SCHEMA = {"enum": [status.value for status in TaskStatus]}

StatusWord = Annotated[str, WithJsonSchema(STATUS_SCHEMA)]
ClassWord = Annotated[str, WithJsonSchema({"enum": [each.value for each in ErrorClass]})]
MethodWord = Annotated[str, WithJsonSchema({"enum": [each.value for each in InputMethod]})]
DeclinedWord = Annotated[str, WithJsonSchema({"enum": [each.value for each in OnDecline]})]
ActionWord = Annotated[str, WithJsonSchema({"enum": [each.value for each in AnswerAction]})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
OptionalTime = Annotated[str | None, WithJsonSchema({"type": ["string", "null"], "format": "date-time"})]
OptionalText = Annotated[str | None, WithJsonSchema({"type": ["string", "null"]})]
PercentDone = Annotated[float, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]


class RouteJson(TypedDict):
    """The past, present and future actors of a task. `curr` is the actor that has it, "" past the last one."""

    prev: list[str]
    curr: str
    next: list[str]


# `class` is not a valid name in Python.
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


class InputJson(TypedDict):
    """An input that waits for its answer: `params` are those of the method in MCP."""

    method: MethodWord
    params: dict[str, Any]
    payload_key: NotRequired[str]


class PauseJson(TypedDict):
    """The question that a task waits on: `schema` is the answer's JSON Schema, `fields` what the actor asked, [{name,
    type, prompt?, payload_key?, required?, default?, options?}]. `inputs` are the open ones by key, each of which is
    answered alone; `schema` is then that of all their answers. `url` is where the person answers or authorizes."""

    id: str
    prompt: str
    schema: dict[str, Any]
    fields: list[dict[str, Any]]
    data: NotRequired[Any]
    inputs: NotRequired[dict[str, InputJson]]
    url: NotRequired[str]
    on_decline: NotRequired[DeclinedWord]


class TaskSummaryJson(TypedDict):
    """A task without its payload and result, as in lists. It has the member names of both dialects. `owner` is there if
    the task belongs to somebody else than the caller who reads it."""

    id: str
    owner: NotRequired[str]
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
    """A task with its payload and result, which are any JSON values and unchanged."""

    payload: Any
    result: Any
    retry_of: OptionalText


class UpdateJson(TypedDict):
    """The data of an `update` event: an entry of a task's log. It has the member names of both dialects. An entry of a
    kind that the gateway does not know also has its own members."""

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
    pause_id: NotRequired[str]
    key: NotRequired[str]
    action: NotRequired[ActionWord]
    error: NotRequired[TaskErrorJson]
    result: NotRequired[Any]


class TaskPageJson(TypedDict):
    """GET /tasks: a page, newest first. `next_cursor` is null only on the last page; any other page may be short or
    empty."""

    tasks: list[TaskSummaryJson]
    next_cursor: OptionalText


class MessageListJson(TypedDict):
    """GET /api/v1/mesh: a page. `total` counts the tasks up to the end of this page, and one more if there are more."""

    messages: list[TaskSummaryJson]
    total: int
