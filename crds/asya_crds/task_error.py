"""The error of a failed task, as programs hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds.status import ErrorClass
from asya_crds.task_json import TaskErrorJson


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task did not succeed: {code, message, class, actor?, attempts?, details?} on every wire."""

    code: str
    message: str
    error_class: ErrorClass
    actor: str | None = None
    attempts: int | None = None
    details: Any = None

    @property
    def told(self) -> str:
        """The message, after the type of an actor's error if that is known: `'count'` alone says little, `KeyError:
        'count'` says what is wrong."""
        kind = self.details.get("type") if isinstance(self.details, Mapping) else None
        return f"{kind.rpartition('.')[2]}: {self.message}" if isinstance(kind, str) and kind else self.message

    def as_dict(self) -> TaskErrorJson:
        """The wire form, without fields that are None."""
        found: TaskErrorJson = {"code": self.code, "message": self.message, "class": self.error_class.value}
        if self.actor is not None:
            found["actor"] = self.actor
        if self.attempts is not None:
            found["attempts"] = self.attempts
        if self.details is not None:
            found["details"] = self.details
        return found

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TaskError":
        """Read what as_dict wrote, in this or another version."""
        return cls(
            code=str(value.get("code", "unknown")),
            message=str(value.get("message", "")),
            error_class=ErrorClass.read(str(value.get("class", ErrorClass.RUNTIME))),
            actor=value.get("actor"),
            attempts=value.get("attempts"),
            details=value.get("details"),
        )
