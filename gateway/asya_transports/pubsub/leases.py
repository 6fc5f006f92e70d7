"""A thread that renews the leases of the messages that are held, with a channel of its own.

It goes on while a handler blocks the event loop. Pub/Sub accepts the answer of a consumer whose lease has expired, so
the times that are kept here are what tells that a message is no longer ours.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable

from google.pubsub_v1 import types
from google.pubsub_v1.services.subscriber import SubscriberClient

from asya_transports.port import TransportUnavailable
from asya_transports.pubsub.delays import whole_seconds
from asya_transports.pubsub.errors import service_errors

logger = logging.getLogger(__name__)

SHORTEST_LEASE = 10.0
"""Seconds of the shortest lease that a subscription may have. Until its first renewal the lease of a message is the
subscription's, which may be one that others have created."""
ON_ITS_WAY = 1 / 4
"""Share of the first lease that may be over when the message arrives: it began with the service, at a time that is not
told."""
BATCH = 1000
"""Most renewals of one request."""
RETRY = 0.5
"""Seconds until a renewal that failed is tried again."""


class Lease:
    """The time for which a message is ours. Times are of time.monotonic()."""

    def __init__(self, subscription: str, ack_id: str, until: float) -> None:
        self.subscription, self.ack_id = subscription, ack_id
        self.until = until
        self.due = 0.0
        """When to renew it next."""
        self.renewing = False
        """Whether a renewal of it is under way."""

    @property
    def expired(self) -> bool:
        """Whether another consumer may have the message."""
        return time.monotonic() >= self.until


class LeaseKeeper:
    """Renews what it is given to `hold` until it is to `release` it. `connect` makes the client, in the thread."""

    def __init__(self, lease: float, connect: Callable[[], SubscriberClient]) -> None:
        self.seconds = lease
        self._first = min(lease, SHORTEST_LEASE)
        self._connect = connect
        self._leases: dict[str, Lease] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def hold(self, subscription: str, ack_ids: Iterable[str]) -> list[Lease]:
        """The leases of messages that have just been received, renewed from now on."""
        now = time.monotonic()
        until = now + self._first * (1 - ON_ITS_WAY)
        leases = [Lease(subscription, ack_id, until) for ack_id in ack_ids]
        with self._changed:
            for lease in leases:
                lease.due = now + self._first / 3
                self._leases[lease.ack_id] = lease
            self._changed.notify()
        if self._thread is None and not self._stopping:
            # A daemon thread: if a program ends without closing, its leases expire.
            self._thread = threading.Thread(target=self._run, name="asya-pubsub-leases", daemon=True)
            self._thread.start()
        return leases

    def release(self, lease: Lease) -> None:
        """Stop renewing it."""
        with self._changed:
            self._leases.pop(lease.ack_id, None)

    async def quiet(self, lease: Lease) -> None:
        """Stop renewing it, and wait until no renewal of it is under way, which would undo what is sent next."""
        self.release(lease)
        if lease.renewing:
            await asyncio.to_thread(self._wait_for, lease)

    def _wait_for(self, lease: Lease) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not lease.renewing, self._call_within)

    def resume(self, lease: Lease) -> None:
        """Renew it again, because the message is still held."""
        with self._changed:
            self._leases[lease.ack_id] = lease
            self._changed.notify()

    def renewed(self, lease: Lease, asked: float, seconds: float) -> None:
        """It was renewed for so long by a request that was sent at that time."""
        with self._changed:
            lease.until = max(lease.until, asked + seconds)

    def stop(self) -> None:
        """End the thread; takes at most a few seconds, so call it from another one than the event loop's."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(self._call_within + 1)

    @property
    def _call_within(self) -> float:
        return min(5.0, self.seconds / 3)

    def _run(self) -> None:
        client: SubscriberClient | None = None
        try:
            while (due := self._next()) is not None:
                try:
                    client = client or self._connect()
                    for subscription, leases in due.items():
                        self._renew(client, subscription, leases)
                    self._done(due)
                except Exception as error:  # noqa: BLE001 - a thread that ended would lose every lease
                    logger.warning("renewing leases: %s", str(error) or type(error).__name__)
                    self._done(due)
                    with self._changed:
                        self._changed.wait_for(lambda: self._stopping, RETRY)
        finally:
            if client is not None:
                with contextlib.suppress(Exception):
                    client.transport.close()

    def _done(self, due: dict[str, list[Lease]]) -> None:
        with self._changed:
            for leases in due.values():
                for lease in leases:
                    lease.renewing = False
            self._changed.notify_all()

    def _next(self) -> dict[str, list[Lease]] | None:
        """Wait until leases are due; they by their subscriptions. None when stopped."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                due: dict[str, list[Lease]] = {}
                for lease in self._leases.values():
                    if lease.due <= now:
                        lease.renewing = True
                        due.setdefault(lease.subscription, []).append(lease)
                if due:
                    return due
                soonest = min((lease.due for lease in self._leases.values()), default=now + 3600.0)
                self._changed.wait(max(soonest - now, 0.01))
        return None

    def _renew(self, client: SubscriberClient, subscription: str, leases: list[Lease]) -> None:
        for start in range(0, len(leases), BATCH):
            batch = leases[start : start + BATCH]
            asked = time.monotonic()
            try:
                _extend(client, subscription, [lease.ack_id for lease in batch], self.seconds, self._call_within)
            except TransportUnavailable as error:
                logger.warning("renewing %d leases: %s", len(batch), error)
                self._again(batch, asked + RETRY)
            else:
                for lease in batch:
                    self.renewed(lease, asked, self.seconds)
                self._again(batch, asked + self.seconds / 3)

    def _again(self, leases: list[Lease], due: float) -> None:
        with self._changed:
            for lease in leases:
                lease.due = due
                if lease.expired:  # another consumer may have it by now
                    self._leases.pop(lease.ack_id, None)


def _extend(client: SubscriberClient, subscription: str, ack_ids: list[str], seconds: float, within: float) -> None:
    request = types.ModifyAckDeadlineRequest(
        subscription=subscription, ack_ids=ack_ids, ack_deadline_seconds=whole_seconds(seconds)
    )
    with service_errors():
        client.modify_ack_deadline(request=request, retry=None, timeout=within)
