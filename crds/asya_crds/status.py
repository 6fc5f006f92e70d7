"""The enumerations of tasks, hops, claims, errors and the log. Every wire and every table uses these values.

A process may read what a newer version wrote: `read` passes an unknown value on instead of failing. Input from outside
is checked with the class itself, which refuses unknown values.
"""

from enum import StrEnum
from typing import Self


class OpenWord(StrEnum):
    """An enumeration that a newer version may extend."""

    @classmethod
    def read(cls, text: str) -> Self:
        """The member with this value, or a new object with this value that equals no member."""
        try:
            return cls(text)
        except ValueError:
            unknown = str.__new__(cls, text)
            unknown._value_, unknown._name_ = text, "UNKNOWN"
            return unknown


class TaskStatus(OpenWord):
    """The life of a task (docs/protocols/mesh.md, "Task statuses and their order")."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    AUTH_REQUIRED = "auth_required"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def order(self) -> int:
        """The order of statuses. A report with a lower order than the task's is stale and changes nothing."""
        return _ORDER.get(self, RUNNING_ORDER) if self._name_ != "ENDED" else TERMINAL_ORDER

    @classmethod
    def read_of(cls, text: str, *, ended: bool) -> Self:
        """Read a stored status. An unknown one is terminal if the task has ended; otherwise it is treated like
        running."""
        status = cls.read(text)
        if ended and status._name_ == "UNKNOWN":
            status._name_ = "ENDED"
        return status

    @property
    def terminal(self) -> bool:
        """Whether the task has ended; no other status may follow."""
        return self.order == TERMINAL_ORDER

    @property
    def waiting(self) -> bool:
        """Whether the task waits for an answer; its deadline is suspended meanwhile."""
        return self.order == WAITING_ORDER


RUNNING_ORDER = 1
WAITING_ORDER = 2
TERMINAL_ORDER = 3
_ORDER = {
    TaskStatus.PENDING: 0,
    TaskStatus.RUNNING: RUNNING_ORDER,
    TaskStatus.PAUSED: WAITING_ORDER,
    TaskStatus.AUTH_REQUIRED: WAITING_ORDER,
    TaskStatus.SUCCEEDED: TERMINAL_ORDER,
    TaskStatus.FAILED: TERMINAL_ORDER,
    TaskStatus.CANCELED: TERMINAL_ORDER,
}

TERMINAL = tuple(status for status in TaskStatus if status.terminal)
WAITING = tuple(status for status in TaskStatus if status.waiting)
RUNNABLE = tuple(status for status in TaskStatus if status.order < WAITING_ORDER)


class HopState(StrEnum):
    """The state of one hop, as a worker or sidecar reports it."""

    RECEIVED = "received"
    PROCESSING = "processing"
    PROCESSED = "processed"
    """Only our worker reports this: the handler has ended, and the report contains what it will send on. It appends no
    update."""
    COMPLETED = "completed"
    RELEASED = "released"
    """Only our worker reports this: it stops before its handler has ended, and releases the claim. It appends no
    update."""

    @property
    def weight(self) -> float:
        """The part of the hop that is done, from 0 to 1 (docs/protocols/mesh.md, "Progress")."""
        return _WEIGHT[self]


_WEIGHT = {
    HopState.RECEIVED: 0.1,
    HopState.PROCESSING: 0.5,
    HopState.PROCESSED: 0.5,
    HopState.COMPLETED: 1.0,
    HopState.RELEASED: 0.0,
}


class ErrorClass(OpenWord):
    """The cause of a failure, which decides how each protocol renders it."""

    BUSINESS = "business"
    RUNTIME = "runtime"
    CANCELED = "canceled"
    DEADLINE = "deadline"


class ClaimAction(StrEnum):
    """What the worker must do with its message."""

    GO = "go"
    BUSY = "busy"
    """Another worker holds the claim: try again later."""
    DONE = "done"
    """The hop is done, or the task has ended: do not run the handler."""


class Standing(OpenWord):
    """What mesh knows of a hop that was begun. Without one, nobody has begun it."""

    REPORTED = "reported"
    """A sidecar without claims has reported of it, or of what came after it."""
    CLAIMED = "claimed"
    """A worker has begun it. Whether that worker still lives, its lease tells."""
    PROCESSED = "processed"
    """Its handler has ended, and what it sends on is stored. It may not be sent."""
    COMPLETED = "completed"
    """It has ended, and what it sent is with the queue system."""


class UpdateKind(OpenWord):
    """The kind of an entry in the log."""

    CREATED = "created"
    PROGRESS = "progress"
    PAUSED = "paused"
    ANSWERED = "answered"
    """An answer after which the task still waits: to one of several inputs, or a decline."""
    RESUMED = "resumed"
    FINAL = "final"
