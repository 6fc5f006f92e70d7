"""What the contract tests need from each queue system besides the transport: dying consumers, broken connections."""

import asyncio
import contextlib
import dataclasses
import json
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from asya_transports.description import TransportSettings
from asya_transports.opening import open_transport
from asya_transports.port import Delivery, OutboundMessage, Queue, Transport
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.rabbitmq.settings import RabbitSettings
from servers.proxy import TcpProxy
from tests.support.waiting import until

LEASE = 1.5
"""Seconds of the visibility timeout in tests; transports whose broker sees a dead consumer itself have none."""

WITHIN = 15.0
"""Bound of every wait."""


class Harness:
    """Transports of one namespace on one server."""

    def __init__(self, settings: PostgresSettings | RabbitSettings) -> None:
        self.settings = settings
        self.namespace = f"n{uuid.uuid4().hex[:8]}"
        self._opened: list[Transport] = []
        self._proxies: list[TcpProxy] = []

    def open(self, settings: PostgresSettings | RabbitSettings | None = None) -> Transport:
        """Another transport, closed with the test."""
        transport = open_transport(settings or self.settings, self.namespace)
        self._opened.append(transport)
        return transport

    async def open_through_proxy(self) -> tuple[Transport, TcpProxy]:
        """A transport whose connection can be cut."""
        proxy, url = await TcpProxy.before(self.settings.url)
        self._proxies.append(proxy)
        return self.open(dataclasses.replace(self.settings, url=url)), proxy

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
                    "transport": self.settings.name,
                    "settings": dataclasses.asdict(self.settings),
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


def settings_of(transport: str, values: dict[str, object]) -> TransportSettings:
    """The settings that `dataclasses.asdict` took apart."""
    return PostgresSettings(**values) if transport == "postgres" else RabbitSettings(**values)  # type: ignore[arg-type]


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
