"""What waits to be delivered: which actors take no new calls because too much waits for them, and whose queues are
missing."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from asya_gateway.domain.errors import QueueFull

MOST_NAMED = 1_000
"""Most actors with missing queues that are named: those for which most messages wait."""


class Bounds(NamedTuple):
    """Most messages that may wait when a call is accepted: in all, and for its flow's first actor."""

    total: int
    per_actor: int


class Counted(NamedTuple):
    """The messages that wait for one actor, and how many of them because its queue is missing."""

    actor: str
    messages: int
    unroutable: int = 0
    reason: str | None = None


class MissingQueue(NamedTuple):
    """The missing queue of an actor: how many messages wait for it, and why they cannot be delivered."""

    messages: int
    reason: str


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. `messages`: how many wait, counted up to the bound. `full`: actors for which too many wait;
    `everything`: too many wait in all."""

    messages: int = 0
    full: frozenset[str] = frozenset()
    everything: bool = False
    unroutable: Mapping[str, MissingQueue] = field(default_factory=dict)

    @classmethod
    def of(cls, counted: Iterable[Counted], bounds: Bounds) -> "Figures":
        """What these counts mean. They end at `bounds.total` messages."""
        counted = sorted(counted, key=lambda each: -each.unroutable)
        messages = sum(each.messages for each in counted)
        return cls(
            messages=messages,
            full=frozenset(each.actor for each in counted if each.messages >= bounds.per_actor),
            everything=messages >= bounds.total,
            unroutable={
                each.actor: MissingQueue(each.unroutable, each.reason or "")
                for each in counted[:MOST_NAMED]
                if each.unroutable
            },
        )

    def as_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "messages": self.messages,
            "full": sorted(self.full),
            "everything": self.everything,
            "unroutable": {actor: list(missing) for actor, missing in self.unroutable.items()},
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Figures":
        """Read the stored form; an empty one is from before the first measurement."""
        return cls(
            messages=stored.get("messages", 0),
            full=frozenset(stored.get("full", ())),
            everything=stored.get("everything", False),
            unroutable={actor: MissingQueue(*missing) for actor, missing in stored.get("unroutable", {}).items()},
        )


class Backlog:
    """The last measurement that this process knows, for as long as it is valid."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._figures = Figures()
        self._until = clock()
        self.refused = 0
        """Calls that were refused."""

    @property
    def figures(self) -> Figures:
        """Empty if the last measurement is no longer valid, so that nobody is refused while nobody measures."""
        return self._figures if self._clock() < self._until else Figures()

    def learn(self, figures: Figures, valid_for: float) -> bool:
        """Take over a measurement that is valid for so many seconds. Returns whether other actors are full now."""
        before = self.figures
        self._figures, self._until = figures, self._clock() + valid_for
        return (before.full, before.everything) != (figures.full, figures.everything)

    def check(self, actor: str) -> None:
        """Refuse a new call whose flow begins at this actor. Raises QueueFull."""
        figures = self._figures
        if not figures.full and not figures.everything:
            return
        figures = self.figures
        if figures.everything:
            self.refused += 1
            raise QueueFull("too many messages wait to be delivered, try again later")
        if actor in figures.full:
            self.refused += 1
            raise QueueFull("too many messages wait for the first actor of this flow, try again later")
