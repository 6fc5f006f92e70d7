"""How tests wait: for a condition, with a time limit. The functions at the end are not for waiting."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def until(condition: Callable[[], Any | Awaitable[Any]], seconds: float = 20.0, what: str = "") -> Any:
    """Return the condition's first true value; fail if there is none within `seconds`."""
    last: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                last = condition()
                if inspect.isawaitable(last):
                    last = await last
                if last:
                    return last
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what or 'the condition'} did not come true in {seconds} s (last: {last!r})") from None


async def rounds(count: int = 20) -> None:
    """Let every ready task take its next steps, if nothing outside this event loop is awaited."""
    for _ in range(count):
        await asyncio.sleep(0)


async def lasts(seconds: float) -> None:
    """The duration of something in the test itself: a fault, a handler, the pause between two actions of a caller.
    Never use it to give the program time; use `until` for that."""
    await asyncio.sleep(seconds)


def lasts_blocking(seconds: float) -> None:
    """The same for synchronous code, or if blocking itself is tested."""
    time.sleep(seconds)
