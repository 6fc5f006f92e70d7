"""Publishes to Pub/Sub: batches, a message at fault, topics without a subscription, permissions and quotas."""

from types import SimpleNamespace
from typing import Any

from google.api_core import exceptions

from asya_transports.port import MessageRefused, TransportUnavailable, Unroutable
from asya_transports.pubsub import topology
from asya_transports.pubsub.names import Names
from asya_transports.pubsub.publisher import BATCH_BYTES, MOST_MESSAGES, Publication, Publisher
from asya_transports.pubsub.settings import LARGEST_REQUEST, PubSubSettings
from asya_transports.pubsub.topology import Topology
from tests.unit.pubsub.stubs import StubConnection, subscribed

NAMES = Names("project", "n")
SUBSCRIPTION = NAMES.subscription("worker")


def publisher_on(stub: StubConnection) -> Publisher:
    connection = stub.as_connection()
    return Publisher(connection, PubSubSettings("project"), NAMES, Topology(connection, NAMES, 30.0))


def message(body: bytes, actor: str = "worker") -> Publication:
    return Publication(actor, body, {})


def accepted(_: Any) -> object:
    return SimpleNamespace(message_ids=[])


def sizes(stub: StubConnection) -> list[int]:
    return [len(request.messages) for request in stub.named("publish")]


async def test_batches_have_a_bounded_number_of_messages() -> None:
    stub = StubConnection(list_topic_subscriptions=subscribed(SUBSCRIPTION), publish=accepted)
    answers = await publisher_on(stub).publish([message(b"x")] * (MOST_MESSAGES * 2 + 1))
    assert answers == [None] * (MOST_MESSAGES * 2 + 1)
    assert sizes(stub) == [MOST_MESSAGES, MOST_MESSAGES, 1]


async def test_batches_have_a_bounded_number_of_bytes_with_attributes_and_a_large_message_goes_alone() -> None:
    stub = StubConnection(list_topic_subscriptions=subscribed(SUBSCRIPTION), publish=accepted)
    half = BATCH_BYTES // 2
    marked = Publication("worker", b"x" * (half - 1000), {"name": "v" * 1024})
    large = message(b"x" * PubSubSettings("project").max_message_bytes)
    await publisher_on(stub).publish([marked, marked, large, message(b"x")])
    assert sizes(stub) == [1, 1, 1, 1]
    assert all(type(request).pb(request).ByteSize() <= LARGEST_REQUEST for request in stub.named("publish"))


async def test_the_message_that_the_service_does_not_accept_is_found_and_the_others_are_sent() -> None:
    def choosy(request: Any) -> object:
        bad = any(each.data == b"bad" for each in request.messages)
        return exceptions.InvalidArgument("what is that?") if bad else accepted(request)

    stub = StubConnection(list_topic_subscriptions=subscribed(SUBSCRIPTION), publish=choosy)
    bodies = [b"good"] * 10 + [b"bad"] + [b"good"] * 21
    answers = await publisher_on(stub).publish([message(body) for body in bodies])
    assert [type(answer) for answer in answers] == [MessageRefused if body == b"bad" else type(None) for body in bodies]
    assert len(sizes(stub)) < 2 * 6  # by halves


async def test_a_topic_without_a_subscription_is_unroutable_and_gets_no_message() -> None:
    stub = StubConnection(list_topic_subscriptions=subscribed(), publish=accepted)
    [answer] = await publisher_on(stub).publish([message(b"x")])
    assert isinstance(answer, Unroutable)
    assert "asya-n-worker has no subscription" in str(answer)
    assert not stub.named("publish")


async def test_a_missing_topic_is_unroutable_as_the_service_says_it() -> None:
    stub = StubConnection(list_topic_subscriptions=lambda _: exceptions.NotFound("Resource not found"))
    [answer] = await publisher_on(stub).publish([message(b"x")])
    assert isinstance(answer, Unroutable)


async def test_a_topic_is_asked_for_its_subscription_once_a_minute() -> None:
    stub = StubConnection(list_topic_subscriptions=subscribed(SUBSCRIPTION), publish=accepted)
    publisher = publisher_on(stub)
    for _ in range(3):
        await publisher.publish([message(b"x")] * 3)
    assert len(stub.named("list_topic_subscriptions")) == 1


async def test_after_a_minute_it_is_asked_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(topology, "KNOWN_SECONDS", 0.0)
    stub = StubConnection(list_topic_subscriptions=subscribed(SUBSCRIPTION), publish=accepted)
    publisher = publisher_on(stub)
    for _ in range(3):
        await publisher.publish([message(b"x")])
    assert len(stub.named("list_topic_subscriptions")) == 3


async def test_a_topic_that_vanished_is_asked_for_again() -> None:
    gone = [True]
    stub = StubConnection(
        list_topic_subscriptions=subscribed(SUBSCRIPTION),
        publish=lambda request: exceptions.NotFound("topic") if gone[0] else accepted(request),
    )
    publisher = publisher_on(stub)
    [answer] = await publisher.publish([message(b"x")])
    assert isinstance(answer, Unroutable)
    gone[0] = False
    assert await publisher.publish([message(b"x")]) == [None]
    assert len(stub.named("list_topic_subscriptions")) == 2


async def test_what_is_denied_or_throttled_is_unavailable_and_holds_up_no_other_topic() -> None:
    def throttled(request: Any) -> object:
        if request.topic == NAMES.topic("busy"):
            return exceptions.ResourceExhausted("Quota exceeded for quota metric 'Regional publisher throughput'")
        return exceptions.PermissionDenied("no") if request.topic == NAMES.topic("secret") else accepted(request)

    stub = StubConnection(list_topic_subscriptions=subscribed(SUBSCRIPTION), publish=throttled)
    answers = await publisher_on(stub).publish([message(b"x", actor) for actor in ("busy", "worker", "secret")])
    assert [type(answer) is not type(None) for answer in answers] == [True, False, True]
    assert all(isinstance(answer, TransportUnavailable) for answer in (answers[0], answers[2]))
    assert "Quota exceeded" in str(answers[0])


async def test_without_the_permission_to_list_subscriptions_nothing_is_published_blindly() -> None:
    denied = exceptions.PermissionDenied("pubsub.topics.get")
    stub = StubConnection(list_topic_subscriptions=lambda _: denied, publish=accepted)
    [answer] = await publisher_on(stub).publish([message(b"x")])
    assert isinstance(answer, TransportUnavailable)
    assert not stub.named("publish")


async def test_an_actor_whose_name_is_no_part_of_a_topics_name_is_refused() -> None:
    stub = StubConnection(list_topic_subscriptions=subscribed(SUBSCRIPTION), publish=accepted)
    answers = await publisher_on(stub).publish([message(b"x", actor) for actor in ("žluť", "a/b", "x" * 250)])
    assert all(isinstance(answer, MessageRefused) for answer in answers)
    assert not stub.calls
