"""How late the event loop wakes."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any

from asya_crds import jsontext
from tests.support.waiting import lasts

HELD = 0.25
"""Seconds. Decoding on the event loop, or in a thread, blocked it for half a second and more."""
MEBIBYTES = 9 * 1024 * 1024


@dataclass
class Lag:
    """The longest that the loop was held, in seconds."""

    longest: float = 0.0


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    """Wake repeatedly and record the delay. Time without a core is not counted, because it only shows how busy the
    machine is."""
    lag = Lag()

    async def watch() -> None:
        while True:
            wall, used = time.monotonic(), time.process_time()
            await lasts(0.005)
            lag.longest = max(lag.longest, min(time.monotonic() - wall, time.process_time() - used))

    # A collection walks all that earlier tests of this process have left, which would be counted as well.
    gc.freeze()
    task = asyncio.create_task(watch())
    try:
        yield lag
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.unfreeze()


def held(lag: Lag) -> bool:
    """Whether the event loop was blocked. A busy machine slows everything down, so a long delay is compared with the
    time that decoding such a body takes now: decoding on the loop would block it at least that long. A tenth of a body
    is decoded for this, since decoding is linear."""
    if lag.longest < HELD:
        return False
    began = time.process_time()
    jsontext.loads(b"[" + lists(MEBIBYTES // 10) + b"]")
    return lag.longest > (time.process_time() - began) * 10 / 2


def lists(size: int = MEBIBYTES) -> bytes:
    """The text of so many bytes of empty lists."""
    return b",".join([b"[]"] * (size // 3))


@dataclass
class Values:
    """The most values of one document."""

    most: int = 0

    def note(self, text: str | bytes) -> None:
        body = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        self.most = max(self.most, sum(map(body.count, (b",", b"[", b"{"))))


@contextlib.contextmanager
def coded_here() -> Iterator[Values]:
    """The values of the largest document that this process decodes or encodes meanwhile. What is done in the other
    process is not seen, so that a few values more than are taken here show where a large document is handled."""
    found, before = Values(), (jsontext.loads, jsontext.loads_parts, jsontext.dumps, jsontext.canonical)

    def reading(loads: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(loads)
        def noted(text: str | bytes, *more: Any, **options: Any) -> Any:
            found.note(text)
            return loads(text, *more, **options)

        return noted

    def writing(dumps: Callable[..., str]) -> Callable[..., str]:
        @wraps(dumps)
        def noted(*more: Any, **options: Any) -> str:
            text = dumps(*more, **options)
            found.note(text)
            return text

        return noted

    loads, loads_parts, dumps, canonical = before
    jsontext.loads, jsontext.loads_parts = reading(loads), reading(loads_parts)
    jsontext.dumps, jsontext.canonical = writing(dumps), writing(canonical)
    try:
        yield found
    finally:
        jsontext.loads, jsontext.loads_parts, jsontext.dumps, jsontext.canonical = before
