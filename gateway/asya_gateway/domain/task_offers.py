"""A caller's own tasks as resources: a source of the catalog with two templates, the same for everybody."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asya_crds.uri_template import Template
from asya_gateway.domain.catalog import Kind, Offers
from asya_gateway.domain.identity.access import readable
from asya_gateway.domain.identity.principals import Caller

SCHEME = "asya://tasks/"
VARIABLE = "taskId"


@dataclass(frozen=True, slots=True)
class TaskOffer:
    """A template of task resources. Implements Offer. Tasks are bound to no tool set, so it is shown everywhere."""

    key: str
    title: str
    description: str
    template: Template
    whole_result: bool
    """Whether it is the result alone, not the task with it."""
    name: str = ""
    size: int = 256
    sets: frozenset[str] = frozenset()
    everywhere: bool = True

    def seen_by(self, caller: Caller) -> bool:
        """Whether the caller may read any task of its own."""
        return bool(readable(caller))

    def check_use(self, caller: Caller) -> None:
        """Whose task it is, the statement that reads it checks."""

    def shows_like(self, other: Any) -> bool:
        """It never changes."""
        return isinstance(other, TaskOffer)


def _offer(end: str, title: str, description: str) -> TaskOffer:
    key = f"{SCHEME}{{{VARIABLE}}}{end}"
    return TaskOffer(key, title, description, Template((SCHEME, end), (VARIABLE,), -1), bool(end))


TASK = _offer("", "Task", "A task of yours as JSON: its status, progress, payload and result.")
RESULT = _offer("/result", "Task result", "The whole result of a task of yours that has succeeded.")


class TaskSource:
    """The two templates. Implements Source."""

    def offers(self) -> Offers:
        """Always the same."""
        return {Kind.TEMPLATES: {TASK.key: TASK, RESULT.key: RESULT}}

    def sets(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Nothing changes."""
        return lambda: None
