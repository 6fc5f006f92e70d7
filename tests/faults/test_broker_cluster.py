"""A cluster of three brokers behind one address, whose first node dies."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from asya_transports.port import Queue, Transport, TransportError
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.transport import RabbitTransport
from servers.processes import ServerUnavailable
from servers.proxy import TcpProxy
from servers.rabbitmq import RabbitNode
from tests.contract.transport_harness import message
from tests.support.missing import missing
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def cluster() -> Iterator[list[RabbitNode]]:
    nodes: list[RabbitNode] = []
    try:
        nodes.append(RabbitNode())
    except ServerUnavailable as reason:
        missing(reason)
    try:
        nodes[0].start()
        for _ in range(2):
            nodes.append(RabbitNode(beside=nodes[0]))
            nodes[-1].start()
            nodes[-1].join()
        yield nodes
    finally:
        # The first one last: the port mapper of all is its child.
        for node in reversed(nodes):
            node.close()


async def test_a_cluster_whose_first_node_dies_loses_no_confirmed_message(cluster: list[RabbitNode]) -> None:
    """Queues are quorum queues, so the two that are left have every message; clients come again to one of them."""
    proxy, url = await TcpProxy.before(cluster[0].url)
    transport: Transport = RabbitTransport(RabbitSettings(url), "ns")
    confirmed: set[str] = set()
    received: set[str] = set()
    try:
        await transport.declare(Queue("worker"))
        publishing = asyncio.create_task(publish_for_ever(transport, confirmed))
        receiving = asyncio.create_task(receive_for_ever(transport, received))
        await until(lambda: len(received) > 200, 30, "messages before the fault")
        await asyncio.to_thread(cluster[0].kill)
        at_the_fault = len(confirmed)
        proxy.lead_to(cluster[1].url)
        await until(lambda: len(confirmed) > at_the_fault + 200, 60, "messages after the fault")
        publishing.cancel()
        await asyncio.wait([publishing])
        await until(lambda: confirmed <= received, 60, "every confirmed message")
        receiving.cancel()
        await asyncio.wait([receiving])
    finally:
        await transport.close()
        await proxy.close()


async def publish_for_ever(transport: Transport, confirmed: set[str]) -> None:
    """Batches of ten; what is not confirmed is not counted."""
    number = 0
    while True:
        texts = [f"m{number + offset}" for offset in range(10)]
        number += 10
        answers = await transport.publish([message(text) for text in texts])
        confirmed.update(text for text, answer in zip(texts, answers, strict=True) if answer is None)
        await lasts(0.005)


async def receive_for_ever(transport: Transport, received: set[str]) -> None:
    async with transport.receive("worker", prefetch=20) as stream:
        async for delivery in stream:
            received.add(delivery.body.decode())
            with contextlib.suppress(TransportError):  # what cannot be acknowledged comes again
                await delivery.ack()
