"""Wakes the receivers of the `postgres` transport after the gateway wrote queue rows in its own transaction."""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context

from asya_gateway.domain.ports import OutboxEntry
from asya_gateway.storage.database import Database
from asya_transports.postgres.enqueue import ring

log = logging.getLogger(__name__)


class QueueBell:
    """Coalesces: while one ring is under way, the actors of later commits wait for the next."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._database = database
        self._namespace = namespace
        self._actors: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def committed(self, entries: Sequence[OutboxEntry]) -> None:
        """Ring for these envelopes' actors soon; never an error, since receivers poll, too."""
        self._actors.update(entry.actor for entry in entries)
        if self._actors and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._ring(), name="queue bell", context=Context())

    async def _ring(self) -> None:
        while self._actors:
            actors, self._actors = self._actors, set()
            try:
                async with self._database.connection() as connection:
                    await ring(connection, self._namespace, actors)
            except Exception as error:  # noqa: BLE001 # the receivers' poll finds the messages
                log.warning("queue bell: %s", error)
