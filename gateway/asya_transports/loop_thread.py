"""A thread with an event loop of its own, for what must go on while a handler blocks the program's."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

JOIN_WITHIN = 5.0
"""Seconds for the end of the thread. One that goes on ends with the process."""


class LoopThread:
    """Runs `main` until it returns, which it does soon after `stopping` is true. `woken` ends its pauses."""

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._main = main
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.woken = asyncio.Event()
        self.stopping = False

    def start(self) -> None:
        """Start the thread, once. It is a daemon thread: if a program ends without closing, its leases expire."""
        if self._thread is None and not self.stopping:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name=self._name, daemon=True)
            self._thread.start()

    async def stop(self) -> None:
        """End the thread; takes at most a few seconds."""
        thread, self._thread = self._thread, None
        self.stopping = True
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self.woken.set)
        if thread is not None:
            await asyncio.to_thread(thread.join, JOIN_WITHIN)

    async def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work returns, or raises, in the loop of the thread. Raises RuntimeError if the thread is not running
        any more."""
        with self._lock:
            if self._loop is None or self.stopping:
                work.close()
                raise RuntimeError(f"{self._name} has ended")
            result = asyncio.run_coroutine_threadsafe(work, self._loop)
        return await asyncio.wrap_future(result)

    async def pause(self, seconds: float) -> None:
        """For `main`: wait until it is woken, or so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        if not self.stopping:
            self.woken.clear()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._ended_by_main())
        finally:
            with self._lock:
                self._loop = None

    async def _ended_by_main(self) -> None:
        try:
            await self._main()
        finally:
            with self._lock:  # nobody may begin anything in a loop that ends
                self._loop = None
