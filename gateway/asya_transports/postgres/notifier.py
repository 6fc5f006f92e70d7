"""Wakes receivers: one NOTIFY at a time, which carries everything that has gathered meanwhile."""

import asyncio
import logging
from collections.abc import Iterable

from asya_transports.port import TransportError
from asya_transports.postgres.enqueue import ring
from asya_transports.postgres.pool import ConnectionPool

logger = logging.getLogger(__name__)


class Notifier:
    """A ring that fails is logged and forgotten: the safety poll finds the messages."""

    def __init__(self, pool: ConnectionPool, namespace: str) -> None:
        self._pool = pool
        self._namespace = namespace
        self._actors: set[str] = set()
        self._ringer: asyncio.Task[None] | None = None

    def ring(self, actors: Iterable[str]) -> None:
        """Ring soon; does not wait."""
        self._actors.update(actors)
        if self._actors and (self._ringer is None or self._ringer.done()):
            self._ringer = asyncio.create_task(self._run(), name="queue-bell")

    async def finish(self) -> None:
        """Wait for what is under way."""
        if self._ringer is not None:
            await self._ringer

    async def _run(self) -> None:
        while self._actors:
            actors, self._actors = self._actors, set()
            try:
                async with self._pool.connection() as connection:
                    await ring(connection, self._namespace, actors)
            except TransportError as error:
                logger.warning("ringing for %d actors: %s", len(actors), error)
