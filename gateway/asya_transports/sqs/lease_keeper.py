"""A thread with its own event loop and client that polls and renews leases, also while a handler blocks the program's
loop. What a poll brings is held from its reception on, not from the moment at which the program sees it."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from asya_transports.loop_thread import LoopThread
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


class Received(NamedTuple):
    """A message as SQS describes it, and its lease, which is renewed already."""

    message: Mapping[str, Any]
    lease: Lease


class LeaseKeeper:
    """Renews what it polls, and what it is told to hold, until it is told to release it."""

    def __init__(self, settings: SqsSettings) -> None:
        self._settings = settings
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._client = SqsClient(settings)
        self._thread = LoopThread("asya-sqs-leases", self._run)

    def start(self) -> None:
        """Start the thread, once."""
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and its connections; takes at most a few seconds."""
        await self._thread.stop()

    async def poll(self, url: str, count: int, wait: int, margin: float) -> list[Received]:
        """Up to `count` messages, whose leases are held. Only after `start`. Raises TransportError."""
        try:
            return await self._thread.call(self._poll(url, count, wait, margin))
        except RuntimeError as error:
            raise TransportUnavailable(str(error)) from error

    def hold(self, lease: Lease) -> None:
        """Renew this lease from now on."""
        with self._lock:
            self._leases.add(lease)

    def release(self, lease: Lease) -> None:
        """Stop renewing this lease."""
        with self._lock:
            self._leases.discard(lease)

    async def _poll(self, url: str, count: int, wait: int, margin: float) -> list[Received]:
        messages = await self._client.poll(url, count, wait, margin)
        visibility = self._settings.visibility_timeout
        received = [Received(each, Lease(url, str(each["ReceiptHandle"]), visibility)) for each in messages]
        for _, lease in received:
            self.hold(lease)
        return received

    async def _run(self) -> None:
        receipts = Receipts(self._client)
        try:
            with contextlib.suppress(TransportUnavailable):  # it is tried again with the first request
                await self._client.open()
            while not self._thread.stopping:
                await self._thread.pause(self._settings.visibility_timeout / LOOKS)
                if not self._thread.stopping:
                    await self._look(receipts)
        finally:
            await self._client.close()

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
