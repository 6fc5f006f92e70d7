"""New log entries: one reader per process for all its followers, woken by the bell and by a timer."""

import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.ports import NewTask
from asya_gateway.domain.task import FlyEvent, TaskUpdate
from asya_gateway.storage.database import Database
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.log.ends import Ends, TaskEndWatch
from asya_gateway.storage.log.expected import ExpectedReaders
from asya_gateway.storage.log.fly import FlyReceiver
from asya_gateway.storage.log.held_events import HeldEvents
from asya_gateway.storage.log.rounds import ReadRounds
from asya_gateway.storage.log.waiter import Waiter
from asya_gateway.storage.tasks.growing import GROWN_BYTES, grown

log = logging.getLogger(__name__)

CHANNEL = "asya_updates"
GOES_ON = "\x01goes on"
"""Marks a ring for tasks that have neither ended nor asked a question, so that nobody who waits for that looks at them.
A process of the previous version takes it for a task that nobody follows."""
ENDED = "\x01ended"
"""Marks a ring for tasks that have ended. It is rung after the end was committed, and notifications come in the order
of their commits: whoever hears it has heard every live event that was committed before the end. Older processes as
above."""
UPDATES_KEPT = 1_000
UPDATES_KEPT_BYTES = 4 * 1024 * 1024
"""Limit of the updates that wait for a slow reader. Beyond it, no more are read for this reader, and they stay in the
log. The last read may exceed the limit by one page (reading.PAGE, PAGE_BYTES)."""
FLY_KEPT = 1_000
FLY_KEPT_BYTES = 4 * 1024 * 1024
"""Limit of the live events that wait for a slow reader. Beyond either limit the oldest are dropped, because they are
not stored."""


ITEM_WEIGHT = 3
"""Weight of an update or event per byte: the item, the SSE event made of it, and the socket's copy."""
PAGE_LEFT = 1024 * 1024
"""With less room than this, in bytes, nothing is read for waiting readers; it stays in the log."""


class Follower:
    """One reader of one task. Implements the domain's Subscription."""

    def __init__(self, feed: "LogFeed", task_id: str, fly: bool) -> None:
        self.task_id = task_id
        self.fly = fly
        self.cursor: int | None = None
        self.heard_of_end = False
        """Whether the bell told that the task has ended."""
        self.early = False
        """Whether it heard of the task before its reader came."""
        self._gone = False
        self._feed = feed
        self._items: list[TaskUpdate | FlyEvent] = []
        self._held = HeldEvents()
        self._updates_waiting = 0
        self._updates_bytes = 0
        self._fly_waiting = 0
        self._fly_bytes = 0
        self._weight_waiting = 0
        self._weight_given = 0
        self._waiter = Waiter()

    @property
    def hungry(self) -> bool:
        """Whether updates should be read for this follower now."""
        return self.cursor is not None and not self._full and self._feed.has_room

    @property
    def _full(self) -> bool:
        return self._updates_waiting >= UPDATES_KEPT or self._updates_bytes >= UPDATES_KEPT_BYTES

    def start(self, cursor: int) -> None:
        """Deliver updates beyond this seq from now on."""
        self.cursor = cursor
        self._items += self._held.released(cursor)
        self._feed.read_on(self.task_id)

    def take_updates(self, updates: Sequence[tuple[TaskUpdate, int]]) -> None:
        """Queue the updates that this follower does not have, each given with its size in bytes."""
        assert self.cursor is not None
        if self._gone:
            # It left while they were read, and nobody would give back what is charged for them.
            return
        for update, size in updates:
            if update.seq == self.cursor + 1:
                if not self._count(size):
                    # It stays in the log; a poll reads it when there is room.
                    break
                self.cursor = update.seq
                self._items.append(update)
                self._updates_waiting += 1
                self._updates_bytes += size
                self._items += self._held.released(update.seq)
        self._waiter.wake()

    def hold_until(self, seq: int) -> None:
        """Deliver the live events that come now after the update with this seq."""
        if not self._gone and self._held.until(seq, self.cursor):
            self._feed.read_on(self.task_id)

    def take_fly(self, events: Sequence[FlyEvent], size: int) -> None:
        """Queue live events whose payloads have `size` bytes together, dropping the oldest ones if too many wait."""
        if self._gone:
            return
        if not self._count(size):
            if len(events) == 1:
                self._feed.fly_dropped += 1
                return
            # There may be room for some of them.
            for event in events:
                self.take_fly([event], len(event.payload))
            return
        if not self._held.hold(events, self.cursor):
            self._items += events
        self._fly_waiting += len(events)
        self._fly_bytes += size
        while self._fly_waiting > FLY_KEPT or (self._fly_bytes > FLY_KEPT_BYTES and self._fly_waiting > 1):
            oldest = next((item for item in self._items if isinstance(item, FlyEvent)), None)
            if oldest is None:
                oldest = self._held.pop_oldest()
            else:
                self._items.remove(oldest)
            self._fly_waiting -= 1
            self._fly_bytes -= len(oldest.payload)
            self._weight_waiting -= ITEM_WEIGHT * len(oldest.payload)
            self._feed.budget.give_back(Share.WAITING, ITEM_WEIGHT * len(oldest.payload))
            self._feed.fly_dropped += 1
        self._waiter.wake()

    def _count(self, size: int) -> bool:
        """Charge an item that waits for this reader to the budget; False if there is no room."""
        weight = ITEM_WEIGHT * size
        if not self._feed.budget.try_take(Share.WAITING, weight):
            return False
        self._weight_waiting += weight
        return True

    def _written(self) -> None:
        """The items last given to this follower have been written or dropped."""
        self._feed.budget.give_back(Share.WAITING, self._weight_given)
        self._weight_given = 0

    def leave(self) -> None:
        """Drop the waiting items when the reader has gone, and take no more."""
        self._gone = True
        self._held.release_all()
        self._drain()
        self._written()

    async def next(self, wait: float) -> Sequence[TaskUpdate | FlyEvent]:
        """New items in order; empty if nothing came for `wait` seconds. The caller has written the items given
        before."""
        self._written()
        if not self._items:
            await self._waiter.wait(wait)
        was_full = self._full
        items = self._drain()
        if was_full:
            self._feed.read_on(self.task_id)
        return items

    async def last_words(self) -> Sequence[FlyEvent]:
        """FLY events that were committed before the terminal update but had not arrived when that was read."""
        if self.fly and not self.heard_of_end:
            await self._feed.fly_barrier()
        self._items += self._held.release_all()
        return [item for item in self._drain() if isinstance(item, FlyEvent)]

    def _drain(self) -> list[TaskUpdate | FlyEvent]:
        items, self._items = self._items, []
        self._fly_waiting, self._fly_bytes = len(self._held), self._held.bytes
        held = ITEM_WEIGHT * self._fly_bytes
        self._weight_given += self._weight_waiting - held
        self._weight_waiting = held
        self._updates_waiting = self._updates_bytes = 0
        return items


class LogFeed:
    """Reads the log for every follower of this process with one statement at a time."""

    def __init__(self, database: Database, bell: Bell, fly: FlyReceiver, budget: Budget) -> None:
        self._database = database
        self.budget = budget
        self._bell = bell
        self._fly = fly
        self._followers: dict[str, set[Follower]] = defaultdict(set)
        self._rounds = ReadRounds("log feed", self._read)
        self._ends = Ends(database)
        self._expected = ExpectedReaders(self._leave)
        self._unsubscribe: Callable[[], None] | None = None
        self.fly_dropped = 0
        fly.deliver = self._take_fly
        fly.hold_until = self._hold_until
        bell.on_connect(self.look_at_all)

    @property
    def followers(self) -> int:
        """The number of readers in this process that follow a task or wait for its end."""
        return sum(len(group) for group in self._followers.values()) + self._ends.waiting

    async def start(self) -> None:
        """Begin to read."""
        await self._rounds.start()
        await self._ends.start()

    async def stop(self) -> None:
        """Stop reading. Followers time out by themselves."""
        self._expected.forget_all()
        await self._rounds.stop()
        await self._ends.stop()

    @contextlib.asynccontextmanager
    async def subscribe(self, task_id: str, *, fly: bool = True) -> AsyncGenerator[Follower]:
        """Follow a task. Only processes with followers listen to the bell's channels."""
        follower = (self._expected.take(task_id) if fly else None) or self._join(task_id, fly)
        try:
            if fly and not follower.early:
                await self._fly.add_reader()
            yield follower
        finally:
            self._leave(follower)

    async def expect(self, task_id: str) -> None:
        """Keep the live events of a task from now on for the next reader who wants them, who comes in a moment.
        Whoever waits for longer says it again."""
        if self._expected.renew(task_id):
            return
        follower = self._join(task_id, fly=True)
        try:
            await self._fly.add_reader()
        except BaseException:
            self._leave(follower)
            raise
        follower.early = True
        self._expected.keep(task_id, follower)

    def expect_nobody(self, task_id: str) -> None:
        """The reader who was expected does not come."""
        self._expected.forget(task_id)

    @property
    def has_room(self) -> bool:
        """Whether the budget has room for items that wait for readers."""
        left = min(PAGE_LEFT, self.budget.ceiling(Share.WAITING) // 4)
        return self.budget.room(Share.WAITING) > left or not self.budget.holds(Share.WAITING)

    def _join(self, task_id: str, fly: bool) -> Follower:
        self._listen()
        follower = Follower(self, task_id, fly)
        self._followers[task_id].add(follower)
        return follower

    def _leave(self, follower: Follower) -> None:
        follower.leave()
        if follower.fly:
            self._fly.remove_reader()
        group = self._followers[follower.task_id]
        group.discard(follower)
        if not group:
            del self._followers[follower.task_id]

    def watch(self, task_id: str, *, owner: OwnerScope, payload: bool) -> AbstractContextManager[TaskEndWatch]:
        """Wait for the end of a task, or for its question."""
        self._listen()
        return self._ends.watch(task_id, owner, payload)

    def creating(self, tasks: Iterable[NewTask]) -> None:
        """These are about to be created here. Their ends will be heard of if this process listens already."""
        if self._bell.listens(CHANNEL):
            self._ends.newborn.add([(new.id, new.owner) for new in tasks])

    def _listen(self) -> None:
        if self._unsubscribe is None:
            self._unsubscribe = self._bell.subscribe(CHANNEL, self._rung)

    def look_at(self, task_ids: Iterable[str], *, go_on: bool = False) -> None:
        """Read the logs of these tasks soon; `go_on`: they have neither ended nor asked a question."""
        self._rounds.look_at([task_id for task_id in task_ids if task_id in self._followers])
        if not go_on:
            self._ends.look_at(task_ids)

    def read_on(self, task_id: str) -> None:
        """Read the log of this followed task soon."""
        self._rounds.look_at([task_id])

    def look_at_all(self) -> None:
        """Read the logs of all followed tasks soon."""
        self._rounds.look_at_all()
        self._ends.look_at_all()

    async def fly_barrier(self) -> None:
        """Wait until every live event committed so far has been delivered."""
        await self._bell.round_trip()

    def _rung(self, payload: str) -> None:
        ids = payload.split("\n")
        if ids[0] == ENDED:
            for task_id in ids:
                for follower in self._followers.get(task_id, ()):
                    follower.heard_of_end = True
        self.look_at(ids, go_on=ids[0] == GOES_ON)

    def _hold_until(self, task_id: str, seq: int) -> None:
        for follower in self._followers.get(task_id, ()):
            if follower.fly:
                follower.hold_until(seq)

    def _take_fly(self, task_id: str, events: Sequence[FlyEvent]) -> None:
        size = sum(len(event.payload) for event in events)
        for follower in self._followers.get(task_id, ()):
            if follower.fly:
                follower.take_fly(events, size)

    async def _read(self, task_ids: set[str] | None) -> None:
        """Read beyond the slowest hungry follower of each task, and give each follower the updates that it does not
        have."""
        hungry = {
            task_id: waiting
            for task_id in (tuple(self._followers) if task_ids is None else task_ids)
            if (waiting := [follower for follower in self._followers.get(task_id, ()) if follower.hungry])
        }
        if not hungry:
            return
        cursors = [(task_id, min(follower.cursor or 0 for follower in group)) for task_id, group in hungry.items()]
        room = max(PAGE_LEFT, self.budget.room(Share.WAITING) // ITEM_WEIGHT)
        pages = await grown(self._database, cursors, min(2 * GROWN_BYTES, room))
        for (task_id, _), page in zip(cursors, pages, strict=True):
            for follower in hungry[task_id] if page.updates else ():
                follower.take_updates(page.updates)
            if page.more:
                self.read_on(task_id)
