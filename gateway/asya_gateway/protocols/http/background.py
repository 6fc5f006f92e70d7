"""Work that outlives the request that caused it, such as canceling an abandoned task."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from aiohttp import web
from aiohttp.web import AppKey

from asya_gateway.domain.errors import GatewayError

log = logging.getLogger(__name__)

FINISH_SECONDS = 5.0


class Background:
    """Runs coroutines to completion even if their request ends earlier, and waits for them at shutdown."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Start now. A domain error is logged, because the caller is gone."""
        task = asyncio.create_task(_logged(work), name="background work")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Wait for all work for at most this long, then cancel the rest."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()


async def _logged(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except GatewayError as error:
        log.warning("after its caller had disconnected: %s", error.message)


BACKGROUND = AppKey("BACKGROUND", Background)


async def run_background(app: web.Application) -> AsyncGenerator[None]:
    """A cleanup context of the application: its background work is finished before it ends."""
    yield
    await app[BACKGROUND].finish(FINISH_SECONDS)
