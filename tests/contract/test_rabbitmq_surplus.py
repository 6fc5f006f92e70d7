"""Messages that a lowered prefetch gives back while the broker does not take them."""

from collections.abc import AsyncIterator, Sequence
from unittest.mock import AsyncMock

import pytest

from asya_transports.port import OutboundMessage, Prefetch, TransportUnavailable
from asya_transports.rabbitmq.transport import RabbitTransport
from tests.contract.transport_harness import next_of, rabbitmq_worker
from tests.support.waiting import until

MESSAGES = 8


@pytest.fixture
async def transport(rabbitmq_vhost_url: str) -> AsyncIterator[RabbitTransport]:
    async with rabbitmq_worker(rabbitmq_vhost_url) as transport:
        yield transport


async def test_what_cannot_be_given_back_is_worked_on_by_the_same_consumer(
    transport: RabbitTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [OutboundMessage("worker", b"%d" % n, id=str(n)) for n in range(MESSAGES)]
    assert await transport.publish(sent) == [None] * MESSAGES
    prefetch = Prefetch(MESSAGES)
    async with transport.receive("worker", prefetch=prefetch) as stream:
        first = await next_of(stream)
        await until(lambda: _unseen(transport) == MESSAGES - 1)
        away = AsyncMock(side_effect=lambda messages: _refused(messages))
        with monkeypatch.context() as patched:
            patched.setattr(transport._publisher, "publish", away)
            prefetch.set(1)
            await until(lambda: away.await_count > 0)
        await until(lambda: _unseen(transport) == MESSAGES - 1)
        bodies = {first.body}
        await first.ack()
        for _ in range(MESSAGES - 1):
            delivery = await next_of(stream)
            assert delivery.deliveries == 1
            bodies.add(delivery.body)
            await delivery.ack()
        assert bodies == {message.body for message in sent}


def _refused(messages: Sequence[object]) -> list[TransportUnavailable]:
    return [TransportUnavailable("away")] * len(messages)


def _unseen(transport: RabbitTransport) -> int:
    [receiver] = transport._receivers
    return len(receiver._unseen)
