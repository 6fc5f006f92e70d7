"""How long the bell takes: this process rings itself and listens for it."""

import asyncio
import contextlib
import os
import time

from asya_gateway.storage.log.bell import Bell

PATIENCE = 5.0
"""Seconds that one ring is waited for."""


class BellLag:
    """Measures now and then. It listens only while it measures: every listener makes every NOTIFY of the database
    dearer, and a process without followers otherwise listens to nothing."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._channel = f"asya_ping_{os.urandom(6).hex()}"
        self._number = 0
        self._last: float | None = None
        self._unheard_since: float | None = None

    @property
    def seconds(self) -> float | None:
        """From the last ring to hearing it; how long nothing was heard where that is so; None before the first."""
        if self._unheard_since is not None:
            return time.monotonic() - self._unheard_since
        return self._last

    async def measure(self) -> None:
        """Ring, and wait until it is heard or patience ends; never raises."""
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
