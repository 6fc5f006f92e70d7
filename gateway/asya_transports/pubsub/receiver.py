"""One stream of deliveries: polls for as many messages as there is room for, and returns what was not answered."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from typing import Any

from google.pubsub_v1 import types

from asya_crds.naming import DEAD_LETTERS
from asya_transports.bounded import in_time, leave
from asya_transports.port import LeaseLost, Prefetch, TransportError, TransportUnavailable, Unroutable
from asya_transports.pubsub.acks import Acknowledgements, Collected
from asya_transports.pubsub.connection import Connection
from asya_transports.pubsub.delays import ServiceClock, whole_seconds
from asya_transports.pubsub.delivery import PubSubDelivery
from asya_transports.pubsub.errors import Missing, NothingYet
from asya_transports.pubsub.leases import MODIFY, Lease, LeaseKeeper, Received
from asya_transports.pubsub.names import Names
from asya_transports.pubsub.publisher import Publication, Publisher
from asya_transports.pubsub.topology import Topology

logger = logging.getLogger(__name__)

POLL_SECONDS = 120.0
"""Bound of one poll, longer than the service lets it wait for messages. A poll that we ended would leave what it was
about to bring to nobody for a whole lease, and would count a delivery."""
STOP_SECONDS = 4.0
"""How long a stop waits for the poll that is under way. It may go on until the last message is answered."""
MOST_MESSAGES = 1000
"""Messages of one poll."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
QUEUE_PAUSE = 1.0
"""Seconds between two checks for a missing queue. A queue that this program declared is declared again after this
pause, in which a worker whose actor is being deleted gets its signal to end."""
LEAVE_WITHIN = 3.0
"""Seconds for the return of messages. Those that cannot be returned are delivered again when their lease expires."""

RELEASE_BATCH = 1000
RETURN_AFTER = 1.0
"""Seconds for which more messages may be held than there is room for: each that is returned is published anew, and most
of them are begun in that time."""

ACKNOWLEDGE = types.AcknowledgeRequest.pb()
"""The protocol buffers' own class, as in publisher.py."""


class PubSubReceiver:
    """The consumer of one subscription."""

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        topology: Topology,
        keeper: LeaseKeeper,
        names: Names,
        actor: str,
        prefetch: Prefetch,
    ) -> None:
        self.actor = actor
        self.dead_letters = actor == DEAD_LETTERS
        self._connection = connection
        self._copies = Collected(publisher.publish, "pubsub-copies")
        self._topology = topology
        self._keeper = keeper
        self._names = names
        self._subscription = names.subscription(actor)
        self._prefetch = prefetch
        self._acknowledgements = Acknowledgements(self._acknowledge)
        self._held: dict[str, PubSubDelivery] = {}
        self._unseen: deque[PubSubDelivery] = deque()
        self._polling: asyncio.Task[None] | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._returning: asyncio.TimerHandle | None = None
        """When what is too much then is returned."""
        self._news = asyncio.Event()
        self._clock = ServiceClock()
        self._pause = FIRST_PAUSE
        self._stop_by: float | None = None
        """When a stop that has begun waits no longer for a poll."""
        prefetch.on_change(self._follow)

    @property
    def limit(self) -> int:
        """Deliveries before a message is dead-lettered."""
        return self._topology.limit(self.actor)

    def origin(self, subscription: str) -> str:
        """The actor of a subscription."""
        return self._names.actor(subscription)

    async def stream(self) -> AsyncGenerator[PubSubDelivery]:
        """The deliveries, until it is closed. Then nothing more is taken, and messages that were not yielded are
        returned."""
        try:
            while True:
                while self._unseen:
                    delivery = self._unseen.popleft()
                    if delivery.lease.expired:
                        self.settled(delivery)
                        continue
                    self._poll_ahead()
                    yield delivery
                self._news.clear()
                try:
                    self._poll_again()
                except Missing as error:
                    logger.warning("receiving from %s: %s", self._subscription, error)
                    await asyncio.sleep(QUEUE_PAUSE * random.uniform(1.0, 2.0))  # noqa: S311 # spreads, no secret
                    await self._declare_again()
                    continue
                except TransportUnavailable as error:
                    logger.warning("receiving from %s: %s; again in %.1f s", self._subscription, error, self._pause)
                    await asyncio.sleep(self._pause)
                    self._pause = min(self._pause * 2, LONGEST_PAUSE)
                    continue
                if not self._unseen:
                    await self._news.wait()
        finally:
            await self._stop_taking()

    async def leave(self) -> None:
        """Return unanswered messages. Those that cannot be returned now are delivered again when their lease
        expires."""
        await self._stop_taking()
        if self._polling is not None:
            leave(self._polling)
        await self._in_time(self._return_held(), LEAVE_WITHIN)

    def settled(self, delivery: PubSubDelivery) -> None:
        """It is not ours any more, so there is room for another."""
        self._keeper.release(delivery.lease)
        if self._held.pop(delivery.lease.ack_id, None) is not None:
            self._news.set()

    async def acknowledge(self, lease: Lease) -> None:
        """The message is deleted. Raises TransportUnavailable, LeaseLost."""
        try:
            await self._acknowledgements.add(lease.ack_id)
        except Missing as error:
            raise LeaseLost(f"the subscription is gone with its messages: {error}") from error

    async def renew(self, lease: Lease) -> None:
        """Renew the lease by its full length. Raises TransportUnavailable, LeaseLost."""
        asked = time.monotonic()
        await self._modify([lease.ack_id], self._keeper.seconds)
        self._keeper.renewed(lease, asked)

    async def release(self, lease: Lease, delay: float) -> None:
        """Let the service deliver the message again after so many seconds. Raises TransportUnavailable, LeaseLost."""
        await self._keeper.quiet(lease)
        try:
            await self._modify([lease.ack_id], delay)
        except LeaseLost:
            raise
        except BaseException:
            self._keeper.resume(lease)  # it is still held
            raise

    async def publish(self, copy: Publication) -> None:
        """Publish to an actor's topic. Raises TransportUnavailable, MessageRefused."""
        answer = await self._copies.add(copy)
        if isinstance(answer, Unroutable):
            # The queue vanished with what it held. The copy must not vanish with it.
            raise TransportUnavailable(str(answer))
        if answer is not None:
            raise answer

    async def publish_dead(self, body: bytes, attributes: Mapping[str, str]) -> None:
        """Publish to the dead letters. Raises TransportUnavailable, MessageRefused."""
        letter = Publication(DEAD_LETTERS, body, attributes)
        answer = await self._copies.add(letter)
        if isinstance(answer, Unroutable):
            await self._topology.ensure_dead_letters()
            answer = await self._copies.add(letter)
        if answer is not None:
            raise answer

    @property
    def _room(self) -> int:
        return min(self._prefetch.most - len(self._held), MOST_MESSAGES)

    def _poll_ahead(self) -> None:
        """Begin the next poll if there is room and none is under way; ahead of time only for several messages, so that
        a busy receiver makes few requests. The error of one that failed is raised by `_poll_again`."""
        if self._polling is not None and _succeeded(self._polling):
            self._polling = None
        room = self._room
        if self._polling is None and room > 0 and (not self._unseen or room >= self._prefetch.most // 2):
            self._polling = asyncio.create_task(self._poll(), name=f"poll-{self.actor}")
            self._polling.add_done_callback(lambda _: self._news.set())

    def _poll_again(self) -> None:
        """The same. Raises TransportUnavailable if the last poll failed."""
        polling = self._polling
        if polling is not None and polling.done():
            self._polling = None
            polling.result()
        self._poll_ahead()

    async def _poll(self) -> None:
        room = self._room
        if room <= 0:  # the prefetch was lowered since the poll began; an answered message begins the next one
            return
        try:
            await self._connection.clients()  # with the credentials that the keeper uses, too
            received = await self._keeper.poll(self._subscription, room, POLL_SECONDS)
        except NothingYet:
            return
        self._pause = FIRST_PAUSE
        for each in received:
            self._arrived(self._delivery_of(each))
        if self._stop_by is None:
            self._follow()
        else:
            await self._give_back_unseen()

    def _delivery_of(self, received: Received) -> PubSubDelivery:
        message = received.message.message
        published = self._clock.local(message.publish_time.seconds + message.publish_time.nanos / 1e9)
        attempt: int = received.message.delivery_attempt
        return PubSubDelivery(self, received.lease, message.data, dict(message.attributes), attempt, published)

    def _arrived(self, delivery: PubSubDelivery) -> None:
        """Keep it for a handler, or pass it on if no handler is to get it: it waits, or was delivered too often."""
        self._held[delivery.lease.ack_id] = delivery
        if self._stop_by is not None:
            self._unseen.append(delivery)
        elif (wait := delivery.wait) is not None:
            self._pass_on(delivery, delivery.defer(wait), "a delayed message")
        elif delivery.exhausted:
            self._pass_on(delivery, delivery.bury(), "a dead letter")
        else:
            self._unseen.append(delivery)

    def _pass_on(self, delivery: PubSubDelivery, passing: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(self._passed_on(delivery, passing, what), name=f"pass-on-{self.actor}")
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _passed_on(self, delivery: PubSubDelivery, passing: Coroutine[Any, Any, None], what: str) -> None:
        """What could not be passed on is left to its lease. Whoever gets it after that tries again."""
        try:
            await passing
        except TransportError as error:
            logger.warning("%s of %s, delivered again later: %s", what, self._subscription, error)
            self.settled(delivery)

    def _follow(self) -> None:
        """The prefetch was changed, or more has come than there is room for: take more, or return what stays too
        much."""
        if self._surplus > 0 and self._returning is None:
            self._returning = asyncio.get_running_loop().call_later(RETURN_AFTER, self._return_surplus)
        self._news.set()

    @property
    def _surplus(self) -> int:
        """Messages that are held beyond the prefetch and may be returned."""
        return min(len(self._held) - self._prefetch.most, len(self._unseen))

    def _return_surplus(self) -> None:
        """The newest first."""
        self._returning = None
        for _ in range(self._surplus):
            delivery = self._unseen.pop()
            self._pass_on(delivery, delivery.return_unseen(), "a message that is too much")

    async def _declare_again(self) -> None:
        """Declare the queue again if this program declared it."""
        try:
            if self.dead_letters:
                await self._topology.ensure_dead_letters()
            else:
                await self._topology.declare_again(self.actor)
        except TransportUnavailable as error:
            logger.warning("declaring %s again: %s", self._subscription, error)

    async def _stop_taking(self) -> None:
        """Take nothing more, and return what was not yielded."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_SECONDS
        self._prefetch.on_change(lambda: None)
        if self._returning is not None:
            self._returning.cancel()
        await self._poll_ends(self._stop_by - time.monotonic())
        await self._in_time(self._return_unseen(), LEAVE_WITHIN)

    async def _poll_ends(self, seconds: float) -> None:
        if self._polling is not None:
            await asyncio.wait([self._polling], timeout=max(seconds, 0.0))

    async def _in_time(self, returning: Coroutine[Any, Any, None], seconds: float) -> None:
        if not await in_time(returning, seconds, f"leave-{self.actor}"):
            logger.warning("leaving %s: no answer within %g s", self._subscription, seconds)

    async def _return_unseen(self) -> None:
        if self._passing:
            await asyncio.wait(self._passing)
        await self._give_back_unseen()

    async def _give_back_unseen(self) -> None:
        unseen = list(self._unseen)
        self._unseen.clear()
        await asyncio.gather(*(self._passed_on(each, each.return_unseen(), "returning a message") for each in unseen))

    async def _return_held(self) -> None:
        held = list(self._held.values())
        replaced = [each for each in held if each.replaced]
        await asyncio.gather(
            self._release_all([each for each in held if not each.replaced]),
            *(self._passed_on(each, each.ack(), "a message that was replaced") for each in replaced),
        )

    async def _release_all(self, held: Iterable[PubSubDelivery]) -> None:
        ours = [each.lease for each in held if not each.lease.expired]
        for delivery in held:
            self.settled(delivery)
        try:
            for start in range(0, len(ours), RELEASE_BATCH):
                await self._modify([lease.ack_id for lease in ours[start : start + RELEASE_BATCH]], 0.0)
        except TransportUnavailable as error:
            logger.warning("returning %d messages of %s: %s", len(ours), self._subscription, error)

    async def _acknowledge(self, ack_ids: list[str]) -> None:
        request = types.AcknowledgeRequest.wrap(ACKNOWLEDGE(subscription=self._subscription, ack_ids=ack_ids))
        await self._connection.call(lambda clients: clients.subscriber.acknowledge, request)

    async def _modify(self, ack_ids: list[str], seconds: float) -> None:
        request = MODIFY(subscription=self._subscription, ack_ids=ack_ids, ack_deadline_seconds=whole_seconds(seconds))
        wrapped = types.ModifyAckDeadlineRequest.wrap(request)
        try:
            await self._connection.call(lambda clients: clients.subscriber.modify_ack_deadline, wrapped)
        except Missing as error:
            raise LeaseLost(f"the subscription is gone with its messages: {error}") from error


def _succeeded(work: "asyncio.Task[None]") -> bool:
    return work.done() and not work.cancelled() and work.exception() is None
