"""The bell's latency: this process rings and waits until it hears the ring."""

import asyncio
import contextlib
import os
import time

from asya_gateway.storage.log.bell import Bell

PATIENCE = 5.0
"""Seconds to wait for one ring."""


class BellLag:
    """Measures periodically. It listens only while it measures, because every listener makes every NOTIFY in the
    database more expensive, and a process without followers otherwise does not listen."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._channel = f"asya_ping_{os.urandom(6).hex()}"
        self._number = 0
        self._last: float | None = None
        self._unheard_since: float | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds from the last ring to hearing it; if it was not heard, the time since then; None before the first
        measurement."""
        if self._unheard_since is not None:
            return time.monotonic() - self._unheard_since
        return self._last

    async def measure(self) -> None:
        """Ring, and wait until it is heard or PATIENCE is over. Never raises."""
        self._number += 1
        mine, heard = str(self._number), asyncio.Event()

        def listen(payload: str) -> None:
            if payload == mine:
                heard.set()

        end = self._bell.subscribe(self._channel, listen)
        try:
            started = time.monotonic()
            if await self._bell.attended(self._channel, PATIENCE):
                started = time.monotonic()
                self._bell.ring(self._channel, [mine])
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        await heard.wait()
            self._note(started, heard.is_set())
        finally:
            end()

    def _note(self, started: float, heard: bool) -> None:
        if heard:
            self._last, self._unheard_since = time.monotonic() - started, None
        elif self._unheard_since is None:
            self._unheard_since = started
