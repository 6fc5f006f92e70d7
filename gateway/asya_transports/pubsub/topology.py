"""Topics and subscriptions: declared, found, deleted."""

import time
from contextlib import suppress
from datetime import timedelta

from google.pubsub_v1 import types

from asya_crds.naming import DEAD_LETTERS
from asya_transports.port import MAX_DELIVERIES, Forbidden, MessageRefused, Queue, TransportError, Unroutable
from asya_transports.pubsub.connection import Connection
from asya_transports.pubsub.delays import whole_seconds
from asya_transports.pubsub.errors import Exists, Invalid, Missing, RequestDenied
from asya_transports.pubsub.names import Names

MOST_ATTEMPTS = 100
"""Deliveries after which Pub/Sub itself dead-letters a message: as many as it allows, because it counts every delivery,
also of messages that nobody worked on. Our own limit is exact. Without this policy there would be no count."""
RETENTION = timedelta(days=7)
"""How long an unacknowledged message is kept."""
KNOWN_SECONDS = 60.0
"""How long a topic that had a subscription is not asked for it again."""


class Topology:
    """The queues of one namespace."""

    def __init__(self, connection: Connection, names: Names, lease: float) -> None:
        self._connection = connection
        self._names = names
        self._lease = whole_seconds(lease)
        self._declared: dict[str, Queue] = {}
        self._known: dict[str, float] = {}

    def limit(self, actor: str) -> int:
        """Deliveries before a message is dead-lettered."""
        declared = self._declared.get(actor)
        return MAX_DELIVERIES if declared is None else declared.max_deliveries

    async def declare(self, queue: Queue) -> None:
        """Declare topic and subscription, and the dead letters' before. Raises TransportUnavailable, Forbidden."""
        try:
            await self.ensure_dead_letters()
            await self._ensure(queue.actor, None if queue.foreign else self._names.topic(DEAD_LETTERS))
        except (RequestDenied, Invalid, MessageRefused) as error:
            raise Forbidden(f"Pub/Sub does not let us declare the queue of {queue.actor}: {error}") from error
        self._declared[queue.actor] = queue

    async def declare_again(self, actor: str) -> bool:
        """Declare the queue again as this program did before; False if it never did. Raises TransportUnavailable,
        Forbidden."""
        declared = self._declared.get(actor)
        if declared is not None:
            await self.declare(declared)
        return declared is not None

    async def ensure_dead_letters(self) -> None:
        """Declare the dead letters' topic and subscription, which have no limit of deliveries."""
        await self._ensure(DEAD_LETTERS, None)

    async def delete(self, actor: str) -> None:
        """Delete subscription and topic; what is missing is no error. Raises TransportUnavailable."""
        self._declared.pop(actor, None)
        self._known.pop(actor, None)
        subscription = types.DeleteSubscriptionRequest(subscription=self._names.subscription(actor))
        with suppress(Missing):
            await self._connection.call(lambda clients: clients.subscriber.delete_subscription, subscription)
        topic = types.DeleteTopicRequest(topic=self._names.topic(actor))
        with suppress(Missing):
            await self._connection.call(lambda clients: clients.publisher.delete_topic, topic)

    async def route(self, actor: str) -> TransportError | None:
        """None if a subscription receives what is published to the actor's topic; else Unroutable, or why that is not
        known. A topic without one accepts messages and drops them. Learnt once in a while for each topic."""
        if time.monotonic() - self._known.get(actor, -KNOWN_SECONDS) < KNOWN_SECONDS:
            return None
        began = time.monotonic()
        try:
            subscriptions = await self.subscriptions(actor)
        except Missing:
            return self.unroutable(actor)
        except TransportError as error:
            return error
        if not subscriptions:
            return Unroutable(f"the topic {self._names.queue(actor)} has no subscription")
        self._known[actor] = began
        return None

    def unroutable(self, actor: str) -> Unroutable:
        """The error for an actor whose topic does not exist, which is asked for again from now on."""
        self._known.pop(actor, None)
        return Unroutable(f"there is no topic {self._names.queue(actor)}")

    async def subscriptions(self, actor: str) -> list[str]:
        """Full names of the subscriptions of an actor's topic. Raises TransportUnavailable, Missing, MessageRefused."""
        request = types.ListTopicSubscriptionsRequest(topic=self._names.topic(actor), page_size=100)
        pager = await self._connection.call(lambda clients: clients.publisher.list_topic_subscriptions, request)
        return list(pager.subscriptions)  # of the first page

    async def _ensure(self, actor: str, dead_letters: str | None) -> None:
        """What exists is used unchanged."""
        subscription = self._names.subscription(actor)
        with suppress(Missing):
            if subscription in await self.subscriptions(actor):
                return
        with suppress(Exists):
            topic = types.Topic(name=self._names.topic(actor))
            await self._connection.call(lambda clients: clients.publisher.create_topic, topic)
        try:
            wanted = self._wanted(actor, dead_letters)
            await self._connection.call(lambda clients: clients.subscriber.create_subscription, wanted)
        except Exists:
            # Another program may have created it just now.
            if subscription not in await self.subscriptions(actor):
                raise Forbidden(
                    f"the subscription {subscription} belongs to another topic, or to a deleted one; delete it once "
                    f"it is empty"
                ) from None

    def _wanted(self, actor: str, dead_letters: str | None) -> types.Subscription:
        policy = None
        if dead_letters is not None:
            policy = types.DeadLetterPolicy(dead_letter_topic=dead_letters, max_delivery_attempts=MOST_ATTEMPTS)
        return types.Subscription(
            name=self._names.subscription(actor),
            topic=self._names.topic(actor),
            ack_deadline_seconds=self._lease,
            message_retention_duration=RETENTION,
            expiration_policy=types.ExpirationPolicy(),  # never; by default, after 31 days without a consumer
            dead_letter_policy=policy,
        )
