"""Live events that wait until their reader has the updates that were stored before them."""

from collections import deque
from collections.abc import Sequence

from asya_gateway.domain.task import FlyEvent


class HeldEvents:
    """Belongs to one reader. Events arrive and are released in order."""

    __slots__ = ("_events", "_until", "bytes")

    def __init__(self) -> None:
        self._until = 0
        self._events: deque[tuple[int, FlyEvent]] = deque()
        self.bytes = 0
        """Of the payloads that are held."""

    def __len__(self) -> int:
        return len(self._events)

    def until(self, seq: int, cursor: int | None) -> bool:
        """Events that come now belong behind this update. Whether a reader that has read up to `cursor` lacks it."""
        self._until = max(self._until, seq)
        return cursor is not None and cursor < self._until

    def hold(self, events: Sequence[FlyEvent], cursor: int | None) -> bool:
        """Hold these events if a reader that has read up to `cursor` lacks an update before them; None has read
        nothing."""
        if (cursor or 0) >= self._until:
            return False
        self._events.extend((self._until, event) for event in events)
        self.bytes += sum(len(event.payload) for event in events)
        return True

    def released(self, cursor: int) -> list[FlyEvent]:
        """The events that a reader may have that has read up to `cursor`."""
        released = []
        while self._events and self._events[0][0] <= cursor:
            released.append(self.pop_oldest())
        return released

    def release_all(self) -> list[FlyEvent]:
        """All events that are held."""
        return [self.pop_oldest() for _ in range(len(self._events))]

    def pop_oldest(self) -> FlyEvent:
        """Take the oldest event out. Raises IndexError if none is held."""
        _, event = self._events.popleft()
        self.bytes -= len(event.payload)
        return event
