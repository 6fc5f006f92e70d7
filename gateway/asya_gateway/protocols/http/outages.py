"""Held requests outlive outages of the database: what they need of it is tried again, so that no client has to call
again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from asya_gateway.domain.errors import Unavailable
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.wait_limit import WaitLimit

RETRY = 0.5
"""Seconds until the database is asked again after it was unavailable."""

Found = TypeVar("Found")


async def outlasting(work: Callable[[], Awaitable[Found]], channel: ClientConnection, limit: WaitLimit) -> Found:
    """What `work` returns once the database is there; it may be done more than once. Raises Unavailable if the limit is
    reached first."""
    while True:
        try:
            return await work()
        except Unavailable:
            if limit.over:
                raise
            await wait_again(channel, limit)


async def wait_again(channel: ClientConnection, limit: WaitLimit) -> None:
    """Let a moment pass, and keep the connection alive."""
    await asyncio.sleep(min(RETRY, limit.tick))
    await channel.quiet()
