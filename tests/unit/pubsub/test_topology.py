"""Declarations in Pub/Sub: what is created, what is used unchanged, and what IAM and quotas refuse."""

from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions

from asya_transports.port import Forbidden, Queue, TransportUnavailable
from asya_transports.pubsub.names import Names
from asya_transports.pubsub.topology import Topology
from tests.unit.pubsub.stubs import StubConnection, subscribed

NAMES = Names("project", "n")


def created(request: Any) -> object:
    return request


def topology_on(stub: StubConnection) -> Topology:
    return Topology(stub.as_connection(), NAMES, 30.0)


def missing(_: Any) -> object:
    return exceptions.NotFound("Resource not found")


async def test_a_queue_is_a_topic_and_a_subscription_that_never_expires_and_counts_deliveries() -> None:
    stub = StubConnection(list_topic_subscriptions=missing, create_topic=created, create_subscription=created)
    await topology_on(stub).declare(Queue("worker"))
    assert [topic.name for topic in stub.named("create_topic")] == [NAMES.topic("dlq"), NAMES.topic("worker")]
    letters, worker = stub.named("create_subscription")
    assert (letters.name, letters.topic) == (NAMES.subscription("dlq"), NAMES.topic("dlq"))
    assert "dead_letter_policy" not in letters
    assert (worker.name, worker.topic) == (NAMES.subscription("worker"), NAMES.topic("worker"))
    assert worker.ack_deadline_seconds == 30
    assert worker.dead_letter_policy.dead_letter_topic == NAMES.topic("dlq")
    assert worker.dead_letter_policy.max_delivery_attempts == 100
    for each in (letters, worker):
        assert "expiration_policy" in each  # set, and without a ttl: never
        assert "ttl" not in each.expiration_policy
        assert each.message_retention_duration == timedelta(days=7)


async def test_a_queue_of_an_actor_with_another_sidecar_is_plain() -> None:
    stub = StubConnection(list_topic_subscriptions=missing, create_topic=created, create_subscription=created)
    await topology_on(stub).declare(Queue("worker", foreign=True))
    assert "dead_letter_policy" not in stub.named("create_subscription")[1]


async def test_what_exists_is_used_unchanged() -> None:
    both = subscribed(NAMES.subscription("worker"), NAMES.subscription("dlq"))
    stub = StubConnection(list_topic_subscriptions=both)
    await topology_on(stub).declare(Queue("worker"))
    assert {name for name, _ in stub.calls} == {"list_topic_subscriptions"}


async def test_a_subscription_that_belongs_to_a_deleted_topic_is_not_replaced_and_said() -> None:
    stub = StubConnection(
        list_topic_subscriptions=lambda request: (
            subscribed(NAMES.subscription("dlq"))(request) if request.topic.endswith("dlq") else subscribed()(request)
        ),
        create_topic=lambda _: exceptions.AlreadyExists("topic"),
        create_subscription=lambda _: exceptions.AlreadyExists("subscription"),
    )
    with pytest.raises(Forbidden, match="belongs to another topic, or to a deleted one"):
        await topology_on(stub).declare(Queue("worker"))


@pytest.mark.parametrize(
    "refusal",
    [exceptions.PermissionDenied("pubsub.topics.create"), exceptions.ResourceExhausted("administrator quota")],
    ids=["permission", "quota"],
)
async def test_what_is_denied_is_forbidden_with_the_services_reason(refusal: Exception) -> None:
    stub = StubConnection(list_topic_subscriptions=missing, create_topic=lambda _: refusal)
    topology = topology_on(stub)
    with pytest.raises(Forbidden, match=r"queue of worker: .*(topics\.create|administrator quota)"):
        await topology.declare(Queue("worker"))
    assert not await topology.declare_again("worker")  # it was never declared


async def test_while_the_service_is_away_a_declaration_is_unavailable() -> None:
    stub = StubConnection(list_topic_subscriptions=lambda _: exceptions.ServiceUnavailable("away"))
    with pytest.raises(TransportUnavailable) as raised:
        await topology_on(stub).declare(Queue("worker"))
    assert not isinstance(raised.value, Forbidden)


async def test_what_is_missing_is_deleted_without_an_error() -> None:
    stub = StubConnection(delete_subscription=missing, delete_topic=missing)
    await topology_on(stub).delete("worker")
    assert [name for name, _ in stub.calls] == ["delete_subscription", "delete_topic"]
