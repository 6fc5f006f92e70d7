"""A body that is on its way: how long it may take, and for how much of it room is held."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from aiohttp import web

from asya_gateway.domain.budget import SMALL, Budget, Share
from asya_gateway.protocols.http.keys import SLOW_REPORTS

BODY_SECONDS = 60.0
"""Longest that a body may take to arrive; a caller that trickles would hold its connection for ever."""
SHORTEST_LIMIT = 10.0
LEAST_RATE = 256 * 1024
"""A call's body of a known size has so many seconds, and one more for each so many bytes."""
SLOW_AFTER = 1.0
SLOW = 1024 * 1024
"""A body of which nothing came for so many seconds, or less than so many bytes a second, is slow: from then on it holds
room for what has arrived instead of all that it said would come."""
TURN_ASKED_EVERY = 0.5
"""Seconds after which a slow report that waits for room looks whether it has been slow for longest."""
HEAD_BYTES = 1024
"""The beginning of a body that is known where the rest is not."""


def seconds_for(share: Share, size: int | None) -> float:
    """How long a body may take to arrive; of a report, and of a body of unknown size, whatever that is."""
    if share is Share.REPORTS or size is None:
        return BODY_SECONDS
    return min(BODY_SECONDS, SHORTEST_LIMIT + size / LEAST_RATE)


class Arriving:
    """The parts of a body whose room was reserved (`weight` for each of `declared` bytes). What is slow gives back the
    room of what has not come, so that others find it, and takes room part by part. A small one holds its room however
    slow it is.

    A slow call without room is refused; a slow report waits, with what follows unread in its socket, and `clock`, the
    time that it has, stands still meanwhile. The one that has been slow for longest takes its room whether or not it is
    there, so that two never wait for each other.
    """

    def __init__(
        self, request: web.Request, share: Share, declared: int, weight: int, clock: asyncio.Timeout | None = None
    ) -> None:
        self._content, self._budget = request.content, Budget.around()
        self._weight = weight
        self._clock = clock
        self._patient = declared <= SMALL
        self._slow = False
        # None for a call.
        self._slow_reports = request.app[SLOW_REPORTS] if share is Share.REPORTS else None
        self._began = time.monotonic()
        self._bytes = 0

    async def all(self, most: int, head: bytearray | None) -> bytes:
        """The body, or its beginning where it has more than `most` bytes; `head` is given its first ones. Raises NoRoom
        where it is no report, slow, and there is no room."""
        try:
            return await self._all(most, head)
        finally:
            if self._slow and self._slow_reports is not None:
                self._slow_reports.remove(self)

    async def _all(self, most: int, head: bytearray | None) -> bytes:
        parts = [self._content.read_nowait()]
        while parts[-1] or len(parts) == 1:
            self._bytes += len(parts[-1])
            _note(head, parts[-1])
            if self._bytes > most:
                break
            await self._account(len(parts[-1]))
            parts.append(await self._next())
        return b"".join(parts)

    async def _next(self) -> bytes:
        if not (self._patient or self._slow):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SLOW_AFTER):
                    return await self._content.readany()
            self._give_back()
        return await self._content.readany()

    async def _account(self, size: int) -> None:
        if self._slow:
            await self._grow(self._weight * size)
        elif not self._patient:
            took = time.monotonic() - self._began
            if took > SLOW_AFTER and self._bytes < SLOW * took:
                self._give_back()

    def _give_back(self) -> None:
        self._slow = True
        if self._slow_reports is not None:
            self._slow_reports.append(self)
        self._budget.shrink(self._weight * self._bytes)

    async def _grow(self, size: int) -> None:
        if self._slow_reports is None or self._clock is None:
            await self._budget.grow(size)
            return
        with _standing_still(self._clock):
            while self._slow_reports[0] is not self:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TURN_ASKED_EVERY):
                        await self._budget.grow(size)
                        return
        self._budget.grow_at_once(size)


@contextlib.contextmanager
def _standing_still(clock: asyncio.Timeout) -> Iterator[None]:
    due, began = clock.when(), asyncio.get_running_loop().time()
    clock.reschedule(None)
    yield
    if due is not None:
        clock.reschedule(due + asyncio.get_running_loop().time() - began)


def _note(head: bytearray | None, part: bytes) -> None:
    if head is not None and len(head) < HEAD_BYTES:
        head += part[: HEAD_BYTES - len(head)]
