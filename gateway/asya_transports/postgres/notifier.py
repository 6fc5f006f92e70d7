"""Wakes receivers: one NOTIFY at a time, which carries everything that has gathered meanwhile."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from contextvars import Context

from asya_transports.postgres.enqueue import ring
from asya_transports.postgres.schema import Connection

logger = logging.getLogger(__name__)


class Notifier:
    """The gateway rings after rows that it wrote in a transaction of its own, the transport after those that it sends.
    A ring that fails is logged and forgotten: the receivers' poll finds the messages."""

    def __init__(self, connection: Callable[[], AbstractAsyncContextManager[Connection]], namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._actors: set[str] = set()
        self._ringer: asyncio.Task[None] | None = None

    def ring(self, actors: Iterable[str]) -> None:
        """Ring soon; does not wait."""
        self._actors.update(actors)
        if self._actors and (self._ringer is None or self._ringer.done()):
            # It belongs to no request, though one begins it.
            self._ringer = asyncio.create_task(self._run(), name="queue bell", context=Context())

    async def finish(self) -> None:
        """Wait for what is under way."""
        if self._ringer is not None:
            await self._ringer

    async def _run(self) -> None:
        while self._actors:
            actors, self._actors = self._actors, set()
            try:
                async with self._connection() as connection:
                    await ring(connection, self._namespace, actors)
            except Exception as error:  # noqa: BLE001 # whatever it is, the poll finds the messages
                logger.warning("ringing for %d actors: %s", len(actors), error)
