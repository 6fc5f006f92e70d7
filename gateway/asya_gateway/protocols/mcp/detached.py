"""Work that outlives the request that caused it: canceling what nobody waits for any more."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from aiohttp.web import AppKey

from asya_gateway.domain.errors import GatewayError

log = logging.getLogger(__name__)


class Detached:
    """Runs coroutines to their end whatever becomes of their request, and waits for them at shutdown."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Begin now. A domain error is logged: there is nobody left to tell."""
        task = asyncio.create_task(_logged(work), name="mcp detached work")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Wait for everything, at most this long, then cancel what is left."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()


async def _logged(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except GatewayError as error:
        log.warning("after its caller had gone: %s", error.message)


DETACHED = AppKey("DETACHED", Detached)
