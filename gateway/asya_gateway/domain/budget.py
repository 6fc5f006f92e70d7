"""How many bytes this process may hold at once: one budget, from which everything that others can make large draws.

What does not fit waits where it costs nothing (in its row, or unread in its socket) or is refused with 503. The numbers
are weights: what a body takes at the worst moment of its way, copies and decoded form included.
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
"""Calls and readers that wait for room at the same time; more are refused at once, since each holds a connection."""
SMALL = 64 * 1024
"""Bytes that need not stand in line behind larger ones."""
GIVE_WAY = 2.0
"""Seconds after which small ones stand in line, too, or a stream of them would keep a large one out for ever."""


class NoRoom(Overloaded):
    """This process holds as many bytes as it may; nothing was done."""

    code = "no_memory"


class Share(StrEnum):
    """Who draws. Each share has a ceiling, so that no other can take all of the budget."""

    REPORTS = "reports"
    """Bodies of reports and finals: never refused, they wait unread. They may use whatever is free, and a part of the
    budget is theirs alone."""
    CALLS = "calls"
    """Bodies of calls, answers and live events."""
    HELD = "held"
    """Held requests, without what waits for their readers."""
    WAITING = "waiting"
    """Updates and live events that wait for their readers. What does not fit stays in the log, or is dropped."""
    READERS = "readers"
    """Bodies on their way to a reader."""
    WRITES = "writes"
    """What waits to be committed, also when its caller has left."""
    DELIVERIES = "deliveries"
    """Envelopes between commit and confirmation; what does not fit stays in its row."""

    # An Enum's own is written in Python, and each request looks into several tables of shares.
    __hash__ = str.__hash__


_CEILINGS = {Share.REPORTS: 1.0, Share.CALLS: 0.5, Share.WRITES: 1.0} | dict.fromkeys(
    (Share.HELD, Share.WAITING, Share.READERS, Share.DELIVERIES), 0.25
)
KEPT_FOR_REPORTS = 0.25


class Lease:
    """Bytes that are held for one purpose until they are released. Not for use by several tasks at once."""

    __slots__ = ("_held", "_token", "budget", "bytes")

    def __init__(self, budget: "Budget") -> None:
        self.budget = budget
        self._held: list[tuple[Share, int]] = []
        self._token: Token[Lease | None] | None = None
        self.bytes = 0
        """What is held."""

    def __enter__(self) -> Self:
        self._token = _scope.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _scope.reset(self._token)
        if self._held:
            self.release()

    def hold(self, share: Share, size: int) -> None:
        """Note what the budget has granted."""
        self._held.append((share, size))
        self.bytes += size

    def shrink(self, size: int) -> None:
        """Keep only so many bytes of what was granted last."""
        share, granted = self._held.pop()
        self.budget.give_back(share, granted - size)
        self._held.append((share, size))
        self.bytes += size - granted

    def last(self) -> tuple[Share, int]:
        """What was granted last."""
        return self._held[-1]

    def grow(self, size: int) -> None:
        """Note that the budget has granted so many bytes more."""
        share, granted = self._held.pop()
        self._held.append((share, granted + size))
        self.bytes += size

    def release(self) -> None:
        """Give everything back; may be repeated."""
        while self._held:
            self.budget.give_back(*self._held.pop())
        self.bytes = 0


_scope: ContextVar[Lease | None] = ContextVar("budget", default=None)


class _Waiting(NamedTuple):
    size: int
    granted: asyncio.Future[None]
    since: float
    own: int
    """Bytes of the share that it holds already."""


class Budget:
    """`total` bytes. One body, however large, always fits: at the latest when its share is empty, and it does become
    empty, since small ones give way."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.kept = int(total * KEPT_FOR_REPORTS)
        self._ceilings = {share: int(total * part) for share, part in _CEILINGS.items()}
        self._beside_held = total - self._ceilings[Share.HELD]
        self.refused = 0
        self._held = dict.fromkeys(Share, 0)
        self._used = 0
        self._in_line = 0
        """Entries of all lines together, so that a request need not look through each."""
        self._waiting: dict[Share, deque[_Waiting]] = {
            # In the order in which room is given.
            share: deque()
            for share in (Share.REPORTS, Share.READERS, Share.CALLS)
        }

    @classmethod
    def unbounded(cls) -> Self:
        """A budget that nobody fills, for programs that bound themselves."""
        return cls(1 << 50)

    @staticmethod
    def around() -> "Budget":
        """The budget of the scope around; without a scope one that has no bounds."""
        lease = _scope.get()
        return _UNBOUNDED if lease is None else lease.budget

    def held(self) -> dict[str, float]:
        """Bytes held, by share."""
        return {share.value: float(size) for share, size in self._held.items()}

    def waiting(self) -> dict[str, float]:
        """How many wait for room, by share."""
        return {share.value: float(len(line)) for share, line in self._waiting.items()}

    def holds(self, share: Share) -> int:
        """Bytes that a share holds."""
        return self._held[share]

    def ceiling(self, share: Share) -> int:
        """The most that a share may hold."""
        return self._ceilings[share]

    def room(self, share: Share) -> int:
        """How many bytes of this share would be granted now."""
        left = self._ceilings[share] - self._held[share]
        if share is Share.HELD:
            # Small and many: they have their part to themselves, so that no call that is to be held is refused for
            # its own body.
            return max(0, left)
        free = self._beside_held - self._used + self._held[Share.HELD]
        return max(0, min(left, free if share is Share.REPORTS else free - self.kept))

    def _fits(self, share: Share, size: int, own: int = 0) -> bool:
        # Whoever finds its share empty but for himself is served: the ceilings of the others leave it what it needs,
        # near enough.
        return size <= self.room(share) or self._held[share] <= own

    def charge(self, share: Share, size: int) -> None:
        """Count bytes that are there already, whether or not they fit."""
        self._held[share] += size
        self._used += size

    def give_back(self, share: Share, size: int) -> None:
        """The bytes are gone."""
        self._held[share] -= size
        self._used -= size
        if self._in_line:
            self._wake()

    def try_take(self, share: Share, size: int) -> bool:
        """Count the bytes if they fit."""
        if not self._fits(share, size):
            return False
        self.charge(share, size)
        return True

    def take(self, share: Share, size: int) -> None:
        """Count the bytes. Raises NoRoom."""
        if not self.try_take(share, size):
            self.refused += 1
            raise NoRoom("the gateway's memory budget is used up, try again")

    def scope(self) -> Lease:
        """A context manager: what is reserved within the block, by its task or one that it starts, is given back at
        its end."""
        return Lease(self)

    def reserve_now(self, share: Share, size: int) -> bool:
        """`reserve` where that needs no waiting; False where it does, and nothing is held then."""
        lease = _scope.get()
        if lease is None:
            return True
        if (self._in_line and self._stands_behind(share, size)) or not self.try_take(share, size):
            return False
        lease.hold(share, size)
        return True

    async def reserve(self, share: Share, size: int) -> None:
        """Hold bytes until the end of the scope around; wait for room, reports without end. Without a scope nothing
        is counted. Raises NoRoom."""
        if self.reserve_now(share, size):
            return
        await self._wait(share, size)
        lease = _scope.get()
        assert lease is not None
        lease.hold(share, size)

    async def grow(self, size: int) -> None:
        """Hold so many bytes more of what the scope around reserved last. Nobody who waits goes before: the sooner it
        has all that it needs, the sooner it is gone. Of two that wait for each other one is refused. Raises NoRoom."""
        lease = _scope.get()
        if lease is None:
            return
        share, own = lease.last()
        if self._fits(share, size, own):
            self.charge(share, size)
        else:
            await self._wait(share, size, own)
        lease.grow(size)

    def grow_at_once(self, size: int) -> None:
        """As `grow`, whether or not they fit."""
        lease = _scope.get()
        if lease is not None:
            self.charge(lease.last()[0], size)
            lease.grow(size)

    def add(self, share: Share, size: int) -> None:
        """Count bytes that are about to be there until the end of the scope around, whether or not they fit: who
        holds a body must not wait for more, or two would wait for each other."""
        lease = _scope.get()
        if lease is not None:
            self.charge(share, size)
            lease.hold(share, size)

    def shrink(self, size: int) -> None:
        """Of what the scope around reserved last, so many bytes were enough."""
        lease = _scope.get()
        if lease is not None:
            lease.shrink(size)

    def release(self) -> None:
        """Give back what the scope around holds so far: it was stored, or sent."""
        lease = _scope.get()
        if lease is not None:
            lease.release()

    def _stands_behind(self, share: Share, size: int) -> bool:
        line = self._waiting[share]
        return bool(line) and (size > SMALL or asyncio.get_running_loop().time() >= line[0].since + GIVE_WAY)

    async def _wait(self, share: Share, size: int, own: int = 0) -> None:
        line, patient = self._waiting[share], share is Share.REPORTS
        if not patient and len(line) >= MOST_WAITING:
            self.refused += 1
            raise NoRoom("the gateway's memory budget is used up, try again")
        loop = asyncio.get_running_loop()
        granted = loop.create_future()
        entry = _Waiting(size, granted, loop.time(), own)
        line.append(entry)
        self._in_line += 1
        try:
            async with asyncio.timeout(None if patient else PATIENCE):
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
                self.refused += 1
                raise NoRoom("the gateway's memory budget is used up, try again") from None
            raise

    def _wake(self) -> None:
        """Serve who waits, reports first, each line in its order."""
        for share, line in self._waiting.items():
            while line and self._fits(share, line[0].size, line[0].own):
                size, granted, _, _ = line.popleft()
                self._in_line -= 1
                if granted.cancelled():
                    continue
                self.charge(share, size)
                granted.set_result(None)


_UNBOUNDED = Budget.unbounded()
