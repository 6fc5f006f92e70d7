"""The places of a consumer: how many handlers run at a time, and how many ends may be stored behind them."""

import asyncio
from collections import deque
from collections.abc import Callable

ENDS = 256
"""Most hops of a consumer whose handler has ended while their ends are still being stored, beyond those in places."""
ENDS_BYTES = 32 * 1024 * 1024
"""Most bytes that these ends hold in memory."""


class Slots:
    """`count` places. A place is taken before a message is begun. It is free again when the handler has ended, and the
    hop's end is stored behind it; but while `ends` of them, or `ends_bytes` of them together, are not stored, a place
    is free only when its own end, or an earlier one, is."""

    def __init__(self, count: int, *, ends: int = ENDS, ends_bytes: int = ENDS_BYTES) -> None:
        self.count = count
        self._free = asyncio.Semaphore(count)
        self._most_ends, self._bytes_left = ends, ends_bytes
        self._kept: deque[Slot] = deque()
        self.ends = 0
        """How many ends are being stored behind free places."""
        self.on_free: Callable[[], None] = _nothing
        """Called when a place is free although the end before it is not stored."""

    @property
    def full(self) -> bool:
        """Whether every place is taken."""
        return self._free.locked()

    async def take(self) -> "Slot":
        """Wait for a free place."""
        await self._free.acquire()
        return Slot(self)

    def give(self, slot: "Slot") -> None:
        """The handler in this place has ended: the place is free now, or kept until there is room for its end."""
        self._kept.append(slot)
        self._give_kept()

    def close(self, slot: "Slot") -> None:
        """The message of this place is answered."""
        if not slot.given:
            if slot in self._kept:
                self._kept.remove(slot)
            self._free.release()
            return
        self.ends -= 1
        self._bytes_left += slot.size
        self._give_kept()

    def _give_kept(self) -> None:
        while self._kept and self.ends < self._most_ends and self._bytes_left >= self._kept[0].size:
            slot = self._kept.popleft()
            slot.given = True
            self.ends += 1
            self._bytes_left -= slot.size
            self._free.release()
            self.on_free()


class Slot:
    """One message's place."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.size = 0
        self.given = False
        self.ending = False
        """Whether the handler has ended."""

    def free(self, size: int) -> None:
        """The handler has ended; its end, of `size` bytes, is still to be stored."""
        if not self.ending:
            self.ending, self.size = True, size
            self._slots.give(self)

    def close(self) -> None:
        """The message is answered."""
        self._slots.close(self)


def _nothing() -> None:
    pass
