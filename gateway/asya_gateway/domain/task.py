"""The task and its log, as read from storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from asya_crds.envelope import Route
from asya_crds.status import TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_gateway.domain.log import FinalEntry, LogEntry
from asya_gateway.domain.pause import Pause

JsonText = str
"""A JSON document as text. It is never decoded, so integers and surrogates stay unchanged."""


@dataclass(frozen=True, slots=True)
class TaskHead:
    """A task's row without its bodies, for followers, lists, waits and decisions. `error` and `pause` are None if
    absent or not requested."""

    id: str
    status: TaskStatus
    flow: str
    owner: str
    route: Route
    progress: float
    last_seq: int
    created_at: datetime
    updated_at: datetime
    parent_id: str | None = None
    context_id: str | None = None
    message: str | None = None
    actor: str | None = None
    deadline_at: datetime | None = None
    remaining: float | None = None
    finished_at: datetime | None = None
    error: TaskError | None = None
    pause: Pause | None = None
    status_at: datetime | None = None
    """When it got its status; None only of a row that was not read from storage."""


@dataclass(frozen=True, slots=True)
class Task(TaskHead):
    """A row with its bodies, to be rendered and dropped. Payload and result are JSON text, None if absent or not
    requested."""

    payload: JsonText | None = None
    result: JsonText | None = None
    retry_of: str | None = None
    """The task that this one runs again."""


LOG_PAGE = 256 * 1024
"""Most bytes of the entries that are read together for a reader of what is stored. One entry may be larger."""
LARGEST_INLINE = 64 * 1024
"""Largest result in bytes that comes with its entry; also the largest detail of an entry other than progress. A larger
one is fetched when the entry is rendered and then dropped, so that waiting readers do not hold it."""


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """One entry of a task's log. `seq` counts from 1 without gaps; `entry` is the content."""

    task_id: str
    seq: int
    kind: UpdateKind
    status: TaskStatus
    progress: float
    at: datetime
    entry: LogEntry
    result: JsonText | None = None
    whole: bool = True
    """False if detail or result were left out because of their size (LARGEST_INLINE); Tasks.whole fetches them."""


@dataclass(frozen=True, slots=True)
class FlyEvent:
    """A live event of an actor, never stored. `payload` is JSON text, `name` the name of its SSE event."""

    task_id: str
    name: str
    payload: JsonText


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The start of a follower: the task, and the first page of updates beyond seq `after`, of so many bytes. It is
    empty where there was no room for one. `end` is the last entry of a task that has ended, made from its row."""

    task: TaskHead
    updates: tuple[TaskUpdate, ...]
    after: int
    bytes: int = 0
    end: TaskUpdate | None = None

    @property
    def reached(self) -> int:
        """The seq of the last update in the snapshot, or `after` if it has none."""
        return self.updates[-1].seq if self.updates else self.after


class StoredPage(NamedTuple):
    """Entries of a log in order, and their bytes."""

    updates: Sequence[TaskUpdate]
    bytes: int


def final_update_of(
    task: TaskHead, *, result: JsonText | None, error: TaskError | None, whole: bool = True
) -> TaskUpdate:
    """The terminal entry of a task's log, made from the row."""
    return TaskUpdate(
        task_id=task.id,
        seq=task.last_seq,
        kind=UpdateKind.FINAL,
        status=task.status,
        progress=task.progress,
        at=task.finished_at or task.updated_at,
        entry=FinalEntry(message=task.message, error=error),
        result=result,
        whole=whole,
    )
