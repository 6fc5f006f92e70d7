"""Our queues in RabbitMQ as existing sidecars, autoscalers and consoles see them."""

import asyncio
import logging
import time
import traceback
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from asya_transports.port import (
    MessageTooLarge,
    OutboundMessage,
    Queue,
    TransportError,
    TransportUnavailable,
    Unroutable,
)
from asya_transports.rabbitmq import receiver
from asya_transports.rabbitmq.frames import Publication
from asya_transports.rabbitmq.publisher import Publisher
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.transport import RabbitTransport
from servers.rabbitmq import LARGEST_MESSAGE, RabbitNode
from tests.contract.transport_harness import eventually_empty, eventually_publishes, message, next_of, publish


@pytest.fixture
async def transport(rabbitmq_vhost_url: str) -> AsyncIterator[RabbitTransport]:
    transport = RabbitTransport(RabbitSettings(rabbitmq_vhost_url), "ns")
    yield transport
    await transport.close()


@pytest.fixture
async def peer(rabbitmq_vhost_url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """A channel of another client: a sidecar, say."""
    async with await aio_pika.connect(rabbitmq_vhost_url) as connection, connection.channel() as channel:
        yield channel


async def test_a_sidecar_can_declare_a_foreign_queue_as_it_always_does(
    transport: RabbitTransport, peer: aio_pika.abc.AbstractChannel
) -> None:
    await transport.declare(Queue("worker", foreign=True))
    exchange = await peer.declare_exchange("asya", "topic", durable=True)
    queue = await peer.declare_queue("asya-ns-worker", durable=True)  # a 406 where any argument differs
    await queue.bind(exchange, "worker")
    await transport.publish([OutboundMessage("worker", b"{}", id="the-task")])
    received = await queue.get(timeout=5)
    assert received is not None
    assert received.routing_key == "worker"
    assert received.exchange == "asya"
    assert received.content_type == "application/json"
    assert received.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert received.message_id == "the-task"
    await received.ack()


async def test_a_queue_is_bound_with_the_actor_and_with_its_own_name(
    transport: RabbitTransport, peer: aio_pika.abc.AbstractChannel
) -> None:
    await transport.declare(Queue("worker"))
    exchange = await peer.get_exchange("asya")
    for key in ("worker", "asya-ns-worker"):
        await exchange.publish(aio_pika.Message(key.encode()), key, mandatory=True)
    async with transport.receive("worker", prefetch=2) as stream:
        bodies = set()
        for _ in range(2):
            delivery = await next_of(stream)
            bodies.add(delivery.body)
            await delivery.ack()
    assert bodies == {b"worker", b"asya-ns-worker"}


async def test_a_queue_that_a_sidecar_made_is_used_as_it_is_and_still_counts(
    transport: RabbitTransport, peer: aio_pika.abc.AbstractChannel
) -> None:
    await peer.declare_queue("asya-ns-worker", durable=True)
    await transport.declare(Queue("worker", max_deliveries=3))
    await publish(transport, "bad")
    async with transport.receive("worker") as stream, transport.receive_dead_letters() as dead_letters:
        counts = []
        for _ in range(3):
            delivery = await next_of(stream)
            counts.append(delivery.deliveries)
            await delivery.nack()
        dead = await next_of(dead_letters)
        assert (dead.actor, dead.body, dead.deliveries) == ("worker", b"bad", 3)
        await dead.ack()
    assert counts == [1, 2, 3]


@pytest.mark.parametrize("header", [{"x-asya-deliveries": 99}, {"x-asya-delay-left": "125,125"}])
async def test_a_message_that_cannot_be_passed_on_now_does_not_keep_its_place(
    transport: RabbitTransport,
    peer: aio_pika.abc.AbstractChannel,
    monkeypatch: pytest.MonkeyPatch,
    header: dict[str, Any],
) -> None:
    """A dead letter, or a message that has to wait longer, while the broker takes no messages."""
    publish_now, tries = receiver.RabbitReceiver._publish, 0

    async def publish_later(self: receiver.RabbitReceiver, copy: Publication, queue: str) -> TransportError | None:
        nonlocal tries
        tries += 1
        return TransportUnavailable("blocked") if tries < 3 else await publish_now(self, copy, queue)

    monkeypatch.setattr(receiver.RabbitReceiver, "_publish", publish_later)
    await transport.declare(Queue("worker"))
    await peer.default_exchange.publish(aio_pika.Message(b"held", headers=header), "asya-ns-worker")
    await publish(transport, "next")
    async with transport.receive("worker", prefetch=1) as stream:
        delivery = await next_of(stream)
        assert delivery.body == b"next"
        await delivery.ack()
    assert tries == 3


async def test_a_message_that_cannot_be_passed_on_is_returned_when_its_consumer_leaves(
    transport: RabbitTransport, peer: aio_pika.abc.AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> TransportError:
        return TransportUnavailable("blocked")

    await transport.declare(Queue("worker"))
    held = aio_pika.Message(b"held", headers={"x-asya-deliveries": 99})
    await peer.default_exchange.publish(held, "asya-ns-worker")
    await publish(transport, "next")
    with monkeypatch.context() as patch:
        patch.setattr(receiver.RabbitReceiver, "_publish", away)
        async with transport.receive("worker", prefetch=2) as stream:
            delivery = await next_of(stream)
            assert delivery.body == b"next"
            await delivery.ack()
    async with transport.receive("worker") as stream, transport.receive_dead_letters() as dead_letters:
        receiving = asyncio.create_task(anext(stream))
        dead = await next_of(dead_letters)
        assert (dead.body, dead.actor) == (b"held", "worker")
        await dead.ack()
        receiving.cancel()
        await asyncio.wait([receiving])


async def test_many_delays_make_no_more_than_twelve_queues(
    transport: RabbitTransport, rabbitmq_node: RabbitNode, rabbitmq_vhost_url: str
) -> None:
    await transport.declare(Queue("worker"))
    await publish(transport, *(f"m{number}" for number in range(120)))
    async with transport.receive("worker", prefetch=120) as stream:
        for number in range(120):
            await (await next_of(stream)).nack(30 + number * 1.7)
        vhost = urllib.parse.urlsplit(rabbitmq_vhost_url).path.removeprefix("/")
        names = {queue["name"] for queue in rabbitmq_node.request("GET", f"/queues/{vhost}")}
        delays = {name for name in names if name.startswith("asya-ns-worker.delay.")}
        assert 3 <= len(delays) <= 12


async def test_an_unfinished_delay_continues_after_its_consumer_left(
    transport: RabbitTransport, peer: aio_pika.abc.AbstractChannel
) -> None:
    await transport.declare(Queue("worker"))
    left: dict[str, Any] = {"x-asya-delay-left": "1000,400"}
    await peer.default_exchange.publish(aio_pika.Message(b"busy"), "asya-ns-worker")
    await peer.default_exchange.publish(aio_pika.Message(b"delayed", headers=left), "asya-ns-worker")
    async with transport.receive("worker", prefetch=2) as stream:
        busy = await next_of(stream)
        await eventually_empty(transport)  # both are taken, one is seen
    assert busy.body == b"busy"
    start = time.monotonic()
    async with transport.receive("worker", prefetch=2) as stream:
        bodies = {}
        for _ in range(2):
            delivery = await next_of(stream)
            bodies[delivery.body] = (time.monotonic() - start, delivery.deliveries)
            await delivery.ack()
    assert bodies[b"delayed"][0] >= 0.95
    assert bodies[b"delayed"][1] == 1


async def test_without_the_exchange_a_publish_is_unroutable_until_it_is_declared(
    transport: RabbitTransport, peer: aio_pika.abc.AbstractChannel
) -> None:
    await transport.declare(Queue("worker"))
    await publish(transport, "before")
    await peer.exchange_delete("asya")
    answers = await transport.publish([message("one"), message("two")])
    assert all(isinstance(answer, Unroutable) for answer in answers)
    await transport.declare(Queue("worker"))
    await publish(transport, "after", "all")


async def test_an_exchange_that_vanishes_comes_back_with_its_bindings(
    transport: RabbitTransport, peer: aio_pika.abc.AbstractChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer is not notified; it checks by itself."""
    monkeypatch.setattr(receiver, "VERIFY_SECONDS", 0.5)
    await transport.declare(Queue("worker"))
    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream))
        await publish(transport, "before")
        await (await waiting).ack()
        waiting = asyncio.create_task(next_of(stream))
        await peer.exchange_delete("asya")
        await eventually_publishes(transport, "after")
        delivery = await waiting
        assert delivery.body == b"after"
        await delivery.ack()


async def test_wrong_credentials_are_said_without_the_password_and_not_waited_for(
    rabbitmq_vhost_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    parts = urllib.parse.urlsplit(rabbitmq_vhost_url)
    url = urllib.parse.urlunsplit(parts._replace(netloc=f"guest:hunter2@{parts.hostname}:{parts.port}"))
    transport = RabbitTransport(RabbitSettings(url), "ns")
    [answer] = await transport.publish([message("x")])
    assert isinstance(answer, TransportUnavailable)
    assert "403" in str(answer)
    with pytest.raises(TransportUnavailable) as refused:
        await transport.declare(Queue("worker"))
    await transport.close()
    told = caplog.text + "".join(traceback.format_exception(answer) + traceback.format_exception(refused.value))
    assert "RabbitMQ is not available" in told
    assert "hunter2" not in told


async def test_a_message_over_the_brokers_own_limit_is_refused_alone(rabbitmq_node: RabbitNode) -> None:
    """The broker closes the channel for it (406), which also loses the confirmations of the messages beside it."""
    vhost = rabbitmq_node.create_vhost("limited")
    try:
        # Sent twice, among others and alone: a busy machine needs more than a publish's usual five seconds.
        settings = RabbitSettings(vhost, publish_timeout=30)
        transport, publisher = RabbitTransport(settings, "ns"), Publisher(settings)
        await transport.declare(Queue("worker"))
        bodies = [b"small", bytes(LARGEST_MESSAGE + 1), b"other"]
        answers = await publisher.publish([Publication("asya", "worker", body) for body in bodies])
        assert [type(answer) for answer in answers] == [type(None), MessageTooLarge, type(None)]
        await publisher.close()
        await transport.close()
    finally:
        rabbitmq_node.delete_vhost("limited")
