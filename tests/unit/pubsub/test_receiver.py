"""Polls of Pub/Sub and their ends, over a stub of the connection."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types

from asya_transports.port import Prefetch, TransportUnavailable
from asya_transports.pubsub import receiver as pubsub_receiver
from asya_transports.pubsub.acks import Acknowledgements
from asya_transports.pubsub.delivery import PubSubDelivery
from asya_transports.pubsub.leases import LeaseKeeper
from asya_transports.pubsub.names import Names
from asya_transports.pubsub.publisher import Publisher
from asya_transports.pubsub.receiver import PubSubReceiver
from asya_transports.pubsub.settings import PubSubSettings
from asya_transports.pubsub.topology import Topology
from tests.support.waiting import lasts, rounds, until
from tests.unit.pubsub.stubs import StubConnection, subscribed

NAMES = Names("project", "n")


def brought(*bodies: bytes) -> types.PullResponse:
    """What a poll brings."""
    return types.PullResponse(
        received_messages=[
            types.ReceivedMessage(
                ack_id=f"ack-{body.decode()}",
                delivery_attempt=1,
                message=types.PubsubMessage(data=body, message_id=body.decode()),
            )
            for body in bodies
        ]
    )


@asynccontextmanager
async def receiving(
    stub: StubConnection, prefetch: int | Prefetch = 1
) -> AsyncIterator[tuple[PubSubReceiver, AsyncGenerator[PubSubDelivery]]]:
    """A receiver, and its stream."""
    connection = stub.as_connection()
    topology = Topology(connection, NAMES, 30.0)
    publisher = Publisher(connection, PubSubSettings("project"), NAMES, topology)
    keeper = LeaseKeeper(30.0, connection.blocking_subscriber)
    receiver = PubSubReceiver(connection, publisher, topology, keeper, NAMES, "worker", Prefetch.of(prefetch))
    try:
        async with aclosing(receiver.stream()) as stream:
            yield receiver, stream
    finally:
        await receiver.leave()
        await asyncio.to_thread(keeper.stop)


def stub_of(pull: Callable[[Any], Any], **answers: Callable[[Any], Any]) -> StubConnection:
    return StubConnection(
        pull=pull,
        list_topic_subscriptions=subscribed(NAMES.subscription("worker")),
        publish=lambda _: types.PublishResponse(),
        acknowledge=lambda _: None,
        modify_ack_deadline=lambda _: None,
        **answers,
    )


async def test_a_poll_asks_for_as_many_messages_as_there_is_room_for() -> None:
    never = asyncio.Event()
    answers = [brought(b"a", b"b"), never]
    stub = stub_of(lambda _: answers.pop(0))
    async with receiving(stub, prefetch=3) as (_, stream):
        await anext(stream)
        await anext(stream)  # which begins the next poll
        await until(lambda: len(stub.named("pull")) == 2, 5, "the second poll")
        never.set()
    assert [request.max_messages for request in stub.named("pull")] == [3, 1]


async def test_a_prefetch_that_is_lowered_while_a_poll_begins_asks_for_nothing() -> None:
    answers: list[Any] = [brought(b"a", b"b"), brought(b"c")]
    stub = stub_of(lambda _: answers.pop(0))
    prefetch = Prefetch(3)
    async with receiving(stub, prefetch) as (_, stream):
        held = [await anext(stream), await anext(stream)]  # which begins the next poll
        prefetch.set(1)
        await rounds()
        assert len(stub.named("pull")) == 1
        for delivery in held:
            await delivery.ack()
        assert (await anext(stream)).body == b"c"
    assert [request.max_messages for request in stub.named("pull")] == [3, 1]


async def test_a_busy_receiver_polls_ahead_for_several_messages_only() -> None:
    answers: list[Any] = [brought(*(b"%d" % number for number in range(8))), brought(b"next"), asyncio.Event()]
    stub = stub_of(lambda _: answers.pop(0))
    async with receiving(stub, prefetch=8) as (_, stream):
        for _ in range(8):
            await (await anext(stream)).ack()
        assert (await anext(stream)).body == b"next"
    assert [request.max_messages for request in stub.named("pull")][:2] == [8, 4]


async def test_what_is_too_much_for_a_moment_stays_and_what_stays_too_much_goes_back_in_one_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pubsub_receiver, "RETURN_AFTER", 0.3)
    answers: list[Any] = [brought(*(b"%d" % number for number in range(6))), asyncio.Event()]
    stub = stub_of(lambda _: answers.pop(0) if answers else asyncio.Event())
    prefetch = Prefetch(6)
    async with receiving(stub, prefetch) as (_, stream):
        held = [await anext(stream)]
        prefetch.set(2)
        held += [await anext(stream), await anext(stream)]  # begun before they are returned
        assert not stub.named("publish")
        await until(lambda: stub.named("acknowledge"), 5, "the return of the others")
    [request] = stub.named("publish")
    returned = [(each.data, dict(each.attributes)) for each in request.messages]
    assert returned == [(body, {"asya-deliveries": "0"}) for body in (b"5", b"4", b"3")]
    assert [list(each.ack_ids) for each in stub.named("acknowledge")] == [["ack-5", "ack-4", "ack-3"]]


async def test_a_stop_waits_for_the_poll_under_way_and_returns_what_it_brings_without_counting() -> None:
    going_on = asyncio.Event()
    stub = stub_of(lambda _: (going_on, brought(b"late")))
    async with receiving(stub) as (_, stream):
        waiting = asyncio.create_task(anext(stream))
        await until(lambda: stub.named("pull"), 5, "a poll")
        waiting.cancel()
        await lasts(0.2)
        assert not waiting.done()  # it waits for the poll
        going_on.set()
        await asyncio.wait([waiting])
    [request] = stub.named("publish")
    assert [(each.data, dict(each.attributes)) for each in request.messages] == [(b"late", {"asya-deliveries": "0"})]
    assert [list(request.ack_ids) for request in stub.named("acknowledge")] == [["ack-late"]]


async def test_a_poll_goes_on_after_the_streams_end_while_messages_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pubsub_receiver, "STOP_SECONDS", 0.1)
    going_on = asyncio.Event()
    answers: list[Any] = [brought(b"held"), (going_on, brought(b"late"))]
    stub = stub_of(lambda _: answers.pop(0))
    async with receiving(stub, prefetch=2) as (_, stream):
        held = await anext(stream)
        await until(lambda: len(stub.named("pull")) == 2, 5, "the second poll")
        await stream.aclose()
        going_on.set()
        await until(lambda: stub.named("acknowledge"), 5, "the return of what it brought")
        await held.ack()
    assert [list(request.ack_ids) for request in stub.named("acknowledge")] == [["ack-late"], ["ack-held"]]


async def test_a_stop_is_bounded_while_a_poll_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub_receiver, "STOP_SECONDS", 0.1)
    stub = stub_of(lambda _: asyncio.Event())
    async with asyncio.timeout(5), receiving(stub) as (_, stream):
        waiting = asyncio.create_task(anext(stream))
        await until(lambda: stub.named("pull"), 5, "a poll")
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_while_the_service_is_away_polls_are_repeated_at_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub_receiver, "FIRST_PAUSE", 0.02)
    stub = stub_of(lambda _: exceptions.ServiceUnavailable("away"))
    async with receiving(stub) as (_, stream):
        waiting = asyncio.create_task(anext(stream))
        await lasts(0.6)
        waiting.cancel()
        await asyncio.wait([waiting])
    assert 3 <= len(stub.named("pull")) <= 6  # after 0.02, 0.06, 0.14, 0.3 and 0.62 s


async def test_a_delay_ends_although_the_workers_clock_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be deferred again and again, and as a new copy after fifty times."""
    monkeypatch.setattr(pubsub_receiver, "STOP_SECONDS", 0.1)
    published = time.time() + 90

    def delayed(attempt: int) -> types.PullResponse:
        response = brought(b"later")
        [received] = response.received_messages
        received.delivery_attempt = attempt
        received.message.attributes["asya-delay"] = "1"
        received.message.publish_time = datetime.fromtimestamp(published, UTC)
        return response

    again = asyncio.Event()
    answers: list[Any] = [delayed(1), (again, delayed(2)), asyncio.Event()]
    stub = stub_of(lambda _: answers.pop(0))
    async with receiving(stub) as (_, stream):
        waiting = asyncio.create_task(anext(stream))
        await until(lambda: stub.named("modify_ack_deadline"), 5, "the deferral")
        await lasts(1.1)  # the service holds it back
        again.set()
        await until(lambda: stub.named("publish"), 5, "the copy that is due")
        waiting.cancel()
        await asyncio.wait([waiting])
    assert [each.ack_deadline_seconds for each in stub.named("modify_ack_deadline")] == [1]
    [request] = stub.named("publish")
    assert [dict(each.attributes) for each in request.messages] == [{}]


async def test_what_could_not_be_passed_on_is_left_to_its_lease_and_takes_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pubsub_receiver, "STOP_SECONDS", 0.1)
    dead = brought(b"dead")
    dead.received_messages[0].delivery_attempt = 9
    answers: list[Any] = [dead, brought(b"next")]
    stub = stub_of(lambda _: answers.pop(0) if answers else asyncio.Event())
    stub.answers["publish"] = lambda _: exceptions.ServiceUnavailable("away")
    async with receiving(stub) as (_, stream):
        async with asyncio.timeout(5):
            delivery = await anext(stream)
        assert delivery.body == b"next"
        await delivery.ack()
    assert [list(request.ack_ids) for request in stub.named("acknowledge")] == [["ack-next"]]


async def test_what_was_replaced_and_not_acknowledged_is_not_returned_beside_its_copy_on_leaving() -> None:
    acknowledging: list[object] = [exceptions.ServiceUnavailable("away"), exceptions.ServiceUnavailable("away"), None]
    answers: list[Any] = [brought(b"held"), asyncio.Event()]
    stub = stub_of(lambda _: answers.pop(0))
    stub.answers["acknowledge"] = lambda _: acknowledging.pop(0)
    async with receiving(stub) as (receiver, stream):
        held = await anext(stream)
        with pytest.raises(TransportUnavailable):
            await held.requeue(b"copy")
        await receiver.leave()
    assert len(stub.named("publish")) == 1
    assert acknowledging == []
    assert stub.named("modify_ack_deadline") == []


async def test_an_acknowledgement_that_fails_for_another_reason_says_so_and_the_next_is_sent() -> None:
    errors: list[Exception] = [ZeroDivisionError("of the driver")]
    sent: list[list[str]] = []

    async def acknowledge(ack_ids: list[str]) -> None:
        if errors:
            raise errors.pop()
        sent.append(ack_ids)

    acknowledgements = Acknowledgements(acknowledge)
    async with asyncio.timeout(5):
        with pytest.raises(ZeroDivisionError):
            await acknowledgements.add("first")
        await acknowledgements.add("second")
    assert sent == [["second"]]
