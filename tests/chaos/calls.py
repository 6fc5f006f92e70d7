"""One call of a client, and what the client keeps of it."""

from typing import Any

from tests.chaos.owners import Owner
from tests.chaos.records import Records, ids_in, mark_of, marks_in


class Call:
    """`kind` is what is called and how, `number` tells it from all others, `owner` is who calls."""

    def __init__(self, records: Records, kind: str, number: int, owner: Owner) -> None:
        self.kind, self.number, self.owner = kind, number, owner
        self._records = records
        self._marks: set[str] = set()
        self._ids: set[str] = set()
        self._polled: list[str] = []

    @property
    def n(self) -> str | int:
        """The member `n` of its payload."""
        return mark_of(self.owner.name, self.number) if self.owner.name else self.number

    def key(self, letter: str = "k") -> dict[str, str]:
        """The header that makes a request of this call safe to repeat; a letter for each of its requests."""
        return {"Idempotency-Key": f"{letter}-{self.number}"}

    def note(self, event: str, **more: Any) -> None:
        """Keep an observation (Record)."""
        self._records.add(self.kind, self.number, event, owner=self.owner.name, **more)

    def heard(self, text: str) -> None:
        """Everything that this client receives passes here."""
        self._marks |= marks_in(text)
        self._ids |= ids_in(text)

    def polled(self, status: str) -> None:
        """A status that a question after the task found."""
        if self._polled[-1:] != [status]:
            self._polled.append(status)

    def over(self, task: str) -> None:
        """The client leaves. `task` is "" if it does not know one."""
        if self._polled and task:
            self.note("polled", task=task, statuses=tuple(self._polled))
        if self.owner.name:
            self.note("saw", marks=tuple(sorted(self._marks)), ids=tuple(sorted(self._ids)))
