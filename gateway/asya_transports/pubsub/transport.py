"""Google Cloud Pub/Sub, with the names of existing sidecars. docs/delivery.md has its guarantees."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from asya_crds.naming import DEAD_LETTERS
from asya_transports.port import Delivery, OutboundMessage, Prefetch, Queue, TransportError, TransportUnavailable
from asya_transports.pubsub.connection import Connection
from asya_transports.pubsub.errors import Missing
from asya_transports.pubsub.leases import LeaseKeeper
from asya_transports.pubsub.names import Names
from asya_transports.pubsub.publisher import Publication, Publisher
from asya_transports.pubsub.receiver import LEAVE_WITHIN, STOP_SECONDS, PubSubReceiver
from asya_transports.pubsub.settings import PubSubSettings
from asya_transports.pubsub.topology import Topology
from asya_transports.receivers import Receivers


class PubSubTransport:
    """Connects at its first use, and belongs to the event loop of that use."""

    name = "pubsub"
    leaves_within = STOP_SECONDS + 2 * LEAVE_WITHIN

    def __init__(self, settings: PubSubSettings, namespace: str) -> None:
        self.names = Names(settings.project, namespace)
        self._connection = Connection(settings)
        self._topology = Topology(self._connection, self.names, settings.lease)
        self._publisher = Publisher(self._connection, settings, self.names, self._topology)
        self._keeper = LeaseKeeper(settings.lease, self._connection.blocking_subscriber)
        self._receivers = Receivers[PubSubReceiver]()

    async def check(self) -> None:
        with suppress(Missing):  # it answers, and nothing was declared yet
            await self._topology.subscriptions(DEAD_LETTERS)

    async def declare(self, queue: Queue) -> None:
        await self._topology.declare(queue)

    async def delete(self, actor: str) -> None:
        await self._topology.delete(actor)

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        return await self._publisher.publish([Publication(message.actor, message.body, {}) for message in messages])

    @asynccontextmanager
    async def receive(self, actor: str, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        receiver = PubSubReceiver(
            self._connection,
            self._publisher,
            self._topology,
            self._keeper,
            self.names,
            actor,
            Prefetch.of(prefetch),
        )
        async with self._receivers.receive(receiver) as stream:
            yield stream

    @asynccontextmanager
    async def receive_dead_letters(self, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async with self.receive(DEAD_LETTERS, prefetch=prefetch) as stream:
            yield stream

    async def address(self, actor: str) -> str:
        return self.names.queue(actor)

    async def depth(self, actor: str) -> int:
        """Raises TransportUnavailable: the service tells it to Cloud Monitoring alone, minutes later."""
        raise TransportUnavailable("Pub/Sub does not tell its clients how many messages wait")

    async def close(self) -> None:
        await self._receivers.leave()
        await asyncio.to_thread(self._keeper.stop)
        await self._connection.close()
