"""The broker: queues for the runs, and the peer, which publishes with aio-pika as its documentation shows."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator

import aio_pika
import uvloop

from asya_crds.naming import queue_name
from asya_transports.port import Queue
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.transport import RabbitTransport
from bench.rows import envelope
from bench.stage import ENTRYPOINT, Stage

NAMESPACE = "default"
PUBLISHERS = 64


class Broker:
    """Virtual hosts on the stage's node, each with the entry actor's queue as our worker declares it (quorum)."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @contextlib.contextmanager
    def queue(self) -> Iterator[str]:
        """The URL of a new virtual host, which is removed afterwards with its messages."""
        name = f"bench-{uuid.uuid4().hex[:12]}"
        url = self._stage.rabbitmq.create_vhost(name)
        try:
            asyncio.run(_declare(url))
            yield url
        finally:
            self._stage.rabbitmq.delete_vhost(name)

    def depth(self, url: str, actor: str) -> int:
        """How many messages are in the actor's queue."""
        return asyncio.run(_depth(url, actor))

    def confirmed_per_second(self) -> float:
        """Publishes of the same envelope to the same kind of queue, each awaited to its confirmation."""
        effort = self._stage.effort
        with self.queue() as url:
            return uvloop.run(_publish(url, effort.warm_up, effort.seconds))


async def _declare(url: str) -> None:
    transport = RabbitTransport(RabbitSettings(url), NAMESPACE)
    try:
        await transport.declare(Queue(ENTRYPOINT))
    finally:
        await transport.close()


async def _depth(url: str, actor: str) -> int:
    transport = RabbitTransport(RabbitSettings(url), NAMESPACE)
    try:
        return await transport.depth(actor)
    finally:
        await transport.close()


async def _publish(url: str, warm_up: float, seconds: float) -> float:
    body = envelope().encode()
    connection = await aio_pika.connect_robust(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        exchange = await channel.get_exchange("asya")
        key = queue_name(NAMESPACE, ENTRYPOINT)
        begin = time.monotonic() + warm_up
        end = begin + seconds
        confirmed = 0

        async def publisher() -> None:
            nonlocal confirmed
            while (now := time.monotonic()) < end:
                message = aio_pika.Message(
                    body,
                    content_type="application/json",
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    message_id=uuid.uuid4().hex,
                )
                await exchange.publish(message, key, mandatory=True)
                confirmed += now >= begin

        await asyncio.gather(*(publisher() for _ in range(PUBLISHERS)))
    return confirmed / seconds
