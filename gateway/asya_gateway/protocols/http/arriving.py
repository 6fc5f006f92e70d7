"""A body that is on its way: how long it may take, and for how much of it room is held."""

import asyncio
import contextlib
import time

from aiohttp import web

from asya_gateway.domain.budget import SMALL, Share
from asya_gateway.protocols.http.keys import BUDGET

BODY_SECONDS = 60.0
"""Longest that a body may take to arrive; a caller that trickles would hold its connection for ever."""
SHORTEST_LIMIT = 10.0
LEAST_RATE = 256 * 1024
"""A call's body of a known size has so many seconds, and one more for each so many bytes."""
SLOW_AFTER = 1.0
SLOW = 1024 * 1024
"""A call's body of which nothing came for so many seconds, or less than so many bytes a second, is slow: from then on
it holds room for what has arrived instead of all that it said would come."""
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
    slow it is, and so does a report, which must not be refused halfway."""

    def __init__(self, request: web.Request, share: Share, declared: int, weight: int) -> None:
        self._content, self._budget = request.content, request.app[BUDGET]
        self._weight = weight
        self._patient = share is Share.REPORTS or declared <= SMALL
        self._slow = False
        self._began = time.monotonic()
        self._bytes = 0

    async def all(self, most: int, head: bytearray | None) -> bytes:
        """The body, or its beginning where it has more than `most` bytes; `head` is given its first ones. Raises NoRoom
        where it is slow and there is no room."""
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
            await self._budget.grow(self._weight * size)
        elif not self._patient:
            took = time.monotonic() - self._began
            if took > SLOW_AFTER and self._bytes < SLOW * took:
                self._give_back()

    def _give_back(self) -> None:
        self._slow = True
        self._budget.shrink(self._weight * self._bytes)


def _note(head: bytearray | None, part: bytes) -> None:
    if head is not None and len(head) < HEAD_BYTES:
        head += part[: HEAD_BYTES - len(head)]
