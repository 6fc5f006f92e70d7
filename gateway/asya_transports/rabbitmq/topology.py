"""Exchange, queues and bindings, as existing sidecars expect them (docs/delivery.md describes them). Existing ones are
used unchanged, so that two programs with different arguments do not conflict."""

import math
import time
from contextlib import suppress

from aiormq.abc import AbstractChannel
from aiormq.exceptions import AMQPChannelError, ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.common import FieldTable

from asya_crds.naming import DEAD_LETTERS, queue_name
from asya_transports.port import MAX_DELIVERIES, Forbidden, Queue
from asya_transports.rabbitmq.connection import BrokerConnection
from asya_transports.rabbitmq.settings import RabbitSettings

UNUSED_EXPIRY_MS = 10 * 60 * 1000
"""How long an unused delay queue is kept, in milliseconds."""

REFRESH_SECONDS = 60.0
"""A delay queue is declared again before a publish if its last declaration is older: an unused queue expires with its
messages, and only a declaration counts as use."""


class Topology:
    """The queues of one namespace."""

    def __init__(self, connection: BrokerConnection, settings: RabbitSettings, namespace: str) -> None:
        self._connection = connection
        self._exchange = settings.exchange
        self._namespace = namespace
        self._declared: dict[str, Queue] = {}
        self._delays: dict[str, float] = {}

    @property
    def dead_letters(self) -> str:
        """The name of the namespace's dead-letter queue."""
        return queue_name(self._namespace, DEAD_LETTERS)

    def limit(self, actor: str) -> int:
        """Most deliveries of this actor's messages, if this program has declared its queue."""
        declared = self._declared.get(actor)
        return MAX_DELIVERIES if declared is None else declared.max_deliveries

    async def declare(self, queue: Queue) -> None:
        """Declare exchange, dead letters, queue and both bindings. Raises TransportUnavailable, Forbidden."""
        self._declared[queue.actor] = queue
        name = queue_name(self._namespace, queue.actor)
        try:
            await self._ensure_exchange()
            await self.ensure_dead_letters()
            await self._ensure_queue(name, None if queue.foreign else self._arguments(queue))
            await self._connection.on_channel(lambda channel: self._bind(channel, name, queue.actor))
        except AMQPChannelError as error:
            raise Forbidden(f"RabbitMQ does not let us declare the queue {name}: {error}") from error

    async def declare_again(self, actor: str) -> bool:
        """Declare the queue again as this program did before; False if it never did. Raises TransportUnavailable,
        Forbidden."""
        declared = self._declared.get(actor)
        if declared is not None:
            await self.declare(declared)
        return declared is not None

    async def ensure_dead_letters(self) -> None:
        """Declare the dead-letter queue, which has no delivery limit."""
        await self._ensure_queue(self.dead_letters, {"x-queue-type": "quorum"})

    async def delay_queue(self, target: str, milliseconds: int) -> str:
        """The queue that holds a message for one of delays.RUNGS and passes it to `target`.

        Raises TransportUnavailable, Forbidden.
        """
        name = f"{target}.delay.{milliseconds}"
        if time.monotonic() - self._delays.get(name, -math.inf) > REFRESH_SECONDS:
            arguments: FieldTable = {
                "x-queue-type": "quorum",
                "x-message-ttl": milliseconds,
                "x-expires": milliseconds + UNUSED_EXPIRY_MS,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": target,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            }
            try:
                await self._connection.on_channel(
                    lambda channel: channel.queue_declare(name, durable=True, arguments=arguments)
                )
            except AMQPChannelError as error:
                raise Forbidden(f"RabbitMQ does not let us declare the queue {name}: {error}") from error
            self._delays[name] = time.monotonic()
        return name

    def forget_delays(self) -> None:
        """Declare each delay queue again before its next use, because one was missing."""
        self._delays.clear()

    async def delete(self, actor: str) -> None:
        """Delete the queue. For RabbitMQ, too, a missing queue is not an error."""
        self._declared.pop(actor, None)
        name = queue_name(self._namespace, actor)
        await self._connection.on_channel(lambda channel: channel.queue_delete(name))

    async def depth(self, actor: str) -> int:
        """The number of ready messages in the queue."""
        name = queue_name(self._namespace, actor)
        try:
            declared = await self._connection.on_channel(lambda channel: channel.queue_declare(name, passive=True))
            return int(declared.message_count or 0)
        except ChannelNotFoundEntity:
            return 0

    async def _bind(self, channel: AbstractChannel, name: str, actor: str) -> None:
        for key in (actor, name):
            await channel.queue_bind(name, self._exchange, key)

    def _arguments(self, queue: Queue) -> FieldTable:
        return {
            "x-queue-type": "quorum",
            # The broker counts returns; the one that exceeds the limit dead-letters the message.
            "x-delivery-limit": queue.max_deliveries - 1,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.dead_letters,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }

    async def _ensure_queue(self, name: str, arguments: FieldTable | None) -> None:
        try:
            await self._connection.on_channel(lambda channel: channel.queue_declare(name, passive=True))
        except ChannelNotFoundEntity:
            with suppress(ChannelPreconditionFailed):  # another program has just created it with other arguments
                await self._connection.on_channel(
                    lambda channel: channel.queue_declare(name, durable=True, arguments=arguments)
                )

    async def _ensure_exchange(self) -> None:
        exchange = self._exchange
        try:
            await self._connection.on_channel(lambda channel: channel.exchange_declare(exchange, passive=True))
        except ChannelNotFoundEntity:
            with suppress(ChannelPreconditionFailed):
                await self._connection.on_channel(
                    lambda channel: channel.exchange_declare(exchange, exchange_type="topic", durable=True)
                )
