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
        self._thread: threading.Thread | None = None
        self._owner: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._wake: asyncio.Event | None = None

    def start(self) -> None:
        """Start the thread, once. It is a daemon thread: if a program ends without closing, its leases expire."""
        if self._thread is None:
            self._owner = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._main, name="asya-queue-leases", daemon=True)
            self._thread.start()

    async def stop(self) -> None:
        """End the thread and its connection; takes at most a few seconds."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        with self._lock:
            if self._loop is not None and self._wake is not None:
                self._loop.call_soon_threadsafe(self._wake.set)
        await asyncio.to_thread(thread.join, 5)

    def hold(self, message: int, receipt: UUID) -> None:
        """Renew this lease from now on."""
        with self._lock:
            self._leases[message] = receipt

    def release(self, message: int, receipt: UUID) -> None:
        """Stop renewing this lease."""
        with self._lock:
            if self._leases.get(message) == receipt:
                del self._leases[message]

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        with self._lock:
            self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        pause = 0.1
        try:
            while not self._stopping.is_set():
                try:
                    await self._keep(self._wake)
                    pause = 0.1
                except Exception as error:  # noqa: BLE001 - a thread that ended would lose every lease
                    logger.warning("leases and bell: %s", str(error) or type(error).__name__)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await self._wake.wait()
                    self._wake.clear()
                    pause = min(pause * 2, 2.0)
        finally:
            with self._lock:
                self._loop = self._wake = None

    async def _keep(self, wake: asyncio.Event) -> None:
        """Use one connection. Returns when stopped or when the connection is lost."""
        connection = await Sessions(self._url, LISTEN_SESSION).connect(command_timeout=CHECK_INTERVAL)
        try:
            connection.add_termination_listener(lambda _: wake.set())
            await connection.add_listener(self._channel, self._heard)
            self._tell(None)
            every = self._settings.visibility_timeout / 3
            due = 0.0  # renew at once, because the last connection may have been lost some time ago
            while not self._stopping.is_set() and not connection.is_closed():
                if time.monotonic() >= due:
                    due = time.monotonic() + every
                    if not await self._renew(connection):
                        await probe(connection)
                else:
                    await probe(connection)
                wait = min(CHECK_INTERVAL, max(due - time.monotonic(), 0.01))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await wake.wait()
                wake.clear()
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
