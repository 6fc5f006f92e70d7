"""Amazon SQS, with the names of existing sidecars. docs/delivery.md has its guarantees."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from asya_crds.naming import DEAD_LETTERS
from asya_transports.port import Delivery, MessageRefused, OutboundMessage, Prefetch, Queue, TransportError, Unroutable
from asya_transports.receivers import Receivers
from asya_transports.sqs import attributes
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.lease_keeper import LeaseKeeper
from asya_transports.sqs.outgoing import Outgoing, outgoing, too_large
from asya_transports.sqs.publisher import Publisher
from asya_transports.sqs.queues import QueueUrls
from asya_transports.sqs.receipts import Receipts
from asya_transports.sqs.receiver import LEAVE_WITHIN, SqsReceiver, poll_ends_within
from asya_transports.sqs.settings import LONG_VISIBILITY, SqsSettings

logger = logging.getLogger(__name__)


class SqsTransport:
    """Connects at its first use, and belongs to the event loop of that use."""

    name = "sqs"

    def __init__(self, settings: SqsSettings, namespace: str) -> None:
        if settings.visibility_timeout > LONG_VISIBILITY:
            logger.warning(
                "ASYA_SQS_VISIBILITY_TIMEOUT is %d s: so long nobody gets the messages of a worker that died; leases "
                "of live workers are renewed, so 30 is enough",
                settings.visibility_timeout,
            )
        self._settings = settings
        self.leaves_within = poll_ends_within(settings) + LEAVE_WITHIN
        self._client = SqsClient(settings)
        self._queues = QueueUrls(self._client, namespace)
        self._publisher = Publisher(self._client, self._queues, settings)
        self._receipts = Receipts(self._client)
        self._keeper = LeaseKeeper(settings)
        self._receivers = Receivers[SqsReceiver]()

    async def check(self) -> None:
        try:
            self._queues.forget(DEAD_LETTERS)
            await self._queues.url(DEAD_LETTERS)
        except Unroutable:
            return  # SQS has answered

    async def declare(self, queue: Queue) -> None:
        await self._queues.declare(queue)

    async def delete(self, actor: str) -> None:
        await self._queues.delete(actor)

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        return await self._publisher.publish_all([(message.actor, self._outgoing(message)) for message in messages])

    @asynccontextmanager
    async def receive(self, actor: str, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        receiver = SqsReceiver(
            self._queues,
            self._publisher,
            self._receipts,
            self._keeper,
            self._settings,
            actor,
            Prefetch.of(prefetch),
        )
        self._keeper.start()
        async with self._receivers.receive(receiver) as stream:
            yield stream

    @asynccontextmanager
    async def receive_dead_letters(self, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async with self.receive(DEAD_LETTERS, prefetch=prefetch) as stream:
            yield stream

    async def address(self, actor: str) -> str:
        return await self._queues.url(actor)

    async def depth(self, actor: str) -> int:
        return await self._queues.depth(actor)

    async def close(self) -> None:
        await self._receivers.leave()
        await self._publisher.finish()
        await self._receipts.finish()
        await self._keeper.stop()
        await self._client.close()

    def _outgoing(self, message: OutboundMessage) -> Outgoing | MessageRefused:
        length, most = len(message.body), self._settings.max_message_bytes
        try:
            self._queues.check_name(message.actor)
            if length > most:
                raise too_large(length, most)
            return outgoing(message.body, {attributes.ACTOR: message.actor}, {}, most=self._settings.message_bytes)
        except MessageRefused as error:
            return error
