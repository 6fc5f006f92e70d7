"""The leases of SQS and Pub/Sub as they are by default, 30 s, in real time. All other suites shorten them."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from asya_transports.description import TransportSettings
from asya_transports.pubsub.settings import PubSubSettings
from asya_transports.sqs.settings import SqsSettings
from servers.pubsub import PROJECT, PubSubServer
from servers.sqs import SqsServer
from tests.contract.transport_harness import Harness, next_of, publish
from tests.support.waiting import lasts_blocking

pytestmark = pytest.mark.timeout(180)
LEASE = 30.0
SOON = 40.0
"""Seconds within which the hop of a dead worker begins again."""


def sqs(request: pytest.FixtureRequest) -> TransportSettings:
    request.getfixturevalue("sqs_credentials")
    server: SqsServer = request.getfixturevalue("moto_server")
    return SqsSettings(endpoint=server.url, wait_time=2)


def pubsub(request: pytest.FixtureRequest) -> TransportSettings:
    server: PubSubServer = request.getfixturevalue("pubsub_server")
    return PubSubSettings(PROJECT, server.endpoint)


@pytest.fixture(params=[sqs, pubsub], ids=["sqs", "pubsub"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    harness = Harness(request.param(request))
    yield harness
    await harness.close()


async def test_a_blocking_handler_keeps_its_message_and_that_of_a_dead_worker_comes_within_40_s(
    harness: Harness,
) -> None:
    transport, other = await harness.declared(), harness.open()
    await publish(transport, "held")
    async with transport.receive("worker") as stream:
        held = await next_of(stream)
        await publish(other, "orphan")
        async with harness.doomed_consumer("worker") as process:
            died = time.monotonic()
            process.kill()
        lasts_blocking(LEASE + 3)
        async with other.receive("worker") as others:
            orphan = await next_of(others, within=died + SOON - time.monotonic())
            assert (orphan.body, orphan.deliveries) == (b"orphan", 2)
            waiting = asyncio.create_task(anext(others))
            await orphan.ack()
            done, _ = await asyncio.wait([waiting], timeout=2)
            assert not done, "the message that is held was delivered again"
            waiting.cancel()
            await asyncio.wait([waiting])
        await held.ack()
