"""Threads for handlers that are plain functions. They are reused, and not awaited at the program's end."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
Work = Callable[[], None]


class HandlerThreads:
    """As many threads as there were concurrent calls. Idle threads are taken last in, first out, so that with a
    concurrency of one every call runs in the same thread, which many clients and models require.

    A thread cannot be killed. `lost` counts running threads whose caller has stopped waiting.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[SimpleQueue[Work]] = []
        self._made = 0
        self.lost = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def run(self, work: Callable[[], T]) -> T:
        """Call `work` in a thread; returns its result or raises its exception. If the caller is cancelled, the thread
        continues.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        context = contextvars.copy_context()
        results: list[T] = []
        errors: list[BaseException] = []
        queue = self._idle.pop() if self._idle else self._start()

        def in_thread() -> None:
            try:
                results.append(context.run(work))
            except BaseException as error:  # noqa: BLE001 # raised again in the caller
                errors.append(error)
            with contextlib.suppress(RuntimeError):  # the loop was closed, so there is no waiter any more
                loop.call_soon_threadsafe(ended)

        def ended() -> None:
            self._idle.append(queue)
            if done.cancelled():
                self._count(-1)
            else:
                done.set_result(None)

        queue.put(in_thread)
        try:
            await done
        except asyncio.CancelledError:
            if not (done.done() and not done.cancelled()):
                self._count(1)
            raise
        if errors:
            raise errors[0]
        return results[0]

    async def quiet(self, within: float) -> bool:
        """Wait up to `within` seconds; returns whether no lost thread is running any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._quiet.wait()
        return self.lost == 0

    def _count(self, change: int) -> None:
        self.lost += change
        if self.lost:
            self._quiet.clear()
        else:
            self._quiet.set()

    def _start(self) -> "SimpleQueue[Work]":
        queue: SimpleQueue[Work] = SimpleQueue()
        self._made += 1

        def main() -> None:
            while True:
                queue.get()()

        threading.Thread(target=main, name=f"{self._name}-{self._made}", daemon=True).start()
        return queue
