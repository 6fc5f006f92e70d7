"""The bytes that this process may hold at once: one budget, charged for everything whose size outsiders can control.

Data that does not fit waits where it costs nothing (in its row, or unread in its socket), or is refused with 503. The
numbers are weights: the peak cost of a body, including copies and its decoded form.
"""

import asyncio
import contextlib
from collections import deque
from contextvars import ContextVar, Token
from enum import StrEnum
from typing import NamedTuple, Self

from asya_gateway.domain.errors import Overloaded

PATIENCE = 5.0
"""Seconds that a call or a reader waits for room before it is refused."""
MOST_WAITING = 256
"""Most calls and readers that wait for room at the same time. More are refused at once, because each holds a
connection."""
SMALL = 64 * 1024
"""Requests of at most this many bytes need not wait in line behind larger ones."""
GIVE_WAY = 2.0
"""Seconds after which small requests wait in line too. Otherwise a steady stream of them could block a large one
forever."""


class NoRoom(Overloaded):
    """The budget is used up. Nothing was done."""

    code = "no_memory"


class Share(StrEnum):
    """The uses of the budget. Each share has a ceiling, so that no share can take all of it."""

    REPORTS = "reports"
    """Bodies of reports and finals. They are never refused but wait unread. They may use all free room, and a part of
    the budget is reserved for them."""
    CALLS = "calls"
    """Bodies of calls, answers and live events."""
    HELD = "held"
    """Held requests, without the items queued for their readers."""
    WAITING = "waiting"
    """Updates and live events that wait for their readers. Updates that do not fit stay in the log; events are
    dropped."""
    READERS = "readers"
    """Bodies being sent to a reader."""
    LOGS = "logs"
    """Stored entries of logs that are being sent to their readers. Those that do not fit are read later."""
    WRITES = "writes"
    """Writes that wait to be committed, even if their callers have left."""
    DELIVERIES = "deliveries"
    """Envelopes between commit and confirmation. Those that do not fit stay in their rows."""

    # Enum's own hash is written in Python, and each request uses several tables keyed by share.
    __hash__ = str.__hash__


_CEILINGS = {Share.REPORTS: 1.0, Share.CALLS: 0.5, Share.LOGS: 0.125, Share.WRITES: 1.0} | dict.fromkeys(
    (Share.HELD, Share.WAITING, Share.READERS, Share.DELIVERIES), 0.25
)
KEPT_FOR_REPORTS = 0.25


class Reservation:
    """Bytes held for one purpose until they are released. Not for concurrent use by several tasks."""

    __slots__ = ("_token", "budget", "bytes", "held")

    def __init__(self, budget: "Budget") -> None:
        self.budget = budget
        self.held: list[tuple[Share, int]] = []
        self._token: Token[Reservation | None] | None = None
        self.bytes = 0
        """The bytes held."""

    def __enter__(self) -> Self:
        self._token = _scope.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _scope.reset(self._token)
        if self.held:
            self.release()

    def hold(self, share: Share, size: int) -> None:
        """Record bytes granted by the budget."""
        self.held.append((share, size))
        self.bytes += size

    def shrink(self, size: int) -> None:
        """Keep only `size` bytes of the last grant."""
        share, granted = self.held.pop()
        self.budget.give_back(share, granted - size)
        self.held.append((share, size))
        self.bytes += size - granted

    def split(self, number: int) -> "list[Reservation]":
        """What it holds in so many leases of the same size, in place of it."""
        made = [Reservation(self.budget) for _ in range(number)]
        for share, size in self.held:
            part, rest = divmod(size, number)
            for lease in made:
                lease.hold(share, part + rest)
                rest = 0
        self.held, self.bytes = [], 0
        return made

    def last(self) -> tuple[Share, int]:
        """The last grant."""
        return self.held[-1]

    def grow(self, size: int) -> None:
        """Record an increase of the last grant."""
        share, granted = self.held.pop()
        self.held.append((share, granted + size))
        self.bytes += size

    def release(self) -> None:
        """Return everything; may be called again."""
        self.budget.give_back_all(self.held)
        self.bytes = 0


_scope: ContextVar[Reservation | None] = ContextVar("budget", default=None)


class _Waiting(NamedTuple):
    size: int
    granted: asyncio.Future[None]
    since: float
    own: int
    """Bytes of the share that the waiter already holds."""


class Budget:
    """A budget of `total` bytes. One body of any size always fits, at the latest when its share is empty; small ones
    give way, so it does become empty."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.kept = int(total * KEPT_FOR_REPORTS)
        self._ceilings = {share: int(total * part) for share, part in _CEILINGS.items()}
        self._beside_held = total - self._ceilings[Share.HELD]
        self._plenty = self._beside_held - self.kept
        """While no more than this is used, a share below its ceiling is granted."""
        self.refused = 0
        self._held = dict.fromkeys(Share, 0)
        self._used = 0
        self._in_line = 0
        """The number of entries in all lines, so that a request need not check each line."""
        self._waiting: dict[Share, deque[_Waiting]] = {
            # In the order in which room is granted.
            share: deque()
            for share in (Share.REPORTS, Share.READERS, Share.CALLS, Share.LOGS)
        }

    @classmethod
    def unbounded(cls) -> Self:
        """A budget without a limit, for programs with other limits."""
        return cls(1 << 50)

    @staticmethod
    def around() -> "Budget":
        """The budget of the enclosing scope; without a scope, one without a limit."""
        lease = _scope.get()
        return _UNBOUNDED if lease is None else lease.budget

    def held(self) -> dict[str, float]:
        """Bytes held, by share."""
        return {share.value: float(size) for share, size in self._held.items()}

    def waiting(self) -> dict[str, float]:
        """The number of waiters, by share."""
        return {share.value: float(len(line)) for share, line in self._waiting.items()}

    def holds(self, share: Share) -> int:
        """Bytes held by a share."""
        return self._held[share]

    def ceiling(self, share: Share) -> int:
        """The most that a share may hold."""
        return self._ceilings[share]

    def room(self, share: Share) -> int:
        """Bytes that this share would be granted now."""
        left = self._ceilings[share] - self._held[share]
        if share is Share.HELD:
            # Held requests are small and many. They have a separate part, so that a call that will be held is not
            # refused because of its own body.
            return max(0, left)
        free = self._beside_held - self._used + self._held[Share.HELD]
        return max(0, min(left, free if share is Share.REPORTS else free - self.kept))

    def _fits(self, share: Share, size: int, own: int = 0) -> bool:
        # A request is granted if its share is otherwise empty: the ceilings of the other shares leave it roughly what
        # it needs.
        return size <= self.room(share) or self._held[share] <= own

    def charge(self, share: Share, size: int) -> None:
        """Charge bytes that are already in memory, even if they do not fit."""
        self._held[share] += size
        self._used += size

    def give_back(self, share: Share, size: int) -> None:
        """Return bytes that are no longer in memory."""
        self._held[share] -= size
        self._used -= size
        if self._in_line:
            self._wake()

    def give_back_all(self, grants: list[tuple[Share, int]]) -> None:
        """Return the grants, and remove them from the list."""
        for share, size in grants:
            self._held[share] -= size
            self._used -= size
        grants.clear()
        if self._in_line:
            self._wake()

    def try_take(self, share: Share, size: int) -> bool:
        """Charge the bytes if they fit; returns whether they do."""
        if not self._fits(share, size):
            return False
        self.charge(share, size)
        return True

    def take_in_turn(self, share: Share, size: int) -> bool:
        """`try_take`, unless others wait for room in this share."""
        return not self._waiting[share] and self.try_take(share, size)

    async def wait(self, share: Share, size: int, seconds: float) -> bool:
        """Charge the bytes when there is room for them, in the order of those who wait; returns whether that was so
        within so many seconds."""
        return self.take_in_turn(share, size) or await self._granted(share, size, 0, seconds)

    def take(self, share: Share, size: int) -> None:
        """Charge the bytes. Raises NoRoom."""
        if not self.try_take(share, size):
            self.refused += 1
            raise NoRoom("the gateway's memory budget is used up, try again")

    def scope(self) -> Reservation:
        """A context manager: bytes reserved within the block, by its task or one that it starts, are returned at its
        end."""
        return Reservation(self)

    def handed_over(self) -> Reservation:
        """What the enclosing scope holds, as a lease of its own for work that goes on after it. Its owner enters it or
        releases it."""
        lease, scope = Reservation(self), _scope.get()
        if scope is not None:
            lease.held, scope.held = scope.held, lease.held
            lease.bytes, scope.bytes = scope.bytes, lease.bytes
        return lease

    def try_lease(self, share: Share, size: int) -> Reservation | None:
        """A lease of so many bytes that its owner enters or releases; None if they do not fit, or if others wait."""
        return self._leased(share, size) if self.take_in_turn(share, size) else None

    async def lease(self, share: Share, size: int) -> Reservation:
        """The same when there is room, however long that takes, in the order of those who wait."""
        if not self.take_in_turn(share, size):
            await self._granted(share, size, 0, None)
        return self._leased(share, size)

    def _leased(self, share: Share, size: int) -> Reservation:
        lease = Reservation(self)
        lease.hold(share, size)
        return lease

    def reserve_now(self, share: Share, size: int) -> bool:
        """`reserve` if it needs no waiting; otherwise returns False and holds nothing."""
        lease = _scope.get()
        if lease is None:
            return True
        held, used = self._held[share] + size, self._used + size
        if not self._in_line and used <= self._plenty and held <= self._ceilings[share]:
            # What `room`, `charge` and `hold` do, written out: every request comes this way.
            self._held[share] = held
            self._used = used
            lease.held.append((share, size))
            lease.bytes += size
            return True
        if (self._in_line and self._stands_behind(share, size)) or not self.try_take(share, size):
            return False
        lease.hold(share, size)
        return True

    async def reserve(self, share: Share, size: int) -> None:
        """Hold bytes until the end of the enclosing scope. It waits for room, for reports without a time limit. Without
        a scope nothing is charged. Raises NoRoom."""
        if self.reserve_now(share, size):
            return
        await self._wait(share, size)
        lease = _scope.get()
        assert lease is not None
        lease.hold(share, size)

    async def grow(self, size: int) -> None:
        """Increase the last reservation of the enclosing scope. It goes before all waiters: the sooner it has all that
        it needs, the sooner it ends. Of two that wait for each other, one is refused. Raises NoRoom."""
        lease = _scope.get()
        if lease is None:
            return
        share, own = lease.last()
        if self._fits(share, size, own):
            self.charge(share, size)
        else:
            await self._wait(share, size, own)
        lease.grow(size)

    async def extend(self, share: Share, size: int) -> None:
        """`grow` if the last reservation of the enclosing scope is of this share, so that its holder does not wait for
        itself; else `reserve`. Raises NoRoom."""
        lease = _scope.get()
        if lease is not None and lease.held and lease.last()[0] is share:
            await self.grow(size)
        else:
            await self.reserve(share, size)

    def grow_at_once(self, size: int) -> None:
        """Like `grow`, even if the bytes do not fit."""
        lease = _scope.get()
        if lease is not None:
            self.charge(lease.last()[0], size)
            lease.grow(size)

    def add(self, share: Share, size: int) -> None:
        """Charge bytes that will be in memory until the end of the enclosing scope, even if they do not fit. A request
        that holds a body must not wait for more, or two could wait for each other."""
        lease = _scope.get()
        if lease is not None:
            self.charge(share, size)
            lease.hold(share, size)

    def shrink(self, size: int) -> None:
        """Reduce the last reservation of the enclosing scope to `size` bytes."""
        lease = _scope.get()
        if lease is not None:
            lease.shrink(size)

    def release(self) -> None:
        """Return what the enclosing scope holds so far, because it was stored or sent."""
        lease = _scope.get()
        if lease is not None:
            lease.release()

    def _stands_behind(self, share: Share, size: int) -> bool:
        line = self._waiting[share]
        return bool(line) and (size > SMALL or asyncio.get_running_loop().time() >= line[0].since + GIVE_WAY)

    async def _wait(self, share: Share, size: int, own: int = 0) -> None:
        patient = share is Share.REPORTS
        full = not patient and len(self._waiting[share]) >= MOST_WAITING
        if full or not await self._granted(share, size, own, None if patient else PATIENCE):
            self.refused += 1
            raise NoRoom("the gateway's memory budget is used up, try again")

    async def _granted(self, share: Share, size: int, own: int, seconds: float | None) -> bool:
        """Wait in line; False if it takes longer."""
        line, loop = self._waiting[share], asyncio.get_running_loop()
        granted = loop.create_future()
        entry = _Waiting(size, granted, loop.time(), own)
        line.append(entry)
        self._in_line += 1
        try:
            async with asyncio.timeout(seconds):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                self.give_back(share, size)
            else:
                with contextlib.suppress(ValueError):
                    line.remove(entry)
                    self._in_line -= 1
                self._wake()
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def _wake(self) -> None:
        """Serve the waiters: reports first, each line in its order."""
        for share, line in self._waiting.items():
            while line and self._fits(share, line[0].size, line[0].own):
                size, granted, _, _ = line.popleft()
                self._in_line -= 1
                if granted.cancelled():
                    continue
                self.charge(share, size)
                granted.set_result(None)


_UNBOUNDED = Budget.unbounded()
