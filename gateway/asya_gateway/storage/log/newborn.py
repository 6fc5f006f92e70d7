"""Tasks that this process has just created: whoever waits for one need not look whether it has ended already."""

from collections.abc import Iterable

from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy, OwnerScope

KEPT = 4096
"""Most tasks that are remembered. A caller waits within milliseconds after its task was created."""


class Newborn:
    """Ids with their owners, from before their creation until somebody waits for them or their end is rung for."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def add(self, tasks: Iterable[tuple[str, str]]) -> None:
        """Remember tasks that are about to be created: (id, owner)."""
        self._owners.update(tasks)
        while len(self._owners) > KEPT:
            del self._owners[next(iter(self._owners))]

    def rung(self, task_ids: Iterable[str]) -> None:
        """These have ended, or ask a question."""
        if self._owners:
            for task_id in task_ids:
                self._owners.pop(task_id, None)

    def forget(self) -> None:
        """Rings may have been missed."""
        self._owners.clear()

    def take(self, task_id: str, owner: OwnerScope) -> bool:
        """Whether the owner's task exists and had not ended when its last ring was heard. It is forgotten."""
        found = self._owners.pop(task_id, None)
        return found is not None and (owner is EVERY_OWNER or owner == OwnedBy(found))
