"""The entries of a task's log: one type for each kind, encoded and decoded only here.

The column `detail` holds a JSON object. Unknown fields, written by a newer version, are kept in `more`. An entry of an
unknown kind, or one that cannot be read, becomes an OtherEntry. Neither makes a reader fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from asya_crds import jsontext
from asya_crds.envelope import InvalidEnvelope, Route
from asya_crds.status import UpdateKind
from asya_crds.task_error import TaskError
from asya_gateway.domain.pause import Pause

TASK_CREATED = "Task created"
TASK_RESUMED = "Task resumed"
PAUSED_HOP = "paused"
"""The state of a hop that paused, in the log. Sidecars do not report it as a separate state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """The fields of every kind."""

    message: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The stored form, without fields that are None."""
        found = dict(self.more)
        if self.message is not None:
            found["message"] = self.message
        found |= {key: value for key, value in _said(self).items() if value is not None}
        return found

    def to_json(self) -> str:
        """JSON text of the stored form."""
        return jsontext.dumps(self.as_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedEntry(LogEntry):
    """The task was accepted; a fan-out's child names its parent."""

    parent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEntry(LogEntry):
    """A report of one hop. `state` is a HopState, or a value of a newer version. `route` is None if the report had
    none."""

    route: Route | None = None
    state: str | None = None
    duration_ms: float | None = None
    message_size_kb: float | None = None

    @override
    def to_json(self) -> str:
        # The text of a route is known already, and to encode it again is most of what a report's entry costs.
        if self.route is None:
            return jsontext.dumps(self.as_dict())
        beside = {**self.more, "message": self.message, **_measures(self)}
        text = jsontext.dumps({key: value for key, value in beside.items() if value is not None})
        route = self.route.to_json()
        return route if text == "{}" else f"{route[:-1]},{text[1:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedEntry(ProgressEntry):
    """An actor asked a question, which is in `pause`."""

    pause: Pause | None = None

    @override
    def to_json(self) -> str:
        return jsontext.dumps(self.as_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredEntry(LogEntry):
    """An input was answered, declined or canceled, or its URL was opened, and the task still waits. `by` is the
    surface."""

    pause_id: str | None = None
    key: str | None = None
    action: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedEntry(LogEntry):
    """The question was answered; of several inputs, the last one."""

    pause_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalEntry(LogEntry):
    """The task ended. Its result is stored in a separate row."""

    error: TaskError | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEntry(LogEntry):
    """An entry written by a newer version. Everything except the message is in `more`."""


def waits_for_queue(actor: str, reason: str) -> ProgressEntry:
    """The entry of a task whose envelope cannot be sent because its queue is missing."""
    return ProgressEntry(message=f"Waiting for the queue of {actor}: {reason}")


def _said(entry: LogEntry) -> dict[str, Any]:
    match entry:
        case PausedEntry():
            return {**_said_of_hop(entry), "pause": None if entry.pause is None else entry.pause.as_dict()}
        case ProgressEntry():
            return _said_of_hop(entry)
        case FinalEntry():
            return {"error": None if entry.error is None else entry.error.as_dict(), "metadata": entry.metadata}
        case CreatedEntry():
            return {"parent_id": entry.parent_id}
        case AnsweredEntry():
            return {"pause_id": entry.pause_id, "key": entry.key, "action": entry.action, "by": entry.by}
        case ResumedEntry():
            return {"pause_id": entry.pause_id}
        case _:
            return {}


def _said_of_hop(entry: ProgressEntry) -> dict[str, Any]:
    return {**({} if entry.route is None else entry.route.as_dict()), **_measures(entry)}


def _measures(entry: ProgressEntry) -> dict[str, Any]:
    return {
        "task_state": entry.state,
        "duration_ms": entry.duration_ms,
        "message_size_kb": entry.message_size_kb,
    }


def read_entry(kind: UpdateKind, detail: Any) -> LogEntry:
    """The entry of a decoded detail; never raises."""
    said = dict(detail) if isinstance(detail, dict) else {}
    message = said.pop("message", None)
    common: dict[str, Any] = {"message": message if isinstance(message, str) else None, "more": said}
    try:
        match kind:
            case UpdateKind.CREATED:
                return CreatedEntry(parent_id=said.pop("parent_id", None), **common)
            case UpdateKind.PROGRESS:
                return ProgressEntry(**_hop(said), **common)
            case UpdateKind.PAUSED:
                question = said.pop("pause", None)
                pause = None if question is None else Pause.from_dict(question)
                return PausedEntry(pause=pause, **_hop(said), **common)
            case UpdateKind.ANSWERED:
                words = {name: said.pop(name, None) for name in ("pause_id", "key", "action", "by")}
                return AnsweredEntry(**words, **common)
            case UpdateKind.RESUMED:
                return ResumedEntry(pause_id=said.pop("pause_id", None), **common)
            case UpdateKind.FINAL:
                error = said.pop("error", None)
                read = None if error is None else TaskError.from_dict(error)
                return FinalEntry(error=read, metadata=said.pop("metadata", None), **common)
    except (InvalidEnvelope, AttributeError, LookupError, TypeError, ValueError):
        pass
    return OtherEntry(message=common["message"], more=_without_message(detail))


def _hop(said: dict[str, Any]) -> dict[str, Any]:
    route = Route.from_dict(said) if "curr" in said else None
    for key in ("prev", "curr", "next"):
        said.pop(key, None)
    measures = {key: said.pop(key, None) for key in ("duration_ms", "message_size_kb")}
    return {"route": route, "state": said.pop("task_state", None), **measures}


def _without_message(detail: Any) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if key != "message"} if isinstance(detail, dict) else {}
