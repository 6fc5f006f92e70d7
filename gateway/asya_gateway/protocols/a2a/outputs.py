"""From a task to what its caller sees: state, artifacts, and what the agent says."""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.large_json import has_few_values
from asya_crds.naming import A2A_NOT_PARTS
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.task import JsonText, TaskHead
from asya_gateway.protocols.a2a.dialects.v1_0 import read_part
from asya_gateway.protocols.a2a.errors import A2aError
from asya_gateway.protocols.a2a.model import Artifact, Message, Part, PartKind, Role, State, Status, Verbatim
from asya_gateway.protocols.a2a.payloads import OURS

RESULT = "result"
"""The id of the artifact that is a task's result. Its live events are chunks of the same artifact."""
REJECTED = "rejected"
"""The code of a business failure by which an actor rejects a task."""

STATES = {
    TaskStatus.PENDING: State.SUBMITTED,
    TaskStatus.RUNNING: State.WORKING,
    TaskStatus.PAUSED: State.INPUT_REQUIRED,
    TaskStatus.AUTH_REQUIRED: State.AUTH_REQUIRED,
    TaskStatus.SUCCEEDED: State.COMPLETED,
    TaskStatus.FAILED: State.FAILED,
    TaskStatus.CANCELED: State.CANCELED,
}


def state_of(status: TaskStatus, error: TaskError | None) -> State:
    """A task's state. A status of a newer version counts as working."""
    if status is TaskStatus.FAILED and error is not None and is_rejection(error):
        return State.REJECTED
    return STATES.get(status, State.WORKING)


def is_rejection(error: TaskError) -> bool:
    """Whether an actor has refused the work: a business failure with the code `rejected`, or with an exception of a
    class `Rejected`."""
    if error.error_class is not ErrorClass.BUSINESS:
        return False
    details = error.details if isinstance(error.details, Mapping) else {}
    names = [details.get("type"), *_listed(details.get("mro"))]
    classes = {name.rpartition(".")[2] for name in names if isinstance(name, str)}
    return error.code == REJECTED or details.get("code") == REJECTED or "Rejected" in classes


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def status_of(task: TaskHead, context_id: str) -> Status:
    """The state of a task with what the agent says about it: its question, or why the task has failed."""
    return Status(state_of(task.status, task.error), task.status_at or task.updated_at, _said_about(task, context_id))


def _said_about(task: TaskHead, context_id: str) -> Message | None:
    if task.status.waiting and task.pause is not None:
        return question(task.id, context_id, task.pause)
    if task.status in (TaskStatus.FAILED, TaskStatus.CANCELED) and (task.error or task.message):
        text = task.error.told if task.error is not None else task.message
        return spoken(task.id, context_id, f"{task.id}-end", text or "")
    return None


def spoken(task_id: str, context_id: str, message_id: str, text: str) -> Message:
    """A text of the agent."""
    return Message(message_id, Role.AGENT, (Part(PartKind.TEXT, text),), context_id, task_id)


def question(task_id: str, context_id: str, pause: Pause) -> Message:
    """A pause's prompt, and its schema for programs that fill it in."""
    asked: dict[str, Any] = {"pauseId": pause.id, "prompt": pause.prompt, "schema": pause.schema}
    if pause.inputs:
        asked["inputs"] = {each.key: {"method": each.method.value, "params": each.params} for each in pause.open}
    if pause.data is not None:
        asked["data"] = pause.data
    if pause.url is not None:
        asked["url"] = pause.url
    parts = (Part(PartKind.TEXT, pause.prompt or "Input is required"), Part(PartKind.DATA, asked))
    return Message(f"{task_id}-{pause.id}", Role.AGENT, parts, context_id, task_id)


def result_artifact(result: JsonText | None) -> Artifact:
    """The artifact of a task that has succeeded. An actor may return parts of A2A itself: an object with `parts`, and
    with `name`, `description`, `metadata` and `reply` (direct.py) if it likes. A text is a part of text, any other
    value a part of data, whose JSON is not decoded. Parts that are wrong are data, and the artifact says why."""
    text = "null" if result is None else result.strip()
    made = _returned(text)
    if made is not None:
        return made
    if text.startswith('"'):
        return Artifact(RESULT, (Part(PartKind.TEXT, jsontext.loads(text)),))
    return Artifact(RESULT, (Part(PartKind.DATA, Verbatim(text)),))


MEMBERS = frozenset({"parts", "name", "description", "metadata", "reply", OURS})


LOOKS = frozenset({"text", "raw", "url", "data", "file", "kind", "mediaType", "media_type"})
"""Members by which something looks like a part, in whatever version. Other lists called `parts` are ordinary data."""


def _returned(text: JsonText) -> Artifact | None:
    if not text.startswith("{") or not ('"parts"' in text or f'"{OURS}"' in text) or not has_few_values(text):
        return None
    value = jsontext.loads(text, max_depth=2 * jsontext.MAX_DEPTH)
    parts, problem = value.get("parts"), ""
    if MEMBERS.issuperset(value) and isinstance(parts, list) and parts:
        try:
            return _of_parts(value, tuple(read_part(part, f"parts[{index}]") for index, part in enumerate(parts)))
        except A2aError as error:
            problem = error.message if any(_looks_like_a_part(part) for part in parts) else ""
    # An actor may send on what it got, with the messages in it.
    rest = {key: item for key, item in value.items() if key != OURS}
    whole = len(rest) == len(value)
    if whole and not problem:
        return None
    told = {A2A_NOT_PARTS: problem} if problem else {}
    return Artifact(RESULT, (Part(PartKind.DATA, Verbatim(text) if whole else rest),), metadata=told)


def _of_parts(value: Mapping[str, Any], parts: tuple[Part, ...]) -> Artifact:
    metadata = value.get("metadata")
    return Artifact(
        RESULT,
        parts,
        name=_text(value.get("name")),
        description=_text(value.get("description")),
        metadata=metadata if isinstance(metadata, Mapping) else {},
        as_message=value.get("reply") == "message",
    )


def _looks_like_a_part(value: Any) -> bool:
    return isinstance(value, Mapping) and not LOOKS.isdisjoint(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
