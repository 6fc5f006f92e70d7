"""Polls of SQS: what they bring is ours from its reception on."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from asya_transports.opening import open_transport
from tests.contract.brokers import STAND_INS, Broker, Moto
from tests.contract.transport_harness import Harness, eventually_empty, next_of, publish
from tests.support.waiting import lasts, lasts_blocking


@pytest.fixture(params=[Moto, *STAND_INS], ids=lambda kind: kind.name)
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    kind: type[Broker] = request.param
    harness = Harness(kind(request).settings())
    yield harness
    await harness.close()


async def test_a_message_that_arrives_while_a_handler_blocks_the_event_loop_is_with_one_consumer(
    harness: Harness,
) -> None:
    """The poll was under way when the handler began, and the handler blocks for longer than a visibility timeout."""
    transport = await harness.declared()

    def publish_later() -> None:
        async def work() -> None:
            other = open_transport(harness.settings, harness.namespace)
            await publish(other, "arrives")
            await other.close()

        asyncio.run(work())

    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream))
        await lasts(0.3)  # the poll is under way
        publishing = threading.Thread(target=publish_later)
        publishing.start()
        lasts_blocking(5)  # leases are 2 s here
        publishing.join()
        async with harness.open().receive("worker") as others:
            with pytest.raises(TimeoutError):
                await next_of(others, within=1.5)
        delivery = await waiting
        assert (delivery.body, delivery.deliveries) == (b"arrives", 1)
        await delivery.ack()
    await eventually_empty(transport)
