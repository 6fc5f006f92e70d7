"""How tests wait: for a condition, with a bound. The words at the end are for what is no waiting."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def until(condition: Callable[[], Any | Awaitable[Any]], seconds: float = 20.0, what: str = "") -> Any:
    """Return the condition's first true value; fail where it has none within `seconds`."""
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
    """Let every task that is ready take its next steps, where nothing outside of this event loop is waited for."""
    for _ in range(count):
        await asyncio.sleep(0)


async def lasts(seconds: float) -> None:
    """What the test itself does takes so long: a fault, a handler, the pause between two acts of a caller. It is never
    there to give the program time; that is what `until` is for."""
    await asyncio.sleep(seconds)


def lasts_blocking(seconds: float) -> None:
    """The same where nothing is asynchronous, or where blocking is what is tested."""
    time.sleep(seconds)
