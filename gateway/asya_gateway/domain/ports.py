"""What the domain needs from outside; storage and delivery keep these promises."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from asya_crds.large_json import encode
from asya_crds.merging import filled
from asya_crds.status import TaskStatus
from asya_crds.violation import ArgumentCheck, Violation
from asya_gateway.domain.idempotency import digest_of
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.reports import (
    ChildAnnouncement,
    FinalOutcome,
    FinalReport,
    PauseReport,
    ProgressAnswer,
    ProgressReport,
)
from asya_gateway.domain.task import FlyEvent, JsonText, Snapshot, Task, TaskHead, TaskUpdate


class NewTask(NamedTuple):
    """A task to be stored with its first update and its envelope, in one transaction. `route` is the JSON text of
    the envelope's, `actor` the first on it; the deadline is `timeout` seconds from when the database stores it.
    (A named tuple: frozen like the others, and made for every call.)"""

    id: str
    flow: str
    owner: str
    surface: str
    route: JsonText
    actor: str
    context_id: str | None
    timeout: float
    payload: JsonText
    envelope: JsonText


class Terms(NamedTuple):
    """On what a task that is no plain call is stored. `key` is the caller's, `digest` of what was asked; `retry_of`
    the task that this one runs again; the caps are the most open tasks of its owner and of its flow. None where
    there is none."""

    key: str | None = None
    digest: bytes | None = None
    retry_of: str | None = None
    owner_cap: int | None = None
    flow_cap: int | None = None

    @property
    def capped(self) -> bool:
        """Whether open tasks must be counted."""
        return self.owner_cap is not None or self.flow_cap is not None


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's key for what is done to one task: `action` is cancel or answer."""

    action: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Somebody's answer to a pause, with the envelope that carries it to `actor`. The deadline goes on from where it
    stood, by the database's clock. `key` is random: by it the store knows its own answer again after a lost
    connection. `request` is the caller's own key, `incarnation` the number of this answer, from 1."""

    task_id: str
    owner: OwnerScope
    pause_id: str
    answer: JsonText
    actor: str
    envelope: JsonText
    key: int
    request: RequestKey | None = None
    incarnation: int = 1


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; `after` is the (created_at, id) of the last one seen, newest first. `whole`: the page is
    full where there are enough tasks, however long these are looked for; `skip`, of such a page, is how many are left
    out before the first."""

    owner: OwnerScope
    status: TaskStatus | None = None
    flow: str | None = None
    context_id: str | None = None
    parent_id: str | None = None
    after: tuple[datetime, str] | None = None
    limit: int = 50
    skip: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks without their bodies, newest first. Fewer than were asked for are all there are, unless `reached` says up
    to which (created_at, id) the store has looked: the list goes on after it."""

    tasks: "list[TaskHead]"
    reached: tuple[datetime, str] | None


@dataclass(frozen=True, slots=True)
class PausePoint:
    """What the resume envelope is made of: the task with its open pause, and where it stood. `incarnation` is the one
    that an answer begins, `reported_as` the id under which the pause was reported: the task's own, or a resume
    envelope's."""

    task: TaskHead
    checkpoint: JsonText | None
    incarnation: int
    reported_as: str


class Examiner(Protocol):
    """Holds a value against its schema and encodes it, without holding the event loop."""

    async def __call__(self, check: ArgumentCheck | None, value: Any) -> tuple[Sequence[Violation], JsonText]:
        """The violations, and the JSON text where there are none. Raises Overloaded."""


async def examined_here(check: ArgumentCheck | None, value: Any) -> tuple[Sequence[Violation], JsonText]:
    """An Examiner that takes whatever time it takes."""
    violations = () if check is None else check(value)
    return violations, "" if violations else encode(value)


class Filler(Protocol):
    """Puts an answer into the payload of a checkpoint, without holding the event loop."""

    async def __call__(self, checkpoint: JsonText, answer: JsonText, fields: Sequence[Mapping[str, Any]]) -> JsonText:
        """The checkpoint with the fields that the question names. Raises CannotMerge, Overloaded."""


async def filled_here(checkpoint: JsonText, answer: JsonText, fields: Sequence[Mapping[str, Any]]) -> JsonText:
    """A Filler that takes whatever time it takes."""
    return filled(checkpoint, answer, fields)


class Digester(Protocol):
    """Digests JSON values (idempotency.digest_of) without holding the event loop."""

    async def __call__(self, *parts: Any) -> bytes:
        """Raises Overloaded."""


async def digested_here(*parts: Any) -> bytes:
    """A Digester that takes whatever time it takes."""
    return digest_of(*parts)


class TaskStore(Protocol):
    """Tasks in Postgres. Every method raises Unavailable while the database is away."""

    async def create(self, new: NewTask) -> None:
        """Store the task, its first update and its envelope; returns after the commit. Idempotent by id."""

    async def admit(self, new: NewTask, terms: Terms) -> str:
        """Store it as create does, unless its key names a task already; the id of the task that is the call's.
        Raises TooManyTasks, KeyReused."""

    async def find_call(self, owner: str, key: str, digest: bytes) -> str | None:
        """The id of the task that a caller's key names. Raises KeyReused."""

    async def report(self, report: ProgressReport) -> ProgressAnswer:
        """Guard, update and append in one statement; returns after the commit."""

    async def finish(self, report: FinalReport) -> FinalOutcome:
        """End a task; the first terminal status wins. Those of its descendants that end with it follow, in chunks."""

    async def replace_unreported(self, report: FinalReport, if_late: FinalReport) -> bool:
        """Where a child was ended because nobody had reported its end (END_NOT_REPORTED), this one takes its place, in
        row and log: `if_late` where its deadline is over, else `report`. False where it ended otherwise."""

    async def expect_final(self, task_id: str) -> None:
        """A final report of this task arrived incompletely: it may come again for a while, then the task fails."""

    async def cancel(self, report: FinalReport, key: RequestKey) -> FinalOutcome:
        """End a task as finish does; APPLIED too where this key ended it before. Raises KeyReused."""

    async def find_request(self, task_id: str, owner: OwnerScope, key: RequestKey) -> bool:
        """Whether this was done to the task under the key already. Raises KeyReused."""

    async def pause(self, report: PauseReport) -> ProgressAnswer:
        """Store the question and stop the clock; a pause that was answered already changes nothing."""

    async def answer(self, answer: Answer) -> bool:
        """Set the task running and queue the resume envelope; False where another answer came first."""

    async def announce(self, child: ChildAnnouncement) -> None:
        """Store a fan-out's child without an envelope. Idempotent by id."""

    async def head(self, task_id: str, *, owner: OwnerScope) -> TaskHead | None:
        """The task's row alone; None where there is none of this owner."""

    async def get(self, task_id: str, *, owner: OwnerScope, payload: bool = True) -> Task | None:
        """The task with result, error, open pause and, where it is asked for, payload."""

    async def active(self, task_id: str) -> bool:
        """Whether work on this id makes sense: not of one that has ended, waits for an answer, is overdue, or has an
        ancestor whose end is its own. Unknown ids are active."""

    async def ends_with_ancestor(self, task_id: str) -> bool:
        """Whether a task has not ended and has an ancestor whose end is its own, too."""

    async def snapshot(self, task_id: str, after: int, *, owner: OwnerScope) -> Snapshot | None:
        """The task and its first updates beyond seq `after`, read in one statement; a page where there are many."""

    async def updates(self, task_id: str, after: int) -> Sequence[TaskUpdate]:
        """The next page of a task's updates beyond seq `after`; empty at the log's end. Here as in a snapshot
        and in the feed, bodies beyond LARGEST_INLINE are left out of an entry, which says so (`whole`)."""

    async def update(self, task_id: str, seq: int) -> TaskUpdate | None:
        """One entry of a log with all its bodies; None where it was retired."""

    async def page(self, query: TaskFilter) -> TaskPage:
        """A page of a list. The store looks at a bounded number of tasks for it, the newest ones where some are to be
        left out (`skip`)."""

    async def count(self, query: TaskFilter) -> int:
        """How many tasks there are up to the end of a list's page, among those that are looked at for one."""

    async def pause_point(self, task_id: str, *, owner: OwnerScope) -> PausePoint | None:
        """The task with its open pause and checkpoint; None where no such task is known."""


class Subscription(Protocol):
    """One follower's view of what comes after its snapshot."""

    def start(self, cursor: int) -> None:
        """From now on deliver updates beyond this seq."""

    async def next(self, wait: float) -> Sequence[TaskUpdate | FlyEvent]:
        """What came, in order; empty when nothing came for `wait` seconds."""

    async def last_words(self) -> Sequence[FlyEvent]:
        """FLY events that were sent before the terminal update was read but had not arrived yet."""


class UpdateFeed(Protocol):
    """The log as it grows, from whichever pod writes it."""

    def subscribe(self, task_id: str, *, fly: bool = True) -> AbstractAsyncContextManager[Subscription]:
        """Hear of this task from now on; subscribe first, then take the snapshot."""


class FlyBroadcast(Protocol):
    """Live events to every pod that has readers."""

    async def send(self, event: FlyEvent) -> None:
        """Returns after the notification was committed; raises Unavailable while the database is away."""


class OutboxEntry(NamedTuple):
    """A committed envelope that waits for the queue system's confirmation."""

    id: int
    task_id: str
    actor: str
    body: bytes


class Outbox(Protocol):
    """Where committed envelopes wait. Every method raises Unavailable while the database is away."""

    async def take(self, limit: int, per_actor: int, most_bytes: int = 2**26) -> list[OutboxEntry]:
        """Rows whose lease ran out, leased again to the caller, a fair share of each actor, no more bytes than asked
        for but for the first."""

    async def delivered(self, ids: Sequence[int]) -> None:
        """Remove what was confirmed."""

    async def failed(self, failures: Sequence[tuple[int, str]]) -> None:
        """Count the try, keep the reason, and wait longer before the next one."""
