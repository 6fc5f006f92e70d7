"""Leases of messages, kept apart from the event loop: a channel of its own takes messages and renews them.

It goes on while a handler blocks the event loop, so what a poll brings is held from its reception on, not from the
moment at which the program sees it. Pub/Sub accepts the answer of a consumer whose lease has expired, and renews such a
lease, so the times that are kept here are what tells that a message is no longer ours.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import grpc
from google.api_core import exceptions
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.pubsub_v1 import types
from google.pubsub_v1.services.subscriber import SubscriberClient

from asya_transports.port import TransportUnavailable
from asya_transports.pubsub.delays import whole_seconds
from asya_transports.pubsub.errors import meaning, service_errors

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

PULL = types.PullRequest.pb()
MODIFY = types.ModifyAckDeadlineRequest.pb()
"""The protocol buffers' own classes, as in publisher.py."""


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
        """Whether another consumer may have the message. An expired lease is never ours again."""
        return time.monotonic() >= self.until


class Received(NamedTuple):
    """A message as the service delivers it (a protocol buffer), and its lease, which is renewed already."""

    message: Any
    lease: Lease


class LeaseKeeper:
    """Polls, and renews what it polled, or was given to `hold`, until it is to `release` it. `connect` makes the
    client, whose calls are answered in threads of the driver."""

    def __init__(self, lease: float, connect: Callable[[], SubscriberClient]) -> None:
        self.seconds = lease
        self._first = min(lease, SHORTEST_LEASE)
        self._connect = connect
        self._client: SubscriberClient | None = None
        self._connecting = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._changed = threading.Condition()
        self._sleeps_until = 0.0
        """When the thread looks at the leases next, if it sleeps."""
        self._thread: threading.Thread | None = None
        self._stopping = False

    async def poll(self, subscription: str, most: int, within: float) -> list[Received]:
        """Up to `most` messages, which are held. A poll that is cancelled is aborted; what it brings nevertheless is
        left to its lease. Raises TransportUnavailable and its kinds (errors.py)."""
        client = await asyncio.to_thread(self._connected) if self._client is None else self._client
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Received]] = loop.create_future()
        request = types.PullRequest.wrap(PULL(subscription=subscription, max_messages=most))
        metadata = (to_grpc_metadata((("subscription", subscription),)),)
        pull: Any = client.transport.pull  # its declared type has no such calls
        call: grpc.Future = pull.future(request, timeout=within, metadata=metadata)
        call.add_done_callback(lambda _: self._polled(subscription, call, loop, answer))
        try:
            return await answer
        finally:
            call.cancel()  # does nothing to one that has ended

    def _polled(
        self,
        subscription: str,
        call: grpc.Future,
        loop: asyncio.AbstractEventLoop,
        answer: "asyncio.Future[list[Received]]",
    ) -> None:
        """In a thread of the driver: hold what came, and tell the event loop of it, which may be blocked."""
        outcome: list[Received] | Exception
        try:
            received = types.PullResponse.pb(call.result()).received_messages
            leases = self.hold(subscription, [each.ack_id for each in received])
            outcome = [Received(each, lease) for each, lease in zip(received, leases, strict=True)]
        except grpc.FutureCancelledError:
            return  # whoever waited has left
        except Exception as error:  # noqa: BLE001 # raised again where it is awaited
            outcome = meaning(exceptions.from_grpc_error(error)) if isinstance(error, grpc.RpcError) else error
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the process will
            loop.call_soon_threadsafe(self._tell, answer, outcome)

    def _tell(self, answer: "asyncio.Future[list[Received]]", outcome: list[Received] | Exception) -> None:
        if not answer.done():
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        elif isinstance(outcome, list):
            for each in outcome:
                self.release(each.lease)

    def hold(self, subscription: str, ack_ids: Iterable[str]) -> list[Lease]:
        """The leases of messages that have just been received, renewed from now on. Thread-safe."""
        now = time.monotonic()
        until = now + self._first * (1 - ON_ITS_WAY)
        leases = [Lease(subscription, ack_id, until) for ack_id in ack_ids]
        with self._changed:
            for lease in leases:
                lease.due = now + self._first / 3
                self._leases[lease.ack_id] = lease
            if leases and leases[0].due < self._sleeps_until:
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

    def renewed(self, lease: Lease, asked: float) -> None:
        """It was renewed by a request that was sent at that time. If it has expired since, the service may have given
        the message to another consumer before it took the request."""
        with self._changed:
            if not lease.expired:
                lease.until = max(lease.until, asked + self.seconds)

    def stop(self) -> None:
        """End the thread; takes at most a few seconds, so call it from another one than the event loop's."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(self._call_within + 1)
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.transport.close()

    @property
    def _call_within(self) -> float:
        return min(5.0, self.seconds / 3)

    def _connected(self) -> SubscriberClient:
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _run(self) -> None:
        while (due := self._next()) is not None:
            try:
                client = self._connected()
                for subscription, leases in due.items():
                    self._renew(client, subscription, leases)
                self._done(due)
            except Exception as error:  # noqa: BLE001 - a thread that ended would lose every lease
                logger.warning("renewing leases: %s", str(error) or type(error).__name__)
                self._done(due)
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, RETRY)

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
                self._forget_expired()
                now = time.monotonic()
                due: dict[str, list[Lease]] = {}
                for lease in self._leases.values():
                    if lease.due <= now:
                        lease.renewing = True
                        due.setdefault(lease.subscription, []).append(lease)
                if due:
                    return due
                soonest = min((lease.due for lease in self._leases.values()), default=now + 3600.0)
                self._sleeps_until = soonest
                self._changed.wait(max(soonest - now, 0.01))
                self._sleeps_until = 0.0
        return None

    def _forget_expired(self) -> None:
        """Another consumer may have these by now, as after a time in which this process was stopped. The service would
        renew them all the same."""
        for lease in [lease for lease in self._leases.values() if lease.expired]:
            del self._leases[lease.ack_id]

    def _renew(self, client: SubscriberClient, subscription: str, leases: list[Lease]) -> None:
        for start in range(0, len(leases), BATCH):
            batch = leases[start : start + BATCH]
            asked = time.monotonic()
            try:
                _extend(client, subscription, [lease.ack_id for lease in batch], self.seconds, self._call_within)
            except TransportUnavailable as error:
                logger.warning("renewing %d leases: %s", len(batch), error)
                due = asked + RETRY
            else:
                for lease in batch:
                    self.renewed(lease, asked)
                due = asked + self.seconds / 3
            with self._changed:
                for lease in batch:
                    lease.due = due


def _extend(client: SubscriberClient, subscription: str, ack_ids: list[str], seconds: float, within: float) -> None:
    request = MODIFY(subscription=subscription, ack_ids=ack_ids, ack_deadline_seconds=whole_seconds(seconds))
    with service_errors():
        client.modify_ack_deadline(request=types.ModifyAckDeadlineRequest.wrap(request), retry=None, timeout=within)
