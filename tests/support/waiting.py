"""Bounded waits on conditions, the only way that tests wait."""

import asyncio
import inspect
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
