"""The operator declares queues on a real broker, so that a napping actor's calls have somewhere to wait."""

import uuid

import pytest

from asya_operator.cluster.queues import TransportQueues
from asya_operator.domain.errors import Unreachable
from asya_transports.opening import open_transport
from asya_transports.port import OutboundMessage, Unroutable
from asya_transports.rabbitmq.settings import RabbitSettings
from servers.ports import free_port


@pytest.mark.parametrize("foreign", [False, True])
async def test_a_declared_queue_takes_messages_before_any_worker_runs(rabbitmq_vhost_url: str, foreign: bool) -> None:
    namespace = f"n{uuid.uuid4().hex[:8]}"
    transport = open_transport(RabbitSettings(rabbitmq_vhost_url), namespace)
    queues = TransportQueues(transport, namespace)
    try:
        actor = f"napping-{namespace}"
        assert isinstance((await transport.publish([OutboundMessage(actor, b"{}")]))[0], Unroutable)
        await queues.declare(actor, foreign=foreign)
        await queues.declare(actor, foreign=foreign)
        assert await transport.publish([OutboundMessage(actor, b"{}")]) == [None]
        assert queues.identifier(actor) == f"asya-{namespace}-{actor}"
        await queues.delete(actor)
        assert await transport.depth(actor) == 0
    finally:
        await queues.close()


async def test_a_broker_that_is_away_is_named_and_nothing_else_happens() -> None:
    settings = RabbitSettings(f"amqp://guest:guest@127.0.0.1:{free_port()}/", connect_timeout=1.0)
    queues = TransportQueues(open_transport(settings, "n"), "n")
    try:
        with pytest.raises(Unreachable):
            await queues.declare("a", foreign=False)
    finally:
        await queues.close()


async def test_queues_that_come_into_being_by_themselves_need_no_database_here() -> None:
    queues = TransportQueues(None, "n")
    await queues.declare("a", foreign=False)
    await queues.delete("a")
    assert queues.identifier("a") == "asya-n-a"
