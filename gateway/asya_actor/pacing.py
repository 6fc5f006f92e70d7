"""How many messages a consumer holds: enough that no free place waits for the queue system, and none that another
consumer could begin sooner."""

import asyncio
from time import monotonic

from asya_actor.slots import Slots
from asya_transports.port import Prefetch

AHEAD_SECONDS = 0.1
"""Messages are held that the handlers begin within this time."""
AHEAD = 256
AHEAD_BYTES = 4 * 1024 * 1024
WINDOW = 0.5
"""Seconds over which the speed is measured."""
BUSY_FOR = 0.25
"""Seconds without a begin after which a consumer whose places are all taken returns the messages that it holds."""


class PrefetchPacing:
    """Sets the prefetch of one consumer: one message for each place and for each end that is being stored, and some
    ahead if the handlers are fast."""

    def __init__(self, slots: Slots) -> None:
        self.prefetch = Prefetch(slots.count)
        self._slots = slots
        self._begun, self._bytes = 0, 0
        self._since = self._last = monotonic()
        self._watching: asyncio.TimerHandle | None = None
        slots.on_free = self._raise

    def begun(self, size: int) -> None:
        """A message of `size` bytes is begun."""
        now = self._last = monotonic()
        self._begun += 1
        self._bytes += size
        if now - self._since >= WINDOW:
            rate, mean = self._begun / (now - self._since), self._bytes / self._begun
            self._set(now, min(AHEAD, int(rate * AHEAD_SECONDS), int(AHEAD_BYTES / max(1.0, mean))))
        if self._watching is None and self._slots.full:
            self._watch(BUSY_FOR)

    def stop(self) -> None:
        """Change nothing any more."""
        self._slots.on_free = _nothing
        if self._watching is not None:
            self._watching.cancel()

    def _raise(self) -> None:
        """A place is free although the end before it is not stored. What this raises is lowered later, because not
        every queue system changes a prefetch at no cost."""
        self.prefetch.set(max(self.prefetch.most, self._slots.count + self._slots.ends))

    def _set(self, now: float, ahead: int) -> None:
        self._begun, self._bytes, self._since = 0, 0, now
        self.prefetch.set(self._slots.count + max(ahead, self._slots.ends))

    def _watch(self, seconds: float) -> None:
        self._watching = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._watching = None
        if not self._slots.full:
            return
        now = monotonic()
        left = BUSY_FOR - (now - self._last)
        if left > 0:
            self._watch(left)
        else:
            self._set(now, 0)


def _nothing() -> None:
    pass
