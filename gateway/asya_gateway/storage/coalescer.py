"""Many waiting writes become one statement, committed once; every caller is answered after the commit."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.errors import Overloaded, Unavailable
from asya_gateway.storage.database import SERVER_BUSY
from asya_gateway.storage.retrying import Doubt, until_answered

log = logging.getLogger(__name__)

ALONE_FOR = 0.002
"""Seconds that a flush has the database to itself. One that takes longer (a slow disk, a locked row) gets company:
commits that wait together share a write to the disk, and one row's lock must not hold up everybody."""
LEAST = 32
"""Rows that are never split: below it, what a statement costs besides its rows outweighs the rest."""

Item = TypeVar("Item")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is committed together, and how much may wait. Rows and bytes; `patience` is the seconds after
    which a write that finds no database is given up. `refuses`: whether what finds too many rows waiting is refused, or
    waits until there are fewer."""

    batch_rows: int = 256
    batch_bytes: int = 4 * 1024 * 1024
    waiting_rows: int = 20_000
    waiting_bytes: int = 256 * 1024 * 1024
    patience: float = 5.0
    refuses: bool = True


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Reply]):
    item: Item
    key: Hashable
    size: int
    reply: asyncio.Future[Reply] = field(repr=False)
    doubtful: bool = False
    """Whether a try ended without the server's answer, so that the write may have been done."""


Flush = Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]]
"""Writes a batch in one transaction and returns the replies in the order of the items."""


class Coalescer(Generic[Item, Reply]):
    """Collects writes while earlier ones are being committed.

    A flush takes half of what is ready, where that is many. If it took everything, all callers would wait for the
    database at the same time and be answered at the same time, and the two would work in turn instead of side by
    side (docs/performance.md).

    At most one item of a key is in a batch or on its way, and items of one key keep their order: a statement
    that meets a row twice would apply one change and drop the other. A waiter that goes away leaves its write
    to be done. Flushing belongs to tasks of its own, which no waiter's cancellation reaches.
    """

    def __init__(
        self,
        name: str,
        flush: Flush[Item, Reply],
        *,
        key: Callable[[Item], Hashable],
        size: Callable[[Item], int],
        limits: Limits,
        concurrency: int = 2,
        budget: Budget | None = None,
    ) -> None:
        self.name = name
        self._budget = budget or Budget.unbounded()
        self._flush = flush
        self._key = key
        self._size = size
        self._limits = limits
        self._concurrency = concurrency
        self._ready: deque[_Waiting[Item, Reply]] = deque()
        # A key is here while a write of it is ready or on its way; later ones of the key stand behind it.
        self._behind: dict[Hashable, deque[_Waiting[Item, Reply]] | None] = {}
        self._waiting = 0
        self._waiting_bytes = 0
        self._outside: deque[asyncio.Future[None]] = deque()
        """Who waits for fewer to wait, where nobody is refused; in the order in which they came."""
        self._admitted = 0
        """Those of them who may come in and have not yet."""
        self._flushes: set[asyncio.Task[None]] = set()
        self._flushing = 0
        self._alone_until = 0.0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many writes wait for their turn."""
        return self._waiting

    async def submit(self, item: Item) -> Reply:
        """Write the item with others; returns after the commit.

        Raises Overloaded when too much waits already (of rows, where that is refused), Unavailable while the database
        is away, and whatever the database answered to this very item.
        """
        size = self._size(item)
        limits = self._limits
        if self._closed:
            raise Unavailable("shutting down")
        if self._waiting + self._admitted >= limits.waiting_rows:
            await self._come_in()
        if self._waiting_bytes + size > limits.waiting_bytes:
            raise Overloaded("too many writes are waiting")
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._line_up(_Waiting(item, self._key(item), size, reply))
        self._start_flush()
        # A waiter that is cancelled cancels this future and nothing else; the write goes on.
        return await reply

    async def close(self) -> None:
        """Take nothing more, and wait until what was taken is written or given up, and what waits outside."""
        self._closed = True
        while self._flushes or self._outside or self._admitted:
            if self._flushes:
                await asyncio.wait(self._flushes)
            else:
                await asyncio.sleep(0)

    async def _come_in(self) -> None:
        """Wait until so few wait that one more may. Raises Overloaded, Unavailable where the database is away."""
        if self._limits.refuses:
            raise Overloaded("too many writes are waiting")
        may_come_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outside.append(may_come_in)
        try:
            await may_come_in
        except asyncio.CancelledError:
            if not may_come_in.cancelled() and may_come_in.exception() is None:
                self._admitted -= 1
                self._let_in()
            raise
        self._admitted -= 1

    def _let_in(self) -> None:
        while self._outside and self._waiting + self._admitted < self._limits.waiting_rows:
            may_come_in = self._outside.popleft()
            if not may_come_in.done():
                self._admitted += 1
                may_come_in.set_result(None)

    def _line_up(self, entry: _Waiting[Item, Reply]) -> None:
        # Counted beyond the request, whose caller may leave; what is read was given room before.
        self._budget.charge(Share.WRITES, entry.size)
        self._waiting += 1
        self._waiting_bytes += entry.size
        if entry.key not in self._behind:
            self._behind[entry.key] = None
            self._ready.append(entry)
            return
        behind = self._behind[entry.key]
        if behind is None:
            behind = self._behind[entry.key] = deque()
        behind.append(entry)

    def _start_flush(self) -> None:
        if not self._flushing or asyncio.get_running_loop().time() >= self._alone_until:
            self._add_flush()

    def _add_flush(self) -> None:
        if self._flushing >= self._concurrency or not self._ready:
            return
        self._flushing += 1
        # A flush serves many requests, so it must not log and trace in the name of the one that started it.
        task = asyncio.create_task(self._run(), name=f"flush {self.name}", context=Context())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _run(self) -> None:
        # A turn of the loop lets requests that arrived together join one batch.
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(0)
            while batch := self._take():
                if self._flushing == 1:
                    self._alone_until = loop.time() + ALONE_FOR
                company = loop.call_later(ALONE_FOR, self._add_flush)
                try:
                    await self._write(batch)
                finally:
                    company.cancel()
                    self._let_next(batch)
        finally:
            # Counted here and not by the task's end, which others hear of a turn later: a write that came in
            # between would find two flushes that take nothing more, and wait for the next write.
            self._flushing -= 1

    def _take(self) -> list[_Waiting[Item, Reply]]:
        """The next batch, in the order in which its writes became ready."""
        batch: list[_Waiting[Item, Reply]] = []
        rows = min(self._limits.batch_rows, max(LEAST, (len(self._ready) + 1) // 2))
        size = 0
        while self._ready and len(batch) < rows:
            entry = self._ready[0]
            if batch and size + entry.size > self._limits.batch_bytes:
                break
            self._ready.popleft()
            batch.append(entry)
            size += entry.size
        self._waiting -= len(batch)
        self._waiting_bytes -= size
        if self._outside:
            self._let_in()
        return batch

    def _let_next(self, written: list[_Waiting[Item, Reply]]) -> None:
        """What stood behind a written key is ready now. (Twenty thousand writes of one key cost no more than
        those of as many keys: nobody looks through them.)"""
        self._budget.give_back(Share.WRITES, sum(entry.size for entry in written))
        for entry in written:
            behind = self._behind[entry.key]
            if behind:
                self._ready.append(behind.popleft())
            else:
                del self._behind[entry.key]

    async def _write(self, batch: list[_Waiting[Item, Reply]]) -> Unavailable | None:
        """Write the batch and answer its waiters; returns what was wrong with the database, if it was away."""
        # After a lost connection nobody knows whether the commit happened; items are idempotent by key.
        items = [entry.item for entry in batch]
        doubt = Doubt()
        try:
            replies = await until_answered(lambda: self._flush(items), self._limits.patience, self.name, doubt)
        except Unavailable as error:
            _doubt(batch, doubt)
            for entry in batch:
                _fail(entry, error)
            self._give_up_waiting(error)
            return error
        except Exception as error:  # noqa: BLE001 # whatever the server answered belongs to one of the rows
            _doubt(batch, doubt)
            return await self._write_singly(batch, error)
        for entry, reply in zip(batch, replies, strict=True):
            if not entry.reply.done():
                entry.reply.set_result(reply)
        return None

    def _give_up_waiting(self, error: Unavailable) -> None:
        """The database was away for the whole patience of a batch, so it is away for whoever waits behind it:
        thousands, tried batch after batch, would otherwise be told minutes later."""
        ready, self._ready = self._ready, deque()
        self._waiting = self._waiting_bytes = 0
        outside, self._outside = self._outside, deque()
        for may_come_in in outside:
            if not may_come_in.done():
                may_come_in.set_exception(_told_of(error, uncertain=False))
        for key, behind in self._behind.items():
            self._behind[key] = None
            for entry in behind or ():
                self._budget.give_back(Share.WRITES, entry.size)
                _fail(entry, error)
        for entry in ready:
            self._budget.give_back(Share.WRITES, entry.size)
            del self._behind[entry.key]
            _fail(entry, error)

    async def _write_singly(self, batch: list[_Waiting[Item, Reply]], error: Exception) -> Unavailable | None:
        """The server refused the batch, so nothing of it was written: find out which row it refused."""
        if len(batch) == 1:
            busy = Unavailable("the database is busy")
            busy.__cause__ = error
            _fail(batch[0], busy if isinstance(error, SERVER_BUSY) else error)
            return None
        log.warning("%s: a batch of %d was rejected (%s), writing row by row", self.name, len(batch), error)
        away: Unavailable | None = None
        for entry in batch:
            if away is None:
                away = await self._write([entry])
            else:
                _fail(entry, away)
        return away


def _doubt(batch: Sequence[_Waiting[Item, Reply]], doubt: Doubt) -> None:
    if doubt.raised:
        for entry in batch:
            entry.doubtful = True


def _fail(entry: _Waiting[Item, Reply], error: Exception) -> None:
    if not entry.reply.done():
        if isinstance(error, Unavailable):
            # The error tells of the batch, or of one that others waited behind; the outcome is this write's own.
            error = _told(entry, error)
        entry.reply.set_exception(error)
        # A waiter that went away never asks for the answer; that is no error of its own.
        entry.reply.exception()


def _told(entry: _Waiting[Item, Reply], error: Unavailable) -> Unavailable:
    return _told_of(error, uncertain=entry.doubtful)


def _told_of(error: Unavailable, *, uncertain: bool) -> Unavailable:
    told = Unavailable(error.reason, uncertain=uncertain)
    told.__cause__ = error.__cause__ or error
    return told
