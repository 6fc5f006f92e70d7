"""An event loop whose clock stands still, so that nothing that waits for a timer goes on."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

LONGEST = 20.0
"""Seconds after which the clock goes on, so that a test that waits for a timer fails instead of hanging."""


class FrozenClock:
    """`timers` describes those that were set while the clock stood still; `moved` says that it went on by itself."""

    def __init__(self) -> None:
        self.timers: list[str] = []
        self.moved = False


@contextlib.contextmanager
def frozen_clock() -> Iterator[FrozenClock]:
    """No timer of the running loop fires during the block, whoever set it: neither sleeps nor timeouts nor polls. Other
    threads have loops of their own."""
    loop: Any = asyncio.get_running_loop()
    clock, time, call_at = FrozenClock(), loop.time, loop.call_at
    now = time()

    def noted(when: float, callback: Callable[..., object], *args: Any, **more: Any) -> asyncio.TimerHandle:
        clock.timers.append(f"{when - now:g} s: {asyncio.current_task()}")
        handle: asyncio.TimerHandle = call_at(when, callback, *args, **more)
        return handle

    def go_on() -> None:
        clock.moved = True
        loop.time = time

    loop.time, loop.call_at = lambda: now, noted
    guard = threading.Timer(LONGEST, go_on)
    guard.start()
    try:
        yield clock
    finally:
        guard.cancel()
        loop.time, loop.call_at = time, call_at
