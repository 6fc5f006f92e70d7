"""Pub/Sub as other programs use it: with Google's own hand-written client, in threads."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from google.cloud import pubsub_v1

from asya_transports.port import OutboundMessage, Queue
from servers.pubsub import PROJECT
from tests.contract.brokers import PubSub
from tests.contract.transport_harness import ENVELOPE, WITHIN, Harness, taken_twice

TEXT = json.dumps(ENVELOPE, ensure_ascii=False)


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    harness = Harness(PubSub(request).settings())
    yield harness
    await harness.close()


@pytest.fixture
def publisher(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[pubsub_v1.PublisherClient]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", harness.settings.endpoint)  # type: ignore[attr-defined]
    client = pubsub_v1.PublisherClient()
    yield client
    client.stop()
    client.transport.close()


@pytest.fixture
def subscriber(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Iterator[pubsub_v1.SubscriberClient]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", harness.settings.endpoint)  # type: ignore[attr-defined]
    with pubsub_v1.SubscriberClient() as client:
        yield client


async def test_what_another_client_publishes_arrives_as_it_was(
    harness: Harness, publisher: pubsub_v1.PublisherClient
) -> None:
    """The text of the envelope, with no attribute of ours."""
    transport = await harness.declared()
    topic = publisher.topic_path(PROJECT, f"asya-{harness.namespace}-worker")
    published = publisher.publish(topic, TEXT.encode())
    assert await asyncio.to_thread(published.result, WITHIN)
    await taken_twice(transport, TEXT)


@pytest.mark.parametrize("foreign", [True, False])
async def test_another_client_reads_the_envelope_as_the_whole_data_and_acknowledges_it(
    harness: Harness, subscriber: pubsub_v1.SubscriberClient, foreign: bool
) -> None:
    """By a streaming pull, as sidecars do."""
    transport = harness.open()
    await transport.declare(Queue("worker", foreign=foreign))
    assert await transport.publish([OutboundMessage("worker", TEXT.encode(), "t-1")]) == [None]
    loop, arrived = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def take(message: Any) -> None:
        message.ack_with_response().result(WITHIN)
        loop.call_soon_threadsafe(arrived.put_nowait, bytes(message.data))

    name = subscriber.subscription_path(PROJECT, f"asya-{harness.namespace}-worker")
    pulling = subscriber.subscribe(name, take)
    try:
        async with asyncio.timeout(WITHIN):
            assert json.loads(await arrived.get()) == ENVELOPE
    finally:
        pulling.cancel()
        await asyncio.to_thread(pulling.result, WITHIN)
    assert await transport.depth("worker") == 0
