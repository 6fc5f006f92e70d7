"""The domain's interfaces to the outside. Storage and delivery implement them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from asya_crds.large_json import encode
from asya_crds.merging import filled
from asya_crds.status import TaskStatus
from asya_crds.violation import ArgumentCheck, Violation
from asya_gateway.domain.answers import Answer, Kept, PausePoint, RequestKey, Resumption
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.calls import Accepted
from asya_gateway.domain.conversations import NewConversation
from asya_gateway.domain.destinations import Destination
from asya_gateway.domain.hop_reports import (
    BeginReport,
    CrewReport,
    EndReport,
    HopAsked,
    HopBegun,
    HopEnded,
    HopStanding,
    PartReport,
)
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
from asya_gateway.domain.task import (
    LOG_PAGE,
    FlyEvent,
    JsonText,
    Snapshot,
    StoredPage,
    Task,
    TaskHead,
    TaskUpdate,
)


class NewTask(NamedTuple):
    """A task to be stored with its first update and its envelope, in one transaction. `route` is the JSON text of the
    envelope's route, `actor` the first actor on it. The deadline is `timeout` seconds after the database stores the
    task. (A named tuple, because one is created for every call.)"""

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
    via: str | None = None
    """How the caller proved who it is (principals.Via); None for a program of the gateway."""
    source: str | None = None
    """The address that the call came from."""
    conversation: NewConversation | None = None
    """What A2A keeps beside the task, stored together with it."""
    destination: Destination | None = None
    """Where its changes are delivered from the first one on, stored together with it. Not for `create`."""


class Terms(NamedTuple):
    """The conditions for storing a call that is not plain. `key` is the caller's key, `digest` that of its request,
    `retry_of` the task that is run again. The caps limit the open tasks of its owner and of its flow. Each is None if
    it does not apply."""

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
class TaskFilter:
    """Which tasks to list, newest first. `after` is the (created_at, id) of the last task seen. `whole`: the page is
    full if there are enough tasks, however long the search takes; `skip` is how many tasks to skip in such a page."""

    owner: OwnerScope
    status: TaskStatus | None = None
    flow: str | None = None
    context_id: str | None = None
    parent_id: str | None = None
    after: tuple[datetime, str] | None = None
    limit: int = 50
    skip: int = 0
    whole: bool = False
    flows: frozenset[str] | None = None
    """Flows of which the list shows tasks; None for every one."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks without their bodies, newest first. If there are fewer than requested, the list ends, unless `reached` is
    set: it is the (created_at, id) up to which the store has searched, and the list continues after it."""

    tasks: "list[TaskHead]"
    reached: tuple[datetime, str] | None


class Examiner(Protocol):
    """Checks a value against its schema and encodes it, without blocking the event loop."""

    async def __call__(self, check: ArgumentCheck | None, value: Any) -> tuple[Sequence[Violation], JsonText]:
        """The violations, and the JSON text if there are none. Raises Overloaded."""


async def examined_here(check: ArgumentCheck | None, value: Any) -> tuple[Sequence[Violation], JsonText]:
    """An Examiner that works on the event loop."""
    violations = () if check is None else check(value)
    return violations, "" if violations else encode(value)


class Filler(Protocol):
    """Merges an answer into the payload of a checkpoint, without blocking the event loop."""

    async def __call__(self, checkpoint: JsonText, answer: JsonText, fields: Sequence[Mapping[str, Any]]) -> JsonText:
        """The checkpoint with the answer's values of the named fields. Raises CannotMerge, Overloaded."""


async def filled_here(checkpoint: JsonText, answer: JsonText, fields: Sequence[Mapping[str, Any]]) -> JsonText:
    """A Filler that works on the event loop."""
    return filled(checkpoint, answer, fields)


class Digester(Protocol):
    """Digests JSON values (idempotency.digest_of) without blocking the event loop."""

    async def __call__(self, *parts: Any) -> bytes:
        """Raises Overloaded."""


async def digested_here(*parts: Any) -> bytes:
    """A Digester that works on the event loop."""
    return digest_of(*parts)


Left = Callable[[str], None]
"""Called with the id of a task that was stored although whoever wanted it has left meanwhile: nobody else knows it."""


class TaskStore(Protocol):
    """Tasks in Postgres. Every method raises Unavailable while the database is away."""

    async def create(self, new: NewTask, left: Left | None = None) -> datetime:
        """Store the task, its first update and its envelope; returns after the commit, with the time of both.
        Idempotent by id. Not for a conversation in which the client names its task, nor for a destination."""

    async def admit(self, new: NewTask, terms: Terms, left: Left | None = None) -> Accepted:
        """Store the task like create, with its destination, unless its key already names one. Returns the call's task,
        with the time of its row if it was stored now. Raises TooManyTasks, KeyReused, and Conflict if another task of
        the owner has the name that the client gave this one."""

    async def find_call(self, owner: str, key: str, digest: bytes) -> str | None:
        """The id of the task that a caller's key names; None if there is none. Raises KeyReused."""

    async def report(self, report: ProgressReport) -> ProgressAnswer:
        """Check, update and append in one statement; returns after the commit."""

    def begin(self, report: BeginReport) -> Awaitable[HopBegun]:
        """Check, claim, and append the entries `received` and `processing`; returns after the commit. A task that has
        ended, waits or is overdue is not claimed. The same claimant's repeated begin changes nothing."""

    def end(self, report: EndReport) -> Awaitable[HopEnded]:
        """End a hop: everything that follows from it, or nothing; returns after the commit. The same claimant's
        repeated end is answered as the first was."""

    async def keep_part(self, report: PartReport) -> HopEnded:
        """Store some envelopes of a hop until its end. Idempotent by claimant and number."""

    async def crew_says(self, report: CrewReport) -> None:
        """Store that a crew runs, or that it ends; returns after the commit."""

    async def finish(self, report: FinalReport) -> FinalOutcome:
        """End a task; the first terminal status wins. Descendants that end with it are ended afterwards, in chunks."""

    async def replace_unreported(self, report: FinalReport, if_late: FinalReport) -> bool:
        """Replace the end of a child that was ended because no end was reported (END_NOT_REPORTED), in row and log: by
        `if_late` if its deadline is over, else by `report`. False if it ended in another way."""

    async def expect_final(self, task_id: str) -> None:
        """The task's final report arrived incomplete. If it does not come again in time, the task fails."""

    async def cancel(self, report: FinalReport, key: RequestKey) -> FinalOutcome:
        """End a task like finish. APPLIED also if this key ended it before. Raises KeyReused."""

    async def find_request(self, task_id: str, owner: OwnerScope, key: RequestKey) -> bool:
        """Whether this action was already done to the task under the key. Raises KeyReused."""

    async def pause(self, report: PauseReport) -> ProgressAnswer:
        """Store the question and stop the clock. A pause that was already answered changes nothing. Raises InvalidInput
        if it uses the key of an earlier one."""

    async def answer(self, answer: Answer, onward: Resumption) -> bool:
        """Store the last answer of a pause, set the task to running and queue the resume envelope; False if another
        answer came first."""

    async def keep_answer(self, answer: Answer) -> Kept:
        """Store an answer if other inputs of the pause are still open."""

    async def set_aside(self, answer: Answer) -> bool:
        """Record a decline or a consent after which the input stays open; False if it is not open any more."""

    async def fail_declined(self, answer: Answer, report: FinalReport) -> bool:
        """End the task because an input was declined; False if it is not open any more."""

    async def announce(self, child: ChildAnnouncement) -> None:
        """Store a fan-out's child without an envelope. Idempotent by id."""

    async def head(self, task_id: str, *, owner: OwnerScope) -> TaskHead | None:
        """Only the task's row; None if this owner has no such task."""

    async def get(self, task_id: str, *, owner: OwnerScope, payload: bool = True) -> Task | None:
        """The task with result, error, open pause and, on request, payload."""

    async def active(self, task_id: str) -> bool:
        """Whether work on this task makes sense: not if it has ended, waits for an answer, is overdue, or has an
        ancestor whose end also ends it. Unknown ids are active."""

    async def standing(self, asked: HopAsked) -> HopStanding | None:
        """What is known of a hop; None for an unknown task."""

    async def ends_with_ancestor(self, task_id: str) -> bool:
        """Whether the task is open and has an ancestor whose end also ends it."""

    async def snapshot(self, task_id: str, after: int, *, owner: OwnerScope, most: int = LOG_PAGE) -> Snapshot | None:
        """The task and its first updates beyond seq `after`, read in one statement: a page of at most so many bytes,
        but of one entry at least; with 0 only the task."""

    async def updates(self, task_id: str, after: int, most: int = LOG_PAGE) -> StoredPage:
        """The next page of a task's updates beyond seq `after`; empty at the log's end. As in a snapshot and in the
        feed, bodies larger than LARGEST_INLINE are left out of an entry, and its `whole` is false."""

    async def update(self, task_id: str, seq: int) -> TaskUpdate | None:
        """One entry of a log with all its bodies; None if retention has removed it."""

    async def page(self, query: TaskFilter) -> TaskPage:
        """A page of a list. The store searches a bounded number of tasks for it; with `skip`, only the newest ones."""

    async def count(self, query: TaskFilter) -> int:
        """The number of tasks up to the end of a list's page, among those that are searched for one."""

    async def pause_point(self, task_id: str, *, owner: OwnerScope) -> PausePoint | None:
        """The task with its open pause and checkpoint; None if there is no such task."""


class Subscription(Protocol):
    """The updates and events of one task after a follower's snapshot."""

    @property
    def early(self) -> bool:
        """Whether it has kept what was said since before its reader came."""

    def start(self, cursor: int) -> None:
        """From now on deliver updates beyond this seq."""

    async def next(self, wait: float) -> Sequence[TaskUpdate | FlyEvent]:
        """New items in order; empty if nothing came for `wait` seconds."""

    async def last_words(self) -> Sequence[FlyEvent]:
        """FLY events that were sent before the terminal update was read but had not yet arrived."""


class EndWatch(Protocol):
    """One wait for one task."""

    async def next(self, wait: float) -> Task | TaskHead | None:
        """The task once it has ended; only its row if it asks a question or its bodies are large; None if neither came
        for `wait` seconds. Raises TaskNotFound."""


class UpdateFeed(Protocol):
    """New log entries, whichever pod writes them."""

    @property
    def budget(self) -> Budget:
        """To which entries are charged while they wait for their readers."""

    def subscribe(self, task_id: str, *, fly: bool = True) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to a task. Subscribe first, then take the snapshot."""

    async def expect(self, task_id: str) -> None:
        """Keep the live events of a task, which need not exist yet, for a subscriber who comes in a moment."""

    def expect_nobody(self, task_id: str) -> None:
        """That subscriber does not come."""

    def watch(self, task_id: str, *, owner: OwnerScope, payload: bool) -> AbstractContextManager[EndWatch]:
        """Wait for the end of a task, or for its question, without reading its log. `payload`: whether it is read with
        its payload."""


class FlyBroadcast(Protocol):
    """Sends live events to every pod that has readers."""

    async def send(self, events: Sequence[FlyEvent]) -> None:
        """Send events in order; returns after all are committed. Raises Overloaded, and Unavailable while the database
        is away."""


class OutboxEntry(NamedTuple):
    """A committed envelope that waits for the queue system's confirmation. `sump`: of one that a hop sent, the actor to
    which its failure goes if it cannot be sent. `overdue`: its queue has been missing for too long. `told`: why its
    queue is missing, as the log of its task has it."""

    id: int
    task_id: str
    actor: str
    body: bytes
    sump: str | None = None
    overdue: bool = False
    told: str | None = None


class Refused(NamedTuple):
    """An envelope that the queue system did not accept, and why. `unroutable`: because its queue is missing."""

    entry: OutboxEntry
    reason: str
    unroutable: bool = False


class Outbox(Protocol):
    """Where committed envelopes wait. Every method raises Unavailable while the database is away."""

    async def take(self, limit: int, per_actor: int, most_bytes: int = 2**26) -> list[OutboxEntry]:
        """Lease rows whose lease has run out: a fair share of each actor, at most `most_bytes` except that the first
        row is always taken."""

    async def delivered(self, ids: Sequence[int]) -> None:
        """Remove confirmed rows."""

    async def failed(self, failures: Sequence[Refused]) -> None:
        """Record the attempt and the reason, and wait longer before the next attempt. If a queue is missing, the log of
        the task gets the reason, once for each."""

    async def recover(self, actor: str) -> bool:
        """Make rows due that wait for another attempt at this actor's queue, oldest first. Returns whether all are."""

    async def replace(self, entry: OutboxEntry, reason: str) -> None:
        """Put this envelope in the place of the row with its id, due at once. It waits for its queue without end."""
