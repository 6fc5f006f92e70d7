"""Writes that are tried again while nobody knows whether they were committed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.database import SERVER_BUSY, connection_lost

log = logging.getLogger(__name__)

Result = TypeVar("Result")


async def until_answered(write: Callable[[], Awaitable[Result]], patience: float, what: str) -> Result:
    """Run a write that is idempotent by key until the server answers it, or `patience` seconds have passed.

    Raises Unavailable in the latter case, and whatever else the server answered.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    pause = 0.05
    while True:
        try:
            return await write()
        except Exception as error:
            if not connection_lost(error):
                raise
            if loop.time() + pause >= until:
                raise Unavailable("the database is not available") from error
            log.info("%s: database lost (%s), writing again in %.2f s", what, type(error).__name__, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)


async def written_singly(write: Callable[[], Awaitable[Result]], patience: float, what: str) -> Result:
    """The same for a write that stands alone: a server that is busy is Unavailable, too."""
    try:
        return await until_answered(write, patience, what)
    except SERVER_BUSY as error:
        raise Unavailable("the database is busy") from error
