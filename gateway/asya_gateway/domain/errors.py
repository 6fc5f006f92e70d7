"""The domain's errors. Each protocol has one table that maps them to its own form."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import override

from asya_crds.violation import Violation


class GatewayError(Exception):
    """Base of all errors that callers may see."""

    code = "error"
    names_its_field = False
    """Whether the message itself names the field."""
    retry_after: int | None = None
    """Seconds after which the same call may succeed; None if retrying does not help."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    @property
    def data(self) -> Mapping[str, Any]:
        """What a program may act on besides the code; each wire has its own place for it. Empty for most."""
        return {}

    @property
    def text(self) -> str:
        """The message as a self-contained sentence, with the field before it if there is one."""
        return self.message if self.field is None or self.names_its_field else f"{self.field}: {self.message}"


class InvalidInput(GatewayError):
    """The request cannot be understood. `field` names the part, the message says what was expected."""

    code = "invalid_input"


class TooLarge(GatewayError):
    """The body or one of its parts is beyond its limit."""

    code = "too_large"


class InvalidArguments(GatewayError):
    """The arguments break the flow's inputSchema, or the answer breaks the question's schema. Every violation is
    listed."""

    code = "invalid_arguments"
    names_its_field = True

    def __init__(self, violations: Sequence[Violation], field: Literal["arguments", "answer"] = "arguments") -> None:
        parts = "; ".join(f"{each.path}: {each.message}" if each.path else each.message for each in violations)
        what = {
            "arguments": "arguments do not match the input schema",
            "answer": "the answer does not match the question's schema",
        }
        super().__init__(f"{what[field]}: {parts}", field=field)
        self.violations = tuple(violations)


class FlowNotFound(GatewayError):
    """No flow with this name is exposed to this caller on this surface. `available` are some that are."""

    code = "flow_not_found"
    names_its_field = True

    def __init__(self, message: str, *, field: str | None = None, available: Sequence[str] = ()) -> None:
        super().__init__(message, field=field)
        self.available = tuple(available)

    @property
    @override
    def data(self) -> Mapping[str, Any]:
        return {"available_agents": list(self.available)} if self.available else {}


class TaskNotFound(GatewayError):
    """The caller has no task with this id. Another owner's task and a missing one look the same."""

    code = "task_not_found"
    names_its_field = True

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task not found: {task_id}", field="id")


class Conflict(GatewayError):
    """The task is not in a state that allows this."""

    code = "conflict"


class KeyReused(GatewayError):
    """The idempotency key belongs to another request of the same caller. The message names no task."""

    code = "idempotency_key_reused"
    names_its_field = True

    def __init__(self) -> None:
        super().__init__(
            "Idempotency-Key: the key was used for another request; expected the same one, or a new key",
            field="Idempotency-Key",
        )


class TooManyTasks(GatewayError):
    """The cap on open tasks is reached. Nothing was stored; the call may succeed once some tasks have ended."""

    code = "too_many_tasks"
    retry_after = 5


class Unavailable(GatewayError):
    """Postgres or the queue system is not available. The same call may succeed later.

    `uncertain`: a write was sent and not answered, so it is unknown whether it was done. Otherwise nothing was done.
    """

    code = "unavailable"
    retry_after = 1

    def __init__(self, message: str, *, field: str | None = None, uncertain: bool = False) -> None:
        super().__init__(f"{message}; it is not known whether this was stored" if uncertain else message, field=field)
        self.reason = message
        self.uncertain = uncertain

    @property
    def outcome(self) -> Literal["not_done", "unknown"]:
        """The outcome of the request, as callers see it."""
        return "unknown" if self.uncertain else "not_done"


@contextlib.contextmanager
def after_a_write() -> Iterator[None]:
    """For reads that build the answer to a completed write: if they fail, the caller must not conclude that the write
    was not done. Turns Unavailable into an uncertain one."""
    try:
        yield
    except Unavailable as error:
        raise Unavailable(error.reason, uncertain=True) from error


class Overloaded(Unavailable):
    """Too much is already waiting. Nothing was done."""

    code = "overloaded"


class QueueFull(Overloaded):
    """Too many messages wait for the flow's first actor, or in all. Calls of other flows may succeed."""

    retry_after = 5

    def __init__(self, message: str) -> None:
        super().__init__(message, field="flow")
