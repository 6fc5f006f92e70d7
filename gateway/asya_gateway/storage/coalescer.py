"""Combines many waiting writes into one statement and one commit. Every caller is answered after the commit."""

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
from asya_gateway.storage.retrying import Doubt, Settle, until_answered

log = logging.getLogger(__name__)

ALONE_FOR = 0.002
"""Seconds that a flush runs alone. If it takes longer (a slow disk, a locked row), another one starts: commits that
wait together share a disk write, and the lock of one row must not delay all others."""
Item = TypeVar("Item")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of what is committed together and of what may wait, in rows and bytes. `patience`: seconds after which a
    write is given up while the database is unavailable. `refuses`: whether a write is refused if too many rows wait, or
    waits until there are fewer. `whole_rows`: batches of at most so many rows are not split, because the fixed cost of
    a statement then outweighs that of its rows."""

    batch_rows: int = 256
    whole_rows: int = 32
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
    rows: int = 1
    left: "Callable[[Reply], None] | None" = None
    """Called with the reply if its waiter has left."""
    doubtful: bool = False
    """Whether an attempt ended without the server's answer, so that the write may have been done."""


Flush = Callable[[Sequence[Item]], Awaitable[Sequence[Reply]]]
"""Writes a batch in one transaction and returns the replies in the order of the items."""


class Coalescer(Generic[Item, Reply]):
    """Collects writes while earlier ones are being committed.

    If many writes are ready, a flush takes half of them. If it took everything, all callers would wait for the database
    at the same time and be answered at the same time, so that database and event loop would alternate instead of
    working in parallel (docs/performance.md).

    `rows` counts the rows that an item writes, one by default; an item of more rows than a batch may have is written
    alone.

    At most one item of a key is in a batch or in flight, and items of one key keep their order: a statement with the
    same row twice would apply one change and drop the other. Items without a key (None) are all of different rows. If a
    waiter leaves, its write is still done. Flushes run in separate tasks, which a waiter's cancellation does not reach.
    """

    def __init__(
        self,
        name: str,
        flush: Flush[Item, Reply],
        *,
        key: Callable[[Item], Hashable],
        size: Callable[[Item], int],
        rows: Callable[[Item], int] | None = None,
        limits: Limits,
        concurrency: int = 2,
        budget: Budget | None = None,
        settle: Settle | None = None,
    ) -> None:
        self.name = name
        self._settle = settle
        self._budget = budget or Budget.unbounded()
        self._flush = flush
        self._key = key
        self._size = size
        self._rows = rows
        self._limits = limits
        self._concurrency = concurrency
        self._ready: deque[_Waiting[Item, Reply]] = deque()
        # A key is here while one of its writes is ready or in flight; later writes of the key wait behind it.
        self._behind: dict[Hashable, deque[_Waiting[Item, Reply]] | None] = {}
        self._waiting = 0
        self._waiting_bytes = 0
        self._outside: deque[asyncio.Future[None]] = deque()
        """Callers that wait until fewer writes wait, if `refuses` is false; in the order of their arrival."""
        self._admitted = 0
        """How many of them have been admitted but have not continued yet."""
        self._flushes: set[asyncio.Task[None]] = set()
        self._flushing = 0
        self._alone_until = 0.0
        self._closed = False

    @property
    def waiting(self) -> int:
        """The number of waiting writes."""
        return self._waiting

    async def submit(self, item: Item, left: Callable[[Reply], None] | None = None) -> Reply:
        """Write the item with others; returns after the commit. If the waiter leaves before that, `left` is called with
        the reply.

        Raises Overloaded if too much waits already (for rows, only if `refuses`), Unavailable while the database is
        unavailable, and the database's own error for this item.
        """
        size = self._size(item)
        limits = self._limits
        if self._closed:
            raise Unavailable("shutting down")
        if self._waiting + self._admitted >= limits.waiting_rows:
            await self._come_in()
        if self._waiting_bytes + size > limits.waiting_bytes:
            raise Overloaded("too many writes are waiting")
        # A cancelled waiter cancels only this future; the write continues.
        reply = self._entered(item, size, left)
        try:
            return await reply
        except asyncio.CancelledError:
            if left is not None and not reply.cancelled() and reply.exception() is None:
                # The write was done, and its waiter was cancelled in the moment between.
                asyncio.get_running_loop().call_soon(left, reply.result())
            raise

    def enter(self, item: Item) -> Awaitable[Reply]:
        """As `submit`, without a coroutine for each write of a caller that waits for many. It need not be awaited for
        the write to be done."""
        size, limits = self._size(item), self._limits
        full = self._waiting + self._admitted >= limits.waiting_rows
        if self._closed or full or self._waiting_bytes + size > limits.waiting_bytes:
            return asyncio.ensure_future(self.submit(item))
        return self._entered(item, size)

    async def close(self) -> None:
        """Accept nothing more, and wait until all accepted writes, and those that wait for admission, are written or
        given up."""
        self._closed = True
        while self._flushes or self._outside or self._admitted:
            if self._flushes:
                await asyncio.wait(self._flushes)
            else:
                await asyncio.sleep(0)

    def _entered(self, item: Item, size: int, left: Callable[[Reply], None] | None = None) -> asyncio.Future[Reply]:
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        rows = 1 if self._rows is None else self._rows(item)
        self._line_up(_Waiting(item, self._key(item), size, reply, rows, left))
        self._start_flush()
        return reply

    async def _come_in(self) -> None:
        """Wait until another write may wait. Raises Overloaded, or Unavailable if the database is unavailable."""
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
        # Charged beyond the request, whose caller may leave. Room for its body was granted before.
        self._budget.charge(Share.WRITES, entry.size)
        self._waiting += 1
        self._waiting_bytes += entry.size
        if entry.key is None:
            self._ready.append(entry)
            return
        if entry.key not in self._behind:
            self._behind[entry.key] = None
            self._ready.append(entry)
            return
        behind = self._behind[entry.key]
        if behind is None:
            behind = self._behind[entry.key] = deque()
        behind.append(entry)

    def _start_flush(self) -> None:
        if self._flushing >= self._concurrency:
            # Under load nearly every write comes here, and none needs to know the time.
            return
        if not self._flushing or asyncio.get_running_loop().time() >= self._alone_until:
            self._add_flush()

    def _add_flush(self) -> None:
        if self._flushing >= self._concurrency or not self._ready:
            return
        self._flushing += 1
        # A flush serves many requests, so it must not log and trace with the context of the one that started it.
        task = asyncio.create_task(self._run(), name=f"flush {self.name}", context=Context())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _run(self) -> None:
        # One turn of the event loop lets requests that arrived together join one batch.
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
            # Counted here, not at the task's end, which becomes visible a turn later. A write in between would find two
            # flushes that take nothing more, and would wait for the next write.
            self._flushing -= 1

    def _take(self) -> list[_Waiting[Item, Reply]]:
        """The next batch, in the order in which its writes became ready."""
        batch: list[_Waiting[Item, Reply]] = []
        rows = min(self._limits.batch_rows, max(self._limits.whole_rows, (len(self._ready) + 1) // 2))
        size = count = 0
        while self._ready and len(batch) < rows:
            entry = self._ready[0]
            count += entry.rows
            if batch and (size + entry.size > self._limits.batch_bytes or count > self._limits.batch_rows):
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
        """Make the next writes of the written keys ready. (Twenty thousand writes of one key cost no more than those of
        as many keys, because they are not searched.)"""
        self._budget.give_back(Share.WRITES, sum([entry.size for entry in written]))
        for entry in written:
            if entry.key is None:
                continue
            behind = self._behind[entry.key]
            if behind:
                self._ready.append(behind.popleft())
            else:
                del self._behind[entry.key]

    async def _write(self, batch: list[_Waiting[Item, Reply]]) -> Unavailable | None:
        """Write the batch and answer its waiters; returns the error if the database was unavailable."""
        # After a lost connection it is unknown whether the commit happened; items are idempotent by key.
        items = [entry.item for entry in batch]
        doubt = Doubt()
        try:
            replies = await until_answered(
                lambda: self._flush(items), self._limits.patience, self.name, doubt, self._settle
            )
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
            elif entry.left is not None:
                # In a turn of its own, so that whatever it raises is no matter of this batch.
                asyncio.get_running_loop().call_soon(entry.left, reply)
        return None

    def _give_up_waiting(self, error: Unavailable) -> None:
        """Fail all waiting writes. The database was unavailable for the whole patience of a batch, and thousands of
        writes, tried batch after batch, would otherwise fail only minutes later."""
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
            if entry.key is not None:
                del self._behind[entry.key]
            _fail(entry, error)

    async def _write_singly(self, batch: list[_Waiting[Item, Reply]], error: Exception) -> Unavailable | None:
        """The server refused the batch, so nothing was written: write row by row to find the refused one."""
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
            # The error is about the batch, or about one that this write waited behind; the outcome must be this write's
            # own.
            error = _told(entry, error)
        entry.reply.set_exception(error)
        # A waiter that left never reads the answer; asyncio must not log that as an error.
        entry.reply.exception()


def _told(entry: _Waiting[Item, Reply], error: Unavailable) -> Unavailable:
    return _told_of(error, uncertain=entry.doubtful)


def _told_of(error: Unavailable, *, uncertain: bool) -> Unavailable:
    told = Unavailable(error.reason, uncertain=uncertain)
    told.__cause__ = error.__cause__ or error
    return told
