"""What the contract tests need from each queue system besides the transport: dying consumers, broken connections."""

import asyncio
import contextlib
import dataclasses
import json
import sys
import uuid
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from asya_transports.description import QueueLimits, TransportSettings
from asya_transports.known import describe
from asya_transports.opening import open_transport
from asya_transports.port import Delivery, OutboundMessage, Queue, Transport
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.transport import RabbitTransport
from servers.proxy import TcpProxy
from tests.support.waiting import until

ADDRESS_FIELD = {"postgres": "url", "rabbitmq": "url", "pubsub": "endpoint", "sqs": "endpoint"}
"""The field of a transport's settings with its server's URL."""

WITHIN = 15.0
"""Bound of every wait."""

ENVELOPE = {
    "id": "t-1",
    "route": {"prev": [], "curr": "worker", "next": ["x-sink"]},
    "headers": {"x-asya-gateway-url": "http://mesh"},
    "status": {"phase": "pending", "actor": "worker", "attempt": 1, "max_attempts": 1},
    "payload": {"text": "žluť \U0001f600"},
}
"""As existing sidecars and other programs send it, with text of more than one byte a character."""


class Harness:
    """Transports of one namespace on one server."""

    def __init__(self, settings: TransportSettings) -> None:
        self.settings = settings
        self.namespace = f"n{uuid.uuid4().hex[:8]}"
        self._opened: list[Transport] = []
        self._proxies: list[TcpProxy] = []

    @property
    def limits(self) -> QueueLimits:
        """What this queue system cannot promise."""
        return describe(self.settings.name).limits

    def open(self, settings: TransportSettings | None = None) -> Transport:
        """Another transport, closed with the test."""
        transport = open_transport(settings or self.settings, self.namespace)
        self._opened.append(transport)
        return transport

    async def open_through_proxy(self) -> tuple[Transport, TcpProxy]:
        """A transport whose connection can be cut."""
        field = ADDRESS_FIELD[self.settings.name]
        proxy, address = await TcpProxy.before(getattr(self.settings, field))
        self._proxies.append(proxy)
        return self.open(changed(self.settings, **{field: address})), proxy

    async def declared(self, actor: str = "worker", **options: int) -> Transport:
        """A transport, and a queue of that actor."""
        transport = self.open()
        await transport.declare(Queue(actor, max_deliveries=options.get("max_deliveries", 5)))
        return transport

    async def close(self) -> None:
        """Close all that was opened."""
        for transport in self._opened:
            await transport.close()
        for proxy in self._proxies:
            await proxy.close()

    @contextlib.asynccontextmanager
    async def doomed_consumer(self, actor: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Another process that has taken one message and never answers; the test kills it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("doomed_consumer.py")),
            json.dumps(
                {
                    "settings": values_of(self.settings),
                    "namespace": self.namespace,
                    "actor": actor,
                }
            ),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(WITHIN):
                assert await process.stdout.readline() == b"taken\n"
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def changed(settings: TransportSettings, **fields: object) -> TransportSettings:
    """The same settings but for these fields. Settings are dataclasses, each of its own class."""
    return dataclasses.replace(cast("Any", settings), **fields)  # type: ignore[no-any-return]


def values_of(settings: TransportSettings) -> dict[str, object]:
    """The settings as JSON for another process."""
    kind = type(settings)
    return {"module": kind.__module__, "class": kind.__qualname__, "fields": dataclasses.asdict(cast("Any", settings))}


def settings_of(values: dict[str, Any]) -> TransportSettings:
    """The settings that `values_of` took apart."""
    made: TransportSettings = getattr(import_module(values["module"]), values["class"])(**values["fields"])
    return made


def message(text: str, actor: str = "worker") -> OutboundMessage:
    """A message whose body is this text."""
    return OutboundMessage(actor, text.encode(), id=text[:36])


async def publish(transport: Transport, *texts: str, actor: str = "worker") -> None:
    """Publish, and require that each was confirmed."""
    assert await transport.publish([message(text, actor) for text in texts]) == [None] * len(texts)


async def next_of(stream: AsyncIterator[Delivery], within: float = WITHIN) -> Delivery:
    """The next delivery, or TimeoutError."""
    async with asyncio.timeout(within):
        return await anext(stream)


async def take_one(transport: Transport, actor: str = "worker", within: float = WITHIN) -> tuple[str, int]:
    """Receive one message and acknowledge it: its text, and which delivery it was."""
    async with transport.receive(actor) as stream:
        delivery = await next_of(stream, within)
        await delivery.ack()
        return delivery.body.decode(), delivery.deliveries


async def take_from(stream: AsyncIterator[Delivery]) -> str:
    """Acknowledge the next delivery and return its text."""
    delivery = await next_of(stream)
    await delivery.ack()
    return delivery.body.decode()


async def eventually_publishes(transport: Transport, text: str) -> None:
    """Publish until it is confirmed; the message may arrive more than once."""

    async def confirmed() -> bool:
        return (await transport.publish([message(text)]))[0] is None

    await until(confirmed, WITHIN * 2, "a confirmation")


async def eventually_empty(transport: Transport, actor: str = "worker") -> None:
    """Wait until nothing waits in the queue."""

    async def empty() -> bool:
        return await transport.depth(actor) == 0

    await until(empty, WITHIN, "an empty queue")


@contextlib.asynccontextmanager
async def rabbitmq_worker(vhost_url: str) -> AsyncIterator[RabbitTransport]:
    """A transport on this virtual host that has declared the queue of `worker`."""
    transport = RabbitTransport(RabbitSettings(vhost_url), "ns")
    await transport.declare(Queue("worker"))
    yield transport
    await transport.close()


async def taken_twice(transport: Transport, text: str) -> None:
    """The only message of `worker` is this text: given back once, then acknowledged."""
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        assert (delivery.actor, delivery.body.decode(), delivery.deliveries) == ("worker", text, 1)
        await delivery.nack()
        delivery = await next_of(stream)
        assert (delivery.body.decode(), delivery.deliveries) == (text, 2)
        await delivery.ack()
