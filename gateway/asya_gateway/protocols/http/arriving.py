"""A body that is arriving: how long it may take, and how much room is held for it."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from aiohttp import web

from asya_gateway.domain.budget import SMALL, Budget, Share
from asya_gateway.protocols.http.keys import SLOW_REPORTS

BODY_SECONDS = 60.0
"""Longest time for a body to arrive. Otherwise a very slow caller could hold its connection forever."""
SHORTEST_LIMIT = 10.0
LEAST_RATE = 256 * 1024
"""A call's body of a known size has this many seconds, and one more for each LEAST_RATE bytes."""
SLOW_AFTER = 1.0
SLOW = 1024 * 1024
"""A body that delivers nothing for SLOW_AFTER seconds, or less than SLOW bytes per second, is slow: from then on it
holds room only for what has arrived, not for its announced size."""
TURN_ASKED_EVERY = 0.5
"""Seconds after which a slow report that waits for room checks whether it has been slow for longest."""
HEAD_BYTES = 1024
"""Bytes of a body's beginning that are kept even if the rest is not read."""


def seconds_for(share: Share, size: int | None) -> float:
    """How long a body may take to arrive; for reports and bodies of unknown size, regardless of the size."""
    if share is Share.REPORTS or size is None:
        return BODY_SECONDS
    return min(BODY_SECONDS, SHORTEST_LIMIT + size / LEAST_RATE)


class Arriving:
    """Reads a body whose room was reserved (`weight` for each of `declared` bytes). A slow body returns the room for
    the part that has not arrived, so that others can use it, and then takes room part by part. A small body keeps its
    room, however slow it is.

    A slow call without room is refused. A slow report waits, with the rest unread in its socket, and its time limit,
    `clock`, is suspended meanwhile. The report that has been slow for longest takes its room even if there is none, so
    that two never wait for each other.
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
        """The body, or its beginning if it has more than `most` bytes; `head` gets its first ones. Raises NoRoom if it
        is not a report, is slow, and there is no room."""
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
