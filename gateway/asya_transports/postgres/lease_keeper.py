"""A thread with its own connection that renews leases and listens for the bell.

Both must continue while a handler blocks the event loop. Without renewal a message is delivered twice, and a listener
that does not read fills the notification queue of the whole server.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import asyncpg

from asya_transports.loop_thread import LoopThread
from asya_transports.postgres import statements
from asya_transports.postgres.enqueue import bell_channel
from asya_transports.postgres.pool import QUEUE_SESSION
from asya_transports.postgres.sessions import Sessions, probe
from asya_transports.postgres.settings import PostgresSettings

logger = logging.getLogger(__name__)

CHECK_INTERVAL = 5.0
"""Seconds between two checks of the LISTEN connection. A connection that does not answer within the same time is
replaced."""

LISTEN_SESSION = QUEUE_SESSION | {"application_name": "asya-queues-bell", "tcp_user_timeout": "5000"}


class LeaseKeeper:
    """Renews leases for its owner, and calls `on_bell` in the owner's loop: with actors, or None for all of them."""

    def __init__(self, settings: PostgresSettings, namespace: str, on_bell: Callable[[list[str] | None], None]) -> None:
        self._settings = settings
        self._url = settings.direct_url or settings.url
        self._channel = bell_channel(namespace)
        self._on_bell = on_bell
        self._leases: dict[int, UUID] = {}
        self._lock = threading.Lock()
        self._owner: asyncio.AbstractEventLoop | None = None
        self._thread = LoopThread("asya-queue-leases", self._run)

    def start(self) -> None:
        """Start the thread, once, for the event loop of the caller."""
        self._owner = self._owner or asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and its connection; takes at most a few seconds."""
        await self._thread.stop()

    def hold(self, message: int, receipt: UUID) -> None:
        """Renew this lease from now on."""
        with self._lock:
            self._leases[message] = receipt

    def release(self, message: int, receipt: UUID) -> None:
        """Stop renewing this lease."""
        with self._lock:
            if self._leases.get(message) == receipt:
                del self._leases[message]

    async def _run(self) -> None:
        pause = 0.1
        while not self._thread.stopping:
            try:
                await self._keep()
                pause = 0.1
            except Exception as error:  # noqa: BLE001 - a thread that ended would lose every lease
                logger.warning("leases and bell: %s", str(error) or type(error).__name__)
                await self._thread.pause(pause)
                pause = min(pause * 2, 2.0)

    async def _keep(self) -> None:
        """Use one connection. Returns when stopped or when the connection is lost."""
        connection = await Sessions(self._url, LISTEN_SESSION).connect(command_timeout=CHECK_INTERVAL)
        try:
            connection.add_termination_listener(lambda _: self._thread.woken.set())
            await connection.add_listener(self._channel, self._heard)
            self._tell(None)
            every = self._settings.visibility_timeout / 3
            due = 0.0  # renew at once, because the last connection may have been lost some time ago
            while not self._thread.stopping and not connection.is_closed():
                if time.monotonic() >= due:
                    due = time.monotonic() + every
                    if not await self._renew(connection):
                        await probe(connection)
                else:
                    await probe(connection)
                await self._thread.pause(min(CHECK_INTERVAL, max(due - time.monotonic(), 0.01)))
            await connection.close(timeout=2)
        finally:
            connection.terminate()

    async def _renew(self, connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
        with self._lock:
            leases = dict(self._leases)
        if leases:
            timeout = timedelta(seconds=self._settings.visibility_timeout)
            await connection.execute(statements.EXTEND, list(leases), list(leases.values()), timeout)
        return bool(leases)

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        self._tell(str(payload).split(","))

    def _tell(self, actors: list[str] | None) -> None:
        if self._owner is not None:
            with contextlib.suppress(RuntimeError):  # the owner's loop has ended
                self._owner.call_soon_threadsafe(self._on_bell, actors)
