"""How late the event loop wakes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from asya_crds import jsontext
from tests.support.waiting import lasts

HELD = 0.25
"""Seconds; what was decoded on the loop, or in a thread, held it for half a second and more."""
MEBIBYTES = 9 * 1024 * 1024


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


def held(lag: Lag) -> bool:
    """Whether somebody held the loop. A busy machine slows down everything, so that a long time is compared with what
    decoding such a body here takes now: who decodes one on the loop holds it so long at least. A tenth of a body tells,
    since decoding is linear."""
    if lag.longest < HELD:
        return False
    began = time.process_time()
    jsontext.loads(b"[" + lists(MEBIBYTES // 10) + b"]")
    return lag.longest > (time.process_time() - began) * 10 / 2


def lists(size: int = MEBIBYTES) -> bytes:
    """The text of so many bytes of empty lists."""
    return b",".join([b"[]"] * (size // 3))
