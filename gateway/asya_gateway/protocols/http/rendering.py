"""Tasks and updates as JSON, with the member names of both dialects (docs/protocols/mesh.md).

Payloads and results are JSON text that is inserted unchanged. Decoding and encoding them again would cost time, and
faster codecs would round large integers and refuse lone surrogates.
"""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import Route, format_time
from asya_crds.status import TaskStatus
from asya_crds.task_json import TaskSummaryJson, UpdateJson
from asya_gateway.domain.identity.principals import Caller, Principal
from asya_gateway.domain.log import AnsweredEntry, FinalEntry, LogEntry, OtherEntry, PausedEntry, ProgressEntry
from asya_gateway.domain.task import JsonText, Task, TaskHead, TaskUpdate


def with_verbatim(fields: Mapping[str, Any], verbatim: dict[str, JsonText | None]) -> JsonText:
    """The JSON object of `fields`, followed by members whose values are already JSON text; None becomes null."""
    text = jsontext.dumps(fields)
    tail = ",".join(f'"{key}":{"null" if value is None else value}' for key, value in verbatim.items())
    if not tail:
        return text
    return f"{text[:-1]}{',' if fields else ''}{tail}}}"


def task_json(task: Task, reader: Caller | None = None) -> JsonText:
    """A task with its bodies: GET /mesh/{id}, GET /tasks/{id}."""
    fields = {**task_fields(task, reader), "retry_of": task.retry_of}
    return with_verbatim(fields, {"payload": task.payload, "result": task.result})


def task_fields(task: TaskHead, reader: Caller | None = None) -> TaskSummaryJson:
    """A task without its bodies, as in lists, with the member names of both dialects. A reader who is not its owner is
    told who is."""
    route = task.route
    fields: TaskSummaryJson = {
        "id": task.id,
        "parent_id": task.parent_id,
        "context_id": task.context_id,
        "flow": task.flow,
        "status": task.status.value,
        "message": task.message,
        "progress_percent": percent(task.progress),
        "route": route.as_dict(),
        "current_actor_name": current_actor(task),
        "current_actor_idx": current_index(route),
        "actors_completed": route.total if task.status is TaskStatus.SUCCEEDED else len(route.prev),
        "total_actors": route.total,
        "created_at": format_time(task.created_at),
        "updated_at": format_time(task.updated_at),
        "finished_at": None if task.finished_at is None else format_time(task.finished_at),
        "deadline_at": None if task.deadline_at is None else format_time(task.deadline_at),
        "error": None if task.error is None else task.error.as_dict(),
        "pause": None if task.pause is None else task.pause.as_dict(),
    }
    if isinstance(reader, Principal) and reader.owner != task.owner:
        fields["owner"] = task.owner
    return fields


def update_json(update: TaskUpdate) -> JsonText:
    """The data of an `update` event: the API document's fields, then those of the older dialect."""
    entry = update.entry
    fields: UpdateJson = {
        "id": update.task_id,
        "status": update.status.value,
        "progress_percent": percent(update.progress),
        "timestamp": format_time(update.at),
    }
    if entry.message is not None:
        fields["message"] = entry.message
    _say(entry, fields)
    document = {**entry.more, **fields} if isinstance(entry, OtherEntry) else fields
    return with_verbatim(document, {} if update.result is None else {"result": update.result})


def _say(entry: LogEntry, fields: UpdateJson) -> None:
    """Add the members specific to the entry's kind."""
    match entry:
        case PausedEntry():
            _say_where(entry, fields)
            if entry.pause is not None:
                fields["pause"] = entry.pause.as_dict()
        case ProgressEntry():
            _say_where(entry, fields)
            if entry.duration_ms is not None:
                fields["duration_ms"] = entry.duration_ms
            if entry.message_size_kb is not None:
                fields["message_size_kb"] = entry.message_size_kb
        case AnsweredEntry():
            fields.update({name: word for name, word in _words(entry).items() if isinstance(word, str)})  # type: ignore[typeddict-item] # names of UpdateJson
        case FinalEntry() if entry.error is not None:
            fields["error"] = entry.error.as_dict()
        case _:
            pass


def _words(entry: AnsweredEntry) -> dict[str, Any]:
    return {"pause_id": entry.pause_id, "key": entry.key, "action": entry.action}


def _say_where(entry: ProgressEntry, fields: UpdateJson) -> None:
    if (route := entry.route) is not None:
        shown = route.as_dict()
        fields["prev"], fields["curr"], fields["next"] = shown["prev"], shown["curr"], shown["next"]
        fields["actor"] = route.curr or (route.prev[-1] if route.prev else None)
        fields["actors"] = [*route.prev, *([route.curr] if route.curr else []), *route.next]
        fields["current_actor_idx"] = current_index(route)
    if entry.state is not None:
        fields["task_state"] = fields["actor_state"] = entry.state


def percent(progress: float) -> float:
    """Progress with one decimal digit, as in the API document."""
    return round(progress, 1)


def current_index(route: Route) -> int:
    """The older dialect's index of the current actor; past the end, that of the last actor."""
    return min(len(route.prev), route.total - 1)


def current_actor(task: TaskHead) -> str | None:
    """The actor that has the task; past the end, the last one that had it."""
    return task.route.curr or (task.route.prev[-1] if task.route.prev else task.actor)
