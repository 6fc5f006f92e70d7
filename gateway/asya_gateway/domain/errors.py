"""What can go wrong, as a small tree. Each protocol has one table from these to its own form."""

from collections.abc import Sequence
from typing import Literal

from asya_crds.violation import Violation


class GatewayError(Exception):
    """Root of everything that a caller may be told about."""

    code = "error"
    names_its_field = False
    """Whether the message speaks of the field by itself."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    @property
    def text(self) -> str:
        """The message as a sentence that stands alone, the field before it where there is one."""
        return self.message if self.field is None or self.names_its_field else f"{self.field}: {self.message}"


class InvalidInput(GatewayError):
    """The request cannot be understood; `field` names the part and the message what was expected."""

    code = "invalid_input"


class TooLarge(GatewayError):
    """The body or one of its parts is beyond its limit."""

    code = "too_large"


class InvalidArguments(GatewayError):
    """The arguments break the flow's inputSchema, or the `answer` the question's; every violation is listed."""

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
    """No flow of that name is exposed to this caller on this surface."""

    code = "flow_not_found"


class TaskNotFound(GatewayError):
    """No task of that id belongs to the caller; a foreign one and a missing one look the same."""

    code = "task_not_found"
    names_its_field = True

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task not found: {task_id}", field="id")


class Conflict(GatewayError):
    """The task is not in a state that allows this."""

    code = "conflict"


class Unavailable(GatewayError):
    """Postgres or the queue system is away; nothing was done, and the same call may go through later."""

    code = "unavailable"
    retry_after = 1
    """Seconds."""


class Overloaded(Unavailable):
    """Too much is waiting already; nothing was done."""

    code = "overloaded"
