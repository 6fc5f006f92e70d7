"""The permissions in docs/operations.md are those of the requests that each program makes, and no others."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asya_crds.naming import DEAD_LETTERS
from asya_transports.port import OutboundMessage, Queue, Transport, Unroutable
from asya_transports.pubsub import leases as pubsub_leases
from asya_transports.pubsub.connection import Connection
from asya_transports.sqs.client import SqsClient
from tests.contract.brokers import Broker, Moto, PubSub
from tests.contract.transport_harness import Harness, next_of, publish, take_one

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
WITH_DELETES = "with `ASYA_DELETE_QUEUES` also"

PUBSUB = {
    "publish": {"pubsub.topics.publish"},
    "list_topic_subscriptions": {"pubsub.topics.get"},
    "create_topic": {"pubsub.topics.create"},
    "create_subscription": {"pubsub.subscriptions.create", "pubsub.topics.attachSubscription"},
    "delete_topic": {"pubsub.topics.delete"},
    "delete_subscription": {"pubsub.subscriptions.delete"},
    "pull": {"pubsub.subscriptions.consume"},
    "acknowledge": {"pubsub.subscriptions.consume"},
    "modify_ack_deadline": {"pubsub.subscriptions.consume"},
}
"""Pub/Sub, "Access control with IAM": the permissions of each method."""


def of_sqs(request: str) -> set[str]:
    """SQS Developer Guide, "Amazon SQS API permissions": a batch needs the permission of its single action."""
    words = request.removesuffix("_batch").split("_")
    return {"sqs:" + "".join(word.capitalize() for word in words)}


def documented(section: str, role: str) -> set[str]:
    """The permissions in the role's row of the section's table."""
    text = PAGE.read_text().partition(f"\n### {section}\n")[2].partition("\n### ")[0]
    [row] = re.findall(rf"^\| `{role}`[^|]*\|([^|]+)\|", text, re.MULTILINE)
    found: set[str] = set()
    before = ""
    for name in re.findall(r"`([\w.:]+)`", row.replace(WITH_DELETES, "")):
        before = before.rpartition(".")[0] + name if name.startswith(".") else name
        found.add(before)
    return found | documented(section, "asya-gateway") if "the same, and" in row else found


class Recorded:
    """What a queue system was asked for, as permissions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.permissions: set[str] = set()
        self._of_sqs(monkeypatch)
        self._of_pubsub(monkeypatch)

    @contextmanager
    def by(self) -> Iterator[set[str]]:
        """Those of the block."""
        self.permissions = set()
        yield self.permissions

    def _of_sqs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        call = SqsClient.call

        async def recorded(client: SqsClient, operation: str, *within: Any, **parameters: Any) -> Any:
            self.permissions |= of_sqs(operation)
            return await call(client, operation, *within, **parameters)

        monkeypatch.setattr(SqsClient, "call", recorded)

    def _of_pubsub(self, monkeypatch: pytest.MonkeyPatch) -> None:
        call, poll, extend = Connection.call, pubsub_leases.LeaseKeeper.poll, pubsub_leases._extend

        async def called(connection: Connection, method: Callable[[Any], Any], *more: Any) -> Any:
            self.permissions |= PUBSUB[method(await connection.clients()).__name__]
            return await call(connection, method, *more)

        async def polled(*arguments: Any) -> Any:
            self.permissions |= PUBSUB["pull"]
            return await poll(*arguments)

        def extended(*arguments: Any) -> None:
            self.permissions |= PUBSUB["modify_ack_deadline"]
            extend(*arguments)

        monkeypatch.setattr(Connection, "call", called)
        monkeypatch.setattr(pubsub_leases.LeaseKeeper, "poll", polled)
        monkeypatch.setattr(pubsub_leases, "_extend", extended)


@pytest.fixture(params=[(Moto, "AWS"), (PubSub, "Google Cloud")], ids=["sqs", "pubsub"])
async def cloud(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Harness, str]]:
    """Transports on a cloud's queue system, and the section of the page about it."""
    kind, section = request.param
    broker: Broker = kind(request)
    harness = Harness(broker.settings())
    yield harness, section
    await harness.close()


async def works(transport: Transport) -> None:
    """Everything that worker and crew do with messages."""
    await transport.check()
    await transport.declare(Queue("worker", max_deliveries=2))
    await publish(transport, "returned", "delayed", "unseen")
    async with transport.receive("worker", prefetch=3) as stream:
        delivery = await next_of(stream)
        await delivery.extend()
        await delivery.nack()
        await (await next_of(stream)).requeue(b"once more", delay=1.0)
        await next_of(stream)  # goes back when the receiver leaves
    async with transport.receive("worker") as stream, transport.receive_dead_letters() as dead_letters:
        delivery = await next_of(stream)
        while delivery.deliveries < 2:
            await delivery.nack()
            delivery = await next_of(stream)
        await delivery.nack()
        await (await next_of(dead_letters)).ack()
        await publish(transport, "moved by the queue system itself", actor=DEAD_LETTERS)
        await (await next_of(dead_letters)).ack()


async def test_each_program_may_do_what_it_does_and_nothing_else(
    cloud: tuple[Harness, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, section = cloud
    recorded = Recorded(monkeypatch)
    with recorded.by() as declaring:
        transport = harness.open()
        for actor in ("worker", "gone"):
            await transport.declare(Queue(actor, max_deliveries=2))
            await transport.address(actor)
        await transport.delete("gone")
    assert declaring == documented(section, "asya-operator")
    with recorded.by() as publishing:
        transport = harness.open()
        await transport.check()
        answers = await transport.publish([OutboundMessage("worker", b"{}"), OutboundMessage("nobody", b"{}")])
        assert [type(answer) for answer in answers] == [type(None), Unroutable]
    assert publishing == documented(section, "asya-gateway")
    with recorded.by() as working:
        transport = harness.open()
        await works(transport)
        await take_one(transport)
        await transport.close()
    assert working == documented(section, "asya-actors")
