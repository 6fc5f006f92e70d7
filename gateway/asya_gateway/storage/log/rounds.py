"""Reading what has changed, in rounds: one at a time, woken by the bell and by a timer."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable

from asya_gateway.domain.polling import POLL_EVERY

log = logging.getLogger(__name__)


class ReadRounds:
    """Calls `read` with the ids that were named since the last round began, or with None for everything: at least once
    in POLL_EVERY seconds. A round begins at once if none is under way, so that a quiet reader waits for nothing and a
    busy one reads much at a time."""

    def __init__(self, name: str, read: Callable[[set[str] | None], Awaitable[None]]) -> None:
        self._name = name
        self._read = read
        self._named: set[str] = set()
        self._everything = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def look_at(self, ids: Iterable[str]) -> None:
        """Read these soon."""
        self._named.update(ids)
        if self._named:
            self._wake.set()

    def look_at_all(self) -> None:
        """Read everything soon."""
        self._everything = True
        self._wake.set()

    async def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_poll = loop.time() + POLL_EVERY
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_poll):
                    await self._wake.wait()
            # By time, not by silence: if one task rings all the time, a lost ring for another task would never be
            # noticed.
            everything = self._everything or loop.time() >= next_poll
            if everything:
                next_poll = loop.time() + POLL_EVERY
            self._wake.clear()
            named, self._named, self._everything = self._named, set(), False
            try:
                await self._read(None if everything else named)
            except Exception as error:  # noqa: BLE001 # the next poll tries again, and readers must not end
                log.warning("%s: cannot read: %s", self._name, error)
                self._everything = True
                await asyncio.sleep(0.2)
