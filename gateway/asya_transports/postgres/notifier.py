"""Wakes receivers: one NOTIFY at a time, with everything collected in the meantime."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from contextvars import Context

from asya_transports.postgres.enqueue import ring
from asya_transports.postgres.schema import Connection

logger = logging.getLogger(__name__)


class Notifier:
    """The gateway rings after writing rows in its own transaction, the transport after publishing. A failed ring is
    only logged, because the receivers' poll finds the messages."""

    def __init__(self, connection: Callable[[], AbstractAsyncContextManager[Connection]], namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._actors: set[str] = set()
        self._ringer: asyncio.Task[None] | None = None

    def ring(self, actors: Iterable[str]) -> None:
        """Ring soon, without waiting."""
        self._actors.update(actors)
        if self._actors and (self._ringer is None or self._ringer.done()):
            # The task does not belong to the request that starts it.
            self._ringer = asyncio.create_task(self._run(), name="queue bell", context=Context())

    async def finish(self) -> None:
        """Wait for the ring in progress."""
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
