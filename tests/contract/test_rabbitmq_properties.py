"""Messages whose properties no sidecar would send: they are worked on, put back and dead-lettered as any other."""

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest

from asya_transports.port import OutboundMessage, Queue
from asya_transports.rabbitmq import frames
from asya_transports.rabbitmq.address import Address
from asya_transports.rabbitmq.transport import RabbitTransport
from asya_transports.rabbitmq.wire import Wire
from tests.contract.transport_harness import next_of, rabbitmq_worker
from tests.support.waiting import until


def entry(name: bytes, kind: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + kind + value


def table(*entries: bytes) -> bytes:
    data = b"".join(entries)
    return struct.pack(">I", len(data)) + data


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def nested(levels: int) -> bytes:
    inner = table()
    for _ in range(levels):
        inner = table(entry(b"a", b"F", inner))
    return entry(b"a", b"F", inner)


COUNT = b"x-asya-deliveries"
HEADERS = {
    "text that is no UTF-8": table(entry(b"x-user", b"S", text(b"M\xfcller"))),
    "a name that is no UTF-8": table(entry(b"M\xfcller", b"t", b"\x01")),
    "a large double": table(entry(b"x-size", b"d", struct.pack(">d", 1e300))),
    "a large decimal": table(entry(b"x-size", b"D", struct.pack(">BI", 0, 2**32 - 1))),
    "a far time": table(entry(b"x-at", b"T", struct.pack(">Q", 2**63 - 1))),
    "a negative count": table(entry(COUNT, b"l", struct.pack(">q", -(2**63)))),
    "a count that is none": table(entry(b"x-delivery-count", b"S", text(b"many")), entry(COUNT, b"A", text(b""))),
    "a delay that is none": table(entry(b"x-asya-delay-left", b"S", text(b"\xff"))),
    "deaths that are none": table(entry(b"x-death", b"A", struct.pack(">I", 2) + b"t\x01")),
    "tables in tables": table(nested(40)),
    "tables in tables without end": table(nested(2_000)),
    "very many": table(*(entry(b"%d" % n, b"t", b"\x01") for n in range(16_000))),
    "as large as a frame": table(entry(b"x", b"S", text(b"x" * 130_500))),
    "a long name": table(entry(b"k" * 255, b"t", b"\x01")),
}


@pytest.fixture
async def transport(rabbitmq_vhost_url: str) -> AsyncIterator[RabbitTransport]:
    async with rabbitmq_worker(rabbitmq_vhost_url) as transport:
        yield transport


async def publish_raw(url: str, queue: str, *messages: tuple[bytes, bytes]) -> None:
    """Messages of (header table, body) as they stand, each with its confirmation."""
    address, loop = Address.parse(url), asyncio.get_running_loop()
    _, wire = await loop.create_connection(lambda: Wire(address, 1), address.host, address.port)
    await wire.open()
    channel = wire.channels[1]
    batch, _ = channel.encode([frames.Publication("", queue, b"")] * len(messages), wire.frame_max)
    for headers, body in messages:
        flags = 1 << 15 | 1 << 13 | 1 << 12
        content = struct.pack(">HHQH", 60, 0, len(body), flags) + b"\x10application/json" + headers + b"\x02"
        wire.write(frames.publish_method(1, "", queue) + frames.frame(frames.HEADER, 1, content))
        wire.write(b"".join(frames.body_frames(1, body, wire.frame_max)))
    async with asyncio.timeout(10):
        await batch.done
    assert batch.answers == [None] * len(messages)
    await wire.close()


async def test_they_are_taken_put_back_and_replaced(transport: RabbitTransport, rabbitmq_vhost_url: str) -> None:
    poison = {name.encode(): headers for name, headers in HEADERS.items()}
    await publish_raw(rabbitmq_vhost_url, "asya-ns-worker", *((headers, name) for name, headers in poison.items()))
    assert await transport.publish([OutboundMessage("worker", b"good", id="good")]) == [None]
    again: set[bytes] = set()
    async with transport.receive("worker", prefetch=4) as stream:
        while again != poison.keys():
            delivery = await next_of(stream)
            if delivery.body == b"good":
                await delivery.ack()
            elif delivery.deliveries == 1:
                await delivery.nack(0.1)
            else:
                assert delivery.deliveries == 2
                await delivery.requeue(b"again " + delivery.body)
                again.add(delivery.body)
    assert await transport.publish([OutboundMessage("worker", b"good", id="good")]) == [None]


async def test_dead_letters_that_others_have_sent_end_no_connection(
    transport: RabbitTransport, rabbitmq_vhost_url: str
) -> None:
    """The broker delivers them for ever: nothing stands behind that queue."""
    messages = [(headers, name.encode()) for name, headers in HEADERS.items()]
    await publish_raw(rabbitmq_vhost_url, "asya-ns-dlq", *messages)
    async with transport.receive_dead_letters(prefetch=4) as stream:
        for _, body in messages:
            delivery = await next_of(stream)
            assert (delivery.body, delivery.deliveries >= 0) == (body, True)
            assert isinstance(delivery.actor, str)
            await delivery.ack()


async def test_a_message_that_claims_very_many_deliveries_is_dead_lettered(
    transport: RabbitTransport, rabbitmq_vhost_url: str
) -> None:
    headers = table(entry(COUNT, b"l", struct.pack(">q", 2**63 - 1)))
    await publish_raw(rabbitmq_vhost_url, "asya-ns-worker", (headers, b"old"))
    assert await transport.publish([OutboundMessage("worker", b"good", id="good")]) == [None]
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        assert delivery.body == b"good"
        await delivery.ack()
    async with transport.receive_dead_letters() as stream:
        delivery = await next_of(stream)
        assert (delivery.body, delivery.actor) == (b"old", "worker")
        await delivery.ack()


async def test_a_copy_goes_to_no_other_queue(transport: RabbitTransport, rabbitmq_vhost_url: str) -> None:
    """RabbitMQ sends a message to the queues in its header CC, too."""
    await transport.declare(Queue("other"))
    queues = b"S" + text(b"asya-ns-other")
    await publish_raw(rabbitmq_vhost_url, "asya-ns-worker", (table(entry(b"CC", b"A", text(queues))), b"both"))
    async with transport.receive("worker") as stream:
        await (await next_of(stream)).nack(0.1)
        await (await next_of(stream)).requeue(b"again")
        await (await next_of(stream)).ack()

    async def only_the_first() -> bool:
        return await transport.depth("other") == 1

    await until(only_the_first)
