"""A caller's own tasks as resources: a source of the catalog with two templates, the same for everybody."""

from collections.abc import Callable

from asya_crds.uri_template import Template
from asya_gateway.domain.offers import TEMPLATES, Offers, TaskOffer

SCHEME = "asya://tasks/"
VARIABLE = "taskId"


def _offer(end: str, title: str, description: str) -> TaskOffer:
    key = f"{SCHEME}{{{VARIABLE}}}{end}"
    return TaskOffer(key, title, description, Template((SCHEME, end), (VARIABLE,), -1), bool(end))


TASK = _offer("", "Task", "A task of yours as JSON: its status, progress, payload and result.")
RESULT = _offer("/result", "Task result", "The whole result of a task of yours that has succeeded.")


class TaskSource:
    """The two templates. Implements Source."""

    def offers(self) -> Offers:
        """Always the same."""
        found = Offers()
        found.add(TEMPLATES, TASK)
        found.add(TEMPLATES, RESULT)
        return found

    def sets(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Nothing changes."""
        return lambda: None
