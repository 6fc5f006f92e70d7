"""RabbitMQ, with the names and bindings of existing sidecars. docs/delivery.md has its guarantees."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from asya_crds.naming import DEAD_LETTERS, queue_name
from asya_transports.port import (
    Delivery,
    MessageRefused,
    MessageTooLarge,
    OutboundMessage,
    Prefetch,
    Queue,
    TransportError,
)
from asya_transports.rabbitmq.connection import BrokerConnection
from asya_transports.rabbitmq.frames import Publication
from asya_transports.rabbitmq.publisher import Publisher
from asya_transports.rabbitmq.receiver import LEAVE_WITHIN, RabbitReceiver
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.topology import Topology
from asya_transports.receivers import Receivers

BATCH_BYTES = 4 * 1024 * 1024
"""Most bytes that are written together and must be confirmed within one publish timeout; a larger message is written
alone."""


class RabbitTransport:
    """Connects at its first use, and belongs to the event loop of that use."""

    name = "rabbitmq"
    leaves_within = 2 * LEAVE_WITHIN

    def __init__(self, settings: RabbitSettings, namespace: str) -> None:
        self._settings = settings
        self._namespace = namespace
        self._connection = BrokerConnection(settings)
        self._publisher = Publisher(settings)
        self._topology = Topology(self._connection, settings, namespace)
        self._receivers = Receivers[RabbitReceiver]()

    async def check(self) -> None:
        await self._publisher.check()

    async def declare(self, queue: Queue) -> None:
        await self._topology.declare(queue)

    async def delete(self, actor: str) -> None:
        await self._topology.delete(actor)

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        answers: list[TransportError | None] = [None] * len(messages)
        batch: list[int] = []
        size = 0
        for index, message in enumerate(messages):
            refusal = self._refusal(message)
            if refusal is not None:
                answers[index] = refusal
                continue
            if batch and size + len(message.body) > BATCH_BYTES:
                await self._send(messages, batch, answers)
                batch, size = [], 0
            batch.append(index)
            size += len(message.body)
        if batch:
            await self._send(messages, batch, answers)
        return answers

    @asynccontextmanager
    async def receive(self, actor: str, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        receiver = RabbitReceiver(
            self._connection, self._publisher, self._topology, self._namespace, actor, Prefetch.of(prefetch)
        )
        async with self._receivers.receive(receiver) as stream:
            yield stream

    @asynccontextmanager
    async def receive_dead_letters(self, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async with self.receive(DEAD_LETTERS, prefetch=prefetch) as stream:
            yield stream

    async def address(self, actor: str) -> str:
        return queue_name(self._namespace, actor)

    async def depth(self, actor: str) -> int:
        return await self._topology.depth(actor)

    async def close(self) -> None:
        await self._receivers.leave()
        await self._publisher.close()
        await self._connection.close()

    def _refusal(self, message: OutboundMessage) -> MessageRefused | None:
        if len(message.body) > self._settings.max_message_bytes:
            limit = self._settings.max_message_bytes
            return MessageTooLarge(f"the message has {len(message.body)} bytes, the limit is {limit}")
        try:
            message.actor.encode()
        except UnicodeEncodeError:
            return MessageRefused(f"the actor's name {message.actor[:40]!r} is not text that can be sent")
        if len(message.actor) > 63 and len(message.actor.encode()) > 255:
            return MessageRefused(f"the actor's name {message.actor[:40]!r}… has more than 255 bytes")
        return None

    async def _send(
        self, messages: Sequence[OutboundMessage], batch: list[int], answers: list[TransportError | None]
    ) -> None:
        exchange = self._settings.exchange
        publications = []
        for index in batch:
            actor, body, id_ = messages[index]
            publications.append(Publication(exchange, actor, body, id_))
        for index, answer in zip(batch, await self._publisher.publish(publications), strict=True):
            answers[index] = answer
