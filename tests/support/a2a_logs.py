"""Logs of tasks, rendered as streams of A2A without a server."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.status import ErrorClass, TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_gateway.domain.log import CreatedEntry, FinalEntry, LogEntry, PausedEntry, ProgressEntry, ResumedEntry
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.pausing import schema_of
from asya_gateway.domain.task import FlyEvent, JsonText, Task, TaskUpdate
from asya_gateway.protocols.a2a.dialects.known import Dialect
from asya_gateway.protocols.a2a.large_contents import live_parts
from asya_gateway.protocols.a2a.model import Event, Message, Part, PartKind, Role, TaskView
from asya_gateway.protocols.a2a.outputs import result_artifact, status_of
from asya_gateway.protocols.a2a.streaming import LogEvents
from asya_gateway.protocols.a2a.writing import json_text

BEGIN = datetime(2026, 7, 28, 1, 2, 3, 456789, tzinfo=UTC)
TASK, CONTEXT, CLIENTS_ID = "0a1b", "a-context", "clients-own"
ROUTE = Route((), "first", ())
FIELDS: list[dict[str, Any]] = [{"name": "sure", "type": "boolean", "prompt": "Sure?"}]
QUESTION = Pause("p1", "Are you sure?", schema_of(FIELDS), FIELDS)
SIGN_IN = Pause("p2", "Sign in, please", schema_of([]), [], url="https://login.example/start")


@dataclass
class Log:
    """What happens to one task. `items` are entries and live events in their order."""

    items: list[TaskUpdate | FlyEvent] = field(default_factory=list)
    status: TaskStatus = TaskStatus.PENDING
    seq: int = 0

    def entry(self, kind: UpdateKind, status: TaskStatus, entry: LogEntry, result: JsonText | None = None) -> "Log":
        """Another entry, a second after the one before it."""
        self.seq, self.status = self.seq + 1, status
        at = BEGIN + timedelta(seconds=self.seq)
        self.items.append(TaskUpdate(TASK, self.seq, kind, status, 0.0, at, entry, result))
        return self

    def created(self) -> "Log":
        return self.entry(UpdateKind.CREATED, TaskStatus.PENDING, CreatedEntry(message="Task created"))

    def working(self, message: str | None = None) -> "Log":
        entry = ProgressEntry(message=message, route=ROUTE, state="processing")
        return self.entry(UpdateKind.PROGRESS, TaskStatus.RUNNING, entry)

    def fly(self, payload: Any) -> "Log":
        self.items.append(FlyEvent(TASK, "partial", jsontext.dumps(payload)))
        return self

    def asks(self, pause: Pause) -> "Log":
        status = TaskStatus.PAUSED if pause.url is None else TaskStatus.AUTH_REQUIRED
        return self.entry(UpdateKind.PAUSED, status, PausedEntry(route=ROUTE, state="paused", pause=pause))

    def resumed(self) -> "Log":
        return self.entry(UpdateKind.RESUMED, TaskStatus.RUNNING, ResumedEntry(message="Task resumed"))

    def succeeded(self, result: JsonText) -> "Log":
        return self.entry(UpdateKind.FINAL, TaskStatus.SUCCEEDED, FinalEntry(), result)

    def failed(self, error: TaskError) -> "Log":
        return self.entry(UpdateKind.FINAL, TaskStatus.FAILED, FinalEntry(error=error))

    def canceled(self) -> "Log":
        return self.entry(UpdateKind.FINAL, TaskStatus.CANCELED, FinalEntry(message="Canceled by the caller"))

    def task(self) -> Task:
        """The row after the last entry."""
        entries = [item for item in self.items if isinstance(item, TaskUpdate)]
        last = entries[-1]
        pause = getattr(last.entry, "pause", None)
        error = getattr(last.entry, "error", None)
        return Task(
            id=TASK,
            status=last.status,
            flow="echo",
            owner="somebody",
            route=ROUTE,
            progress=0.0,
            last_seq=last.seq,
            created_at=BEGIN,
            updated_at=last.at,
            message=last.entry.message,
            error=error,
            pause=pause,
            result=last.result,
        )


PARTS = (
    '{"name":"files","description":"All kinds","parts":[{"text":"a text"},'
    '{"url":"https://files.example/a.png","mediaType":"image/png","filename":"a.png"},'
    '{"raw":"aGk=","mediaType":"text/plain"},{"data":[1,9007199254740993]},{"data":{"n":42},"metadata":{"k":1}}]}'
)
LOGS: dict[str, Log] = {
    "chunks": Log()
    .created()
    .working("on it")
    .fly({"token": "Once "})
    .fly({"token": "upon"})
    .fly({"parts": "none", "n": 2**60 + 1})
    .succeeded('{"story":"Once upon","n":42,"large":1152921504606846977,"exact":1.0}'),
    "question": Log().created().working().asks(QUESTION).resumed().working("thanks").succeeded('"done"'),
    "sign_in": Log().created().asks(SIGN_IN).canceled(),
    "parts": Log().created().succeeded(PARTS),
    "number": Log().created().succeeded("42"),
    "rejected": Log().created().failed(TaskError("rejected", "not this one", ErrorClass.BUSINESS)),
    "failed": Log().created().working().failed(TaskError("handler_error", "it broke", ErrorClass.RUNTIME)),
}
"""By name: what the golden files and the differential tests render."""


def view_of(log: Log, *, oldest: bool) -> TaskView:
    """The task at the end of a log, as GetTask shows it."""
    task = log.task()
    said = Message("m-1", Role.USER, (Part(PartKind.TEXT, "begin"),), CONTEXT, TASK)
    artifacts = (result_artifact(task.result),) if task.status is TaskStatus.SUCCEEDED else ()
    return TaskView(CLIENTS_ID if oldest else TASK, CONTEXT, status_of(task, CONTEXT), artifacts, (said,))


def events_of(log: Log, *, oldest: bool, closes_at_question: bool = True) -> list[tuple[str, Event]]:
    """The events of a stream with their ids, without the task that it begins with."""
    rendered = LogEvents(CLIENTS_ID if oldest else TASK, CONTEXT, closes_at_question=closes_at_question)
    found: list[tuple[str, Event]] = []
    for item in log.items:
        if isinstance(item, FlyEvent):
            live = rendered.live((live_parts(item.payload), ()))
            found += [("", live)] if live is not None else []
        else:
            found += [(id, event) for id, event in rendered.entry(item) if event is not None]
    return found


def in_dialect(log: Log, dialect: Dialect) -> dict[str, Any]:
    """The task and its events on the wire of a dialect, as a client decodes them."""
    oldest = dialect.name == "0.1"
    events = [(id, dialect.event(event)) for id, event in events_of(log, oldest=oldest)]
    return {
        "task": wire(dialect.task(view_of(log, oldest=oldest))),
        "events": [{"id": id, "data": wire(document)} for id, document in events if document is not None],
    }


def wire(document: Any) -> Any:
    """Through the text that is sent."""
    return jsontext.loads(json_text(document))
