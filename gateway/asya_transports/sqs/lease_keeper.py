"""A thread with its own event loop and client that renews leases, also while a handler blocks the program's loop."""

import asyncio
import contextlib
import logging
import threading

from asya_transports.port import LeaseLost, TransportError, TransportUnavailable
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.leases import Lease
from asya_transports.sqs.receipts import Receipts
from asya_transports.sqs.settings import SqsSettings

logger = logging.getLogger(__name__)

LOOKS = 6
"""Looks at the leases in one visibility timeout."""
RENEW_AFTER = 1 / 3
"""Share of the visibility timeout after which a lease is renewed; a message that is answered before costs nothing."""
JOIN_WITHIN = 5.0


class LeaseKeeper:
    """Renews what it is told to hold, until it is told to release it."""

    def __init__(self, settings: SqsSettings) -> None:
        self._settings = settings
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None

    def start(self) -> None:
        """Start the thread, once. It is a daemon thread: if a program ends without closing, its leases expire."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name="asya-sqs-leases", daemon=True)
            self._thread.start()

    async def stop(self) -> None:
        """End the thread and its connections; takes at most a few seconds."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        with self._lock:
            if self._loop is not None and self._wake is not None:
                self._loop.call_soon_threadsafe(self._wake.set)
        await asyncio.to_thread(thread.join, JOIN_WITHIN)

    def hold(self, lease: Lease) -> None:
        """Renew this lease from now on."""
        with self._lock:
            self._leases.add(lease)

    def release(self, lease: Lease) -> None:
        """Stop renewing this lease."""
        with self._lock:
            self._leases.discard(lease)

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        client = SqsClient(self._settings)
        receipts = Receipts(client)
        with self._lock:
            self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        try:
            with contextlib.suppress(TransportUnavailable):  # it is tried again with the first lease
                await client.open()
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.visibility_timeout / LOOKS):
                        await self._wake.wait()
                if not self._stopping.is_set():
                    await self._look(receipts)
        finally:
            with self._lock:
                self._loop = self._wake = None
            await client.close()

    async def _look(self, receipts: Receipts) -> None:
        try:
            await self._renew(receipts)
        except Exception as error:  # noqa: BLE001 - a thread that ended would lose every lease
            logger.warning("renewing leases, trying again: %r", error)

    async def _renew(self, receipts: Receipts) -> None:
        oldest = self._settings.visibility_timeout * RENEW_AFTER
        with self._lock:
            due = [lease for lease in self._leases if lease.age() >= oldest and not lease.answering]
        errors = await asyncio.gather(*(receipts.renew(lease) for lease in due), return_exceptions=True)
        for lease, error in zip(due, errors, strict=True):
            with self._lock:
                held = lease in self._leases and not lease.answering
            if error is None or not held:  # it was answered meanwhile
                continue
            if isinstance(error, LeaseLost):
                logger.warning("a lease is not renewed: %s", error)
            elif isinstance(error, TransportError):
                logger.warning("renewing leases, trying again: %s", error)
            else:
                logger.error("renewing leases: %r", error)
        with self._lock:
            self._leases.difference_update(lease for lease in due if lease.expired())
