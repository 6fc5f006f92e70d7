"""The task and its log, as they are read."""

from dataclasses import dataclass
from datetime import datetime

from asya_crds.envelope import Route
from asya_crds.status import TaskError, TaskStatus, UpdateKind
from asya_gateway.domain.log import LogEntry
from asya_gateway.domain.pause import Pause

JsonText = str
"""A JSON document as text, which nobody on the way decodes: integers and surrogates stay as they came."""


@dataclass(frozen=True, slots=True)
class Task:
    """One row, with what hangs on it. Payload and result are JSON text, None where absent or not asked for."""

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
    payload: JsonText | None = None
    result: JsonText | None = None
    error: TaskError | None = None
    pause: Pause | None = None


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


@dataclass(frozen=True, slots=True)
class FlyEvent:
    """A live event of an actor, never stored; `payload` is JSON text, `name` the SSE event it becomes."""

    task_id: str
    name: str
    payload: JsonText


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a follower begins: the task, and the updates that it has not seen, or the first page of many."""

    task: Task
    updates: tuple[TaskUpdate, ...]

    def reached(self, after: int) -> int:
        """The seq of the last update here, for a follower that had seen those up to `after`."""
        return self.updates[-1].seq if self.updates else min(after, self.task.last_seq)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `owner` is what tasks are bound to; "" is the anonymous caller of an open gateway."""

    owner: str = ""
    scopes: frozenset[str] = frozenset()
