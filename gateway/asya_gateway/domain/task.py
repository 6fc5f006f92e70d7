"""The task and its log, as they are read."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import assert_never

from asya_crds.envelope import Route
from asya_crds.status import TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_gateway.domain.log import FinalEntry, LogEntry
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy, OwnerScope
from asya_gateway.domain.pause import Pause

JsonText = str
"""A JSON document as text, which is not decoded on its way: integers and surrogates are unchanged."""


@dataclass(frozen=True, slots=True)
class TaskHead:
    """One row, without its bodies: what follows, lists, waits and decisions need. `error` and `pause` are None where
    absent or not asked for."""

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


@dataclass(frozen=True, slots=True)
class Task(TaskHead):
    """A row with its bodies, to be rendered and dropped. Payload and result are JSON text, None where absent or not
    asked for."""

    payload: JsonText | None = None
    result: JsonText | None = None
    retry_of: str | None = None
    """The task that this one runs again."""


LARGEST_INLINE = 64 * 1024
"""Bytes of a result, or of the detail of an entry that is no progress, up to which it comes with the entry. A larger
one is fetched when the entry is rendered, and dropped: no reader holds it while it waits."""


@dataclass(frozen=True, slots=True)
class TaskUpdate:
    """One entry of a task's log; `seq` counts from 1 without gaps. `entry` is what it says."""

    task_id: str
    seq: int
    kind: UpdateKind
    status: TaskStatus
    progress: float
    at: datetime
    entry: LogEntry
    result: JsonText | None = None
    whole: bool = True
    """False where detail and result are larger than an entry carries (LARGEST_INLINE); Tasks.whole fetches them."""


@dataclass(frozen=True, slots=True)
class FlyEvent:
    """A live event of an actor, never stored; `payload` is JSON text, `name` the SSE event it becomes."""

    task_id: str
    name: str
    payload: JsonText


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a follower begins: the task, and the updates that it has not seen, or the first page of many. `end` is
    the last entry of a task that has ended, as its row remembers it."""

    task: TaskHead
    updates: tuple[TaskUpdate, ...]
    end: TaskUpdate | None = None

    def reached(self, after: int) -> int:
        """The seq of the last update here, for a follower that had seen those up to `after`."""
        return self.updates[-1].seq if self.updates else min(after, self.task.last_seq)


def final_update_of(
    task: TaskHead, *, result: JsonText | None, error: TaskError | None, whole: bool = True
) -> TaskUpdate:
    """The terminal entry of a task's log, as the row remembers it."""
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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `owner` is what tasks are bound to; "" is the anonymous caller of an open gateway."""

    owner: str = ""
    scopes: frozenset[str] = frozenset()


class Mesh(Enum):
    """The side of the actors, whose network alone reaches its routes: no owner's check applies to it."""

    MESH = "mesh"


MESH = Mesh.MESH
Asker = Caller | Mesh
"""Who reads a task. A missing value does not give access to every task."""


def owner_of(asker: Asker) -> OwnerScope:
    """Whose tasks this asker sees and changes."""
    match asker:
        case Caller(owner=owner):
            return OwnedBy(owner)
        case Mesh.MESH:
            return EVERY_OWNER
        case _:
            assert_never(asker)
