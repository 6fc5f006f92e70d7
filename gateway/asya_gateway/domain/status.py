"""The states of a task and their order: the one home of both, from which the SQL guards are made."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class TaskStatus(StrEnum):
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
        return _ORDER[self]

    @property
    def terminal(self) -> bool:
        """Nothing may follow."""
        return self.order == TERMINAL_ORDER

    @property
    def waiting(self) -> bool:
        """The task waits for somebody's answer, and its deadline stands still."""
        return self.order == WAITING_ORDER


WAITING_ORDER = 2
TERMINAL_ORDER = 3
_ORDER = {
    TaskStatus.PENDING: 0,
    TaskStatus.RUNNING: 1,
    TaskStatus.PAUSED: WAITING_ORDER,
    TaskStatus.AUTH_REQUIRED: WAITING_ORDER,
    TaskStatus.SUCCEEDED: TERMINAL_ORDER,
    TaskStatus.FAILED: TERMINAL_ORDER,
    TaskStatus.CANCELED: TERMINAL_ORDER,
}

TERMINAL = tuple(status for status in TaskStatus if status.terminal)
WAITING = tuple(status for status in TaskStatus if status.waiting)
RUNNABLE = tuple(status for status in TaskStatus if status.order < WAITING_ORDER)


class ActorState(StrEnum):
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
    ActorState.RECEIVED: 0.1,
    ActorState.PROCESSING: 0.5,
    ActorState.PROCESSED: 0.5,
    ActorState.COMPLETED: 1.0,
    ActorState.RELEASED: 0.0,
}


class ErrorClass(StrEnum):
    """Whose fault a failure is, which decides how each protocol renders it."""

    BUSINESS = "business"
    RUNTIME = "runtime"
    CANCELED = "canceled"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task did not succeed: {code, message, class, actor?, attempts?, details?} on every wire."""

    code: str
    message: str
    error_class: ErrorClass
    actor: str | None = None
    attempts: int | None = None
    details: Any = None

    def as_dict(self) -> dict[str, Any]:
        """The wire form, without what is unknown."""
        optional = {"actor": self.actor, "attempts": self.attempts, "details": self.details}
        known = {key: value for key, value in optional.items() if value is not None}
        return {"code": self.code, "message": self.message, "class": self.error_class.value, **known}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "TaskError":
        """Read what as_dict wrote."""
        return cls(
            code=value["code"],
            message=value["message"],
            error_class=ErrorClass(value["class"]),
            actor=value.get("actor"),
            attempts=value.get("attempts"),
            details=value.get("details"),
        )
