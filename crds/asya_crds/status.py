"""The words of tasks, hops, claims, errors and the log, as they stand on every wire and in every table.

A process may read what a newer one wrote: `read` passes a word on that it does not know, and nobody stops for it. What
comes in from outside is checked with the class itself, which refuses such a word.
"""

from enum import StrEnum
from typing import Self


class OpenWord(StrEnum):
    """A word that a newer version may have more of."""

    @classmethod
    def read(cls, text: str) -> Self:
        """The member, or a word that equals no member and whose value is the text."""
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
        """A report of a lower order than the task's is stale and changes nothing."""
        return _ORDER.get(self, RUNNING_ORDER) if self._name_ != "ENDED" else TERMINAL_ORDER

    @classmethod
    def read_of(cls, text: str, *, ended: bool) -> Self:
        """Read a stored status; one that is not known is terminal where the task has ended, else like running."""
        status = cls.read(text)
        if ended and status._name_ == "UNKNOWN":
            status._name_ = "ENDED"
        return status

    @property
    def terminal(self) -> bool:
        """Nothing may follow."""
        return self.order == TERMINAL_ORDER

    @property
    def waiting(self) -> bool:
        """The task waits for somebody's answer, and its deadline stands still."""
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
    """What a worker or sidecar says of one hop."""

    RECEIVED = "received"
    PROCESSING = "processing"
    PROCESSED = "processed"
    """Only our worker says this: the handler has ended, here is what it will send on. It appends no update."""
    COMPLETED = "completed"
    RELEASED = "released"
    """Only our worker says this: it ends before its handler, and gives the claim back. It appends no update."""

    @property
    def weight(self) -> float:
        """How much of the hop is done (docs/protocols/mesh.md, "Progress")."""
        return _WEIGHT[self]


_WEIGHT = {
    HopState.RECEIVED: 0.1,
    HopState.PROCESSING: 0.5,
    HopState.PROCESSED: 0.5,
    HopState.COMPLETED: 1.0,
    HopState.RELEASED: 0.0,
}


class ErrorClass(OpenWord):
    """Whose fault a failure is, which decides how each protocol renders it."""

    BUSINESS = "business"
    RUNTIME = "runtime"
    CANCELED = "canceled"
    DEADLINE = "deadline"


class ClaimAction(StrEnum):
    """What the worker shall do with the message it holds."""

    GO = "go"
    BUSY = "busy"
    """Another worker holds the claim: look again later."""
    DONE = "done"
    """The hop is done, or the task has ended: do not run the handler."""


class UpdateKind(OpenWord):
    """What an entry of the log says."""

    CREATED = "created"
    PROGRESS = "progress"
    PAUSED = "paused"
    RESUMED = "resumed"
    FINAL = "final"
