"""How late the event loop wakes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.support.waiting import lasts


@dataclass
class Lag:
    """The longest that the loop was held, in seconds."""

    longest: float = 0.0


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    """Wake again and again, and note how late. Time in which this process had no core does not count: it says how busy
    the machine is."""
    lag = Lag()

    async def watch() -> None:
        while True:
            wall, used = time.monotonic(), time.process_time()
            await lasts(0.005)
            lag.longest = max(lag.longest, min(time.monotonic() - wall, time.process_time() - used))

    task = asyncio.create_task(watch())
    try:
        yield lag
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
