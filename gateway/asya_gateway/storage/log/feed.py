"""New log entries: one reader per process for all its followers, woken by the bell and by a timer."""

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.polling import POLL_EVERY
from asya_gateway.domain.task import FlyEvent, TaskUpdate
from asya_gateway.storage.database import Database
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.log.fly import FlyReceiver
from asya_gateway.storage.tasks.growing import GROWN_BYTES, grown

log = logging.getLogger(__name__)

CHANNEL = "asya_updates"
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
        self._feed = feed
        self._items: deque[TaskUpdate | FlyEvent] = deque()
        self._updates_waiting = 0
        self._updates_bytes = 0
        self._fly_waiting = 0
        self._fly_bytes = 0
        self._weight_waiting = 0
        self._weight_given = 0
        self._arrived = asyncio.Event()

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
        self._feed.look_at([self.task_id])

    def take_updates(self, updates: Sequence[tuple[TaskUpdate, int]]) -> None:
        """Queue the updates that this follower does not have, each given with its size in bytes."""
        assert self.cursor is not None
        for update, size in updates:
            if update.seq == self.cursor + 1:
                if not self._count(size):
                    # It stays in the log; a poll reads it when there is room.
                    break
                self.cursor = update.seq
                self._items.append(update)
                self._updates_waiting += 1
                self._updates_bytes += size
        self._arrived.set()

    def take_fly(self, event: FlyEvent) -> None:
        """Queue a live event, dropping the oldest ones if too many wait."""
        if not self._count(len(event.payload)):
            self._feed.fly_dropped += 1
            return
        self._items.append(event)
        self._fly_waiting += 1
        self._fly_bytes += len(event.payload)
        while self._fly_waiting > FLY_KEPT or (self._fly_bytes > FLY_KEPT_BYTES and self._fly_waiting > 1):
            oldest = next(item for item in self._items if isinstance(item, FlyEvent))
            self._items.remove(oldest)
            self._fly_waiting -= 1
            self._fly_bytes -= len(oldest.payload)
            self._weight_waiting -= ITEM_WEIGHT * len(oldest.payload)
            self._feed.budget.give_back(Share.WAITING, ITEM_WEIGHT * len(oldest.payload))
            self._feed.fly_dropped += 1
        self._arrived.set()

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
        """Drop the waiting items when the reader has gone."""
        self._drain()
        self._written()

    async def next(self, wait: float) -> Sequence[TaskUpdate | FlyEvent]:
        """New items in order; empty if nothing came for `wait` seconds. The caller has written the items given
        before."""
        self._written()
        if not self._items:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._arrived.wait()
        was_full = self._full
        items = self._drain()
        if was_full:
            self._feed.look_at([self.task_id])
        return items

    async def last_words(self) -> Sequence[FlyEvent]:
        """FLY events that were committed before the terminal update but had not arrived when that was read."""
        if self.fly:
            await self._feed.fly_barrier()
        return [item for item in self._drain() if isinstance(item, FlyEvent)]

    def _drain(self) -> list[TaskUpdate | FlyEvent]:
        items = list(self._items)
        self._items.clear()
        self._weight_given += self._weight_waiting
        self._weight_waiting = 0
        self._updates_waiting = self._updates_bytes = self._fly_waiting = self._fly_bytes = 0
        self._arrived.clear()
        return items


class LogFeed:
    """Reads the log for every follower of this process with one statement at a time."""

    def __init__(self, database: Database, bell: Bell, fly: FlyReceiver, budget: Budget) -> None:
        self._database = database
        self.budget = budget
        self._bell = bell
        self._fly = fly
        self._followers: dict[str, set[Follower]] = defaultdict(set)
        self._dirty: set[str] = set()
        self._all_dirty = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self.fly_dropped = 0
        fly.deliver = self._take_fly
        bell.on_connect(self.look_at_all)

    @property
    def followers(self) -> int:
        """The number of readers in this process that follow a task."""
        return sum(len(group) for group in self._followers.values())

    async def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._run(), name="log feed")

    async def stop(self) -> None:
        """Stop reading. Followers time out by themselves."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def subscribe(self, task_id: str, *, fly: bool = True) -> AsyncGenerator[Follower]:
        """Follow a task. Only processes with followers listen to the bell's channels."""
        if self._unsubscribe is None:
            self._unsubscribe = self._bell.subscribe(CHANNEL, self._rung)
        follower = Follower(self, task_id, fly)
        self._followers[task_id].add(follower)
        try:
            if fly:
                await self._fly.add_reader()
            yield follower
        finally:
            self._leave(follower)

    @property
    def has_room(self) -> bool:
        """Whether the budget has room for items that wait for readers."""
        left = min(PAGE_LEFT, self.budget.ceiling(Share.WAITING) // 4)
        return self.budget.room(Share.WAITING) > left or not self.budget.holds(Share.WAITING)

    def _leave(self, follower: Follower) -> None:
        follower.leave()
        if follower.fly:
            self._fly.remove_reader()
        group = self._followers[follower.task_id]
        group.discard(follower)
        if not group:
            del self._followers[follower.task_id]

    def look_at(self, task_ids: Iterable[str]) -> None:
        """Read the logs of these tasks soon."""
        followed = [task_id for task_id in task_ids if task_id in self._followers]
        if followed:
            self._dirty.update(followed)
            self._wake.set()

    def look_at_all(self) -> None:
        """Read the logs of all followed tasks soon."""
        self._all_dirty = True
        self._wake.set()

    async def fly_barrier(self) -> None:
        """Wait until every live event committed so far has been delivered."""
        await self._bell.round_trip()

    def _rung(self, payload: str) -> None:
        self.look_at(payload.split("\n"))

    def _take_fly(self, event: FlyEvent) -> None:
        for follower in self._followers.get(event.task_id, ()):
            if follower.fly:
                follower.take_fly(event)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_poll = loop.time() + POLL_EVERY
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_poll):
                    await self._wake.wait()
            # By time, not by silence: if one task rings all the time, a lost ring for another task would never be
            # noticed.
            everything = self._all_dirty or loop.time() >= next_poll
            if everything:
                next_poll = loop.time() + POLL_EVERY
            self._wake.clear()
            dirty, self._dirty, self._all_dirty = self._dirty, set(), False
            try:
                await self._read(tuple(self._followers) if everything else tuple(dirty))
            except Exception as error:  # noqa: BLE001 # the next poll tries again, and followers must not end
                log.warning("log feed: cannot read: %s", error)
                self._all_dirty = True
                await asyncio.sleep(0.2)

    async def _read(self, task_ids: Sequence[str]) -> None:
        """Read beyond the slowest hungry follower of each task, and give each follower the updates that it does not
        have."""
        hungry = {
            task_id: waiting
            for task_id in task_ids
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
                self.look_at([task_id])
