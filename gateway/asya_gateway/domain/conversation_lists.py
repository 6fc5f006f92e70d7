"""Lists of A2A: an owner's tasks in the order in which their status last changed, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from asya_crds.status import TaskStatus
from asya_gateway.domain.conversations import Conversation
from asya_gateway.domain.task import JsonText, Task

Place = tuple[datetime, str]
"""Where a task stands in a list: the time of its status, and its id."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a list continues: behind the task at `place`.

    Of more open tasks than can be sorted, the ones created last are sorted. The others follow at the end of the list,
    in the order of their creation: `oldest` is the oldest one that is sorted (the time of its creation, and its id),
    None if all are. `beyond`: the list has come to the others, and the time of `place` is that of a creation, too."""

    place: Place
    oldest: Place | None = None
    beyond: bool = False


class Rejection(Enum):
    """Which failures are listed. A2A tells refusals of an actor from failures."""

    ONLY = auto()
    NONE = auto()
    ANY = auto()


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which tasks to list. `flows` are the names of the flows that are skills. `context_names` are the names by which
    tasks of a context are stored, `context_id` is the one that its client knows; None for every context. `since` is the
    earliest time of a status, `after` the position of the last task seen."""

    owner: str
    flows: frozenset[str]
    status: TaskStatus | None = None
    rejection: Rejection = Rejection.ANY
    context_id: str | None = None
    context_names: frozenset[str] = frozenset()
    since: datetime | None = None
    after: Position | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Places:
    """The places of the tasks of a page. `next`: where the list continues, None at its end. `oldest` and `beyond` are
    those of each position on the page."""

    found: Sequence[Place]
    next: Position | None
    oldest: Place | None = None
    beyond: bool = False

    def behind(self, place: Place) -> Position:
        """Where the list continues behind a task of this page."""
        return Position(place, self.oldest, self.beyond)


@dataclass(frozen=True, slots=True)
class Listed:
    """A task of a list, with its error, its open pause and, on request, its result. `disabled`: why notifications of
    its changes are sent no more, by configuration. `whole` is False if something was left out because of its size."""

    task: Task
    conversation: Conversation | None
    messages: Sequence[JsonText] = ()
    disabled: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True


class ConversationLists(Protocol):
    """The store. Every method raises Unavailable."""

    async def places(self, query: ConversationFilter) -> Places:
        """A page of a list. It may end before it is full, because a bounded number of tasks is searched."""

    async def count(self, query: ConversationFilter) -> int:
        """The number of tasks in the whole list, counted among a bounded number."""

    async def contents(
        self, owner: str, found: Sequence[Place], *, messages: int | None, results: bool
    ) -> Sequence[Listed]:
        """The owner's tasks at these places in their order, with so many of the newest messages (all of them with None)
        and, on request, their results; as many as together are not too large, but at least one. A task that has been
        removed meanwhile is left out."""
