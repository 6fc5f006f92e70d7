"""Waiting in one coroutine for what others bring."""

import asyncio


class Waiter:
    """Lets one coroutine wait until it is woken, for a limited time. Every live event wakes every reader of its task,
    so this is a bare future and a timer: asyncio.Event under asyncio.timeout takes three times as long."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None

    async def wait(self, seconds: float) -> None:
        """Return when `wake` is called, after `seconds` at the latest."""
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        timer = loop.call_later(seconds, self.wake)
        try:
            await self._future
        finally:
            timer.cancel()
            self._future = None

    def wake(self) -> None:
        """End the wait, if there is one."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
