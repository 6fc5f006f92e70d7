"""The contract of port.py, tested with every queue system."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from asya_crds.naming import DEAD_LETTERS
from asya_transports.opening import open_transport
from asya_transports.port import (
    LeaseLost,
    OutboundMessage,
    Prefetch,
    Queue,
    TransportUnavailable,
    Unroutable,
)
from tests.contract.brokers import LEASE, Broker
from tests.contract.transport_harness import (
    WITHIN,
    Harness,
    eventually_empty,
    eventually_publishes,
    message,
    next_of,
    publish,
    take_from,
    take_one,
)
from tests.support.waiting import lasts, lasts_blocking


async def test_a_published_message_is_received_as_it_was(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, '{"text": "žluť"}')
    assert await transport.depth("worker") == 1
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        assert (delivery.actor, delivery.body.decode(), delivery.deliveries) == ("worker", '{"text": "žluť"}', 1)
        await delivery.ack()
    await eventually_empty(transport)


async def test_an_acknowledged_message_never_comes_back(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "one")
    assert await take_one(transport) == ("one", 1)
    await publish(transport, "two")
    assert await take_one(transport) == ("two", 1)
    assert await transport.depth("worker") == 0


async def test_a_waiting_receiver_hears_of_a_message_at_once(harness: Harness) -> None:
    transport, publisher = await harness.declared(), harness.open()
    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream))
        await publish(publisher, "warm the connections up")
        await (await waiting).ack()
        waiting = asyncio.create_task(next_of(stream))
        await asyncio.sleep(0)
        start = time.monotonic()
        await publish(publisher, "now")
        await (await waiting).ack()
        assert time.monotonic() - start < 0.4  # below the safety poll


async def test_a_nacked_message_comes_again_and_is_counted(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "again")
    async with transport.receive("worker") as stream:
        for expected in (1, 2, 3):
            delivery = await next_of(stream)
            assert delivery.deliveries == expected
            await delivery.nack()
        await (await next_of(stream)).ack()


async def test_a_nack_with_delay_is_delivered_after_it_and_still_counted(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "later")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        start = time.monotonic()
        await delivery.nack(delay=1.0)
        delivery = await next_of(stream)
        assert 0.9 <= time.monotonic() - start < 5.0
        assert delivery.deliveries == 2
        await delivery.ack()


async def test_a_delayed_message_does_not_hold_up_the_others(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "later")
    async with transport.receive("worker") as stream:
        await (await next_of(stream)).nack(delay=30.0)
        await publish(transport, "now")
        delivery = await next_of(stream)
        assert delivery.body == b"now"
        await delivery.ack()


async def test_a_short_delay_does_not_wait_behind_a_long_one(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "in 30 s", "in 1 s", "in 1.6 s")
    async with transport.receive("worker", prefetch=3) as stream:
        held = {(each := await next_of(stream)).body: each for _ in range(3)}
        for text, delay in ((b"in 30 s", 30.0), (b"in 1 s", 1.0), (b"in 1.6 s", 1.6)):
            await held[text].nack(delay)
        start = time.monotonic()
        for text, delay in ((b"in 1 s", 1.0), (b"in 1.6 s", 1.6)):
            delivery = await next_of(stream)
            assert (delivery.body, delivery.deliveries) == (text, 2)
            assert delay - 0.1 <= time.monotonic() - start <= delay * 4 / 3 + 0.8  # the machine's share
            await delivery.ack()


async def test_a_requeued_message_is_replaced_and_counted_from_the_start(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "first")
    async with transport.receive("worker") as stream:
        await (await next_of(stream)).nack()
        await (await next_of(stream)).requeue(b"second")
        delivery = await next_of(stream)
        assert (delivery.body, delivery.deliveries) == (b"second", 1)
        await delivery.requeue(b"third", delay=1.0)
        start = time.monotonic()
        delivery = await next_of(stream)
        assert (delivery.body, delivery.deliveries) == (b"third", 1)
        assert time.monotonic() - start >= 0.9
        await delivery.ack()
    await eventually_empty(transport)


async def test_what_a_dead_consumer_held_is_delivered_again(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "orphan")
    async with harness.doomed_consumer("worker") as process:
        process.kill()
        assert await take_one(transport) == ("orphan", 2)


async def test_a_message_that_kills_its_consumers_becomes_a_dead_letter(harness: Harness) -> None:
    transport = await harness.declared(max_deliveries=2)
    await publish(transport, "poison")
    for _ in range(2):
        async with harness.doomed_consumer("worker") as process:
            process.kill()
    async with transport.receive("worker") as stream, transport.receive_dead_letters() as dead_letters:
        waiting = asyncio.create_task(anext(stream))
        dead = await next_of(dead_letters)
        assert (dead.actor, dead.body, dead.deliveries) == ("worker", b"poison", 2)
        await dead.ack()
        assert not waiting.done()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


@pytest.mark.parametrize("delay", [0.0, 0.2])
async def test_after_its_last_delivery_a_nacked_message_is_a_dead_letter(harness: Harness, delay: float) -> None:
    transport = await harness.declared(max_deliveries=3)
    await publish(transport, "bad")
    async with transport.receive("worker") as stream:
        for expected in (1, 2, 3):
            delivery = await next_of(stream)
            assert delivery.deliveries == expected
            await delivery.nack(delay)
        async with transport.receive_dead_letters() as dead_letters:
            dead = await next_of(dead_letters)
            assert (dead.actor, dead.body, dead.deliveries) == ("worker", b"bad", 3)
            await dead.nack()
            dead = await next_of(dead_letters)
            assert (dead.actor, dead.deliveries) == ("worker", 3)
            await dead.ack()
    assert await transport.depth("worker") == 0


@pytest.mark.parametrize("how", ["nack", "requeue"])
async def test_a_dead_letter_that_is_put_off_keeps_its_actor_and_its_count(harness: Harness, how: str) -> None:
    transport = await harness.declared(max_deliveries=2)
    await publish(transport, "bad")
    async with transport.receive("worker") as stream, transport.receive_dead_letters() as dead_letters:
        for _ in range(2):
            await (await next_of(stream)).nack()
        for _ in range(2):
            dead = await next_of(dead_letters)
            assert (dead.actor, dead.body, dead.deliveries) == ("worker", b"bad", 2)
            await (dead.nack(1.0) if how == "nack" else dead.requeue(dead.body, 1.0))
        dead = await next_of(dead_letters)
        assert (dead.actor, dead.body) == ("worker", b"bad")
        await dead.ack()


async def test_a_publish_that_no_queue_takes_is_unroutable(harness: Harness) -> None:
    transport = harness.open()
    [answer] = await transport.publish([message("lost", actor="nobody")])
    assert isinstance(answer, Unroutable)
    assert "nobody" in str(answer)
    await transport.declare(Queue("nobody"))
    await publish(transport, "found", actor="nobody")


async def test_a_mixed_batch_answers_each_message(harness: Harness) -> None:
    transport = await harness.declared()
    good = [message(f"good {number}") for number in range(50)]
    mixed = [entry for one in good for entry in (one, OutboundMessage("nobody", one.body, one.id))]
    answers = await transport.publish(mixed)
    assert [answer is None for answer in answers] == [True, False] * 50
    assert all(isinstance(answer, Unroutable) for answer in answers[1::2])
    assert await transport.depth("worker") == 50


async def test_an_empty_batch_is_answered(harness: Harness) -> None:
    assert await harness.open().publish([]) == []


async def test_a_handler_may_take_longer_than_the_visibility_timeout(harness: Harness) -> None:
    transport, other = await harness.declared(), harness.open()
    await publish(transport, "slow")
    async with transport.receive("worker") as stream, other.receive("worker") as others:
        delivery = await next_of(stream)
        stolen = asyncio.create_task(anext(others))
        await lasts(LEASE * 2.5)
        assert not stolen.done()
        await delivery.ack()
        stolen.cancel()
        with suppress(asyncio.CancelledError):
            await stolen
    await eventually_empty(transport)


async def test_a_handler_that_blocks_the_event_loop_keeps_its_message(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "blocking")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        lasts_blocking(LEASE * 2.5)
        with pytest.raises(TimeoutError):  # nobody is offered the message while it is held
            await take_one(harness.open(), within=1.0)
        await delivery.ack()
    await eventually_empty(transport)


async def test_a_message_that_arrives_while_a_handler_blocks_the_event_loop_is_with_one_consumer(
    harness: Harness,
) -> None:
    """A poll may be under way when the handler begins, which blocks for longer than the visibility timeout. What it
    brings meanwhile is held, or nobody has it yet."""
    transport = await harness.declared()

    def publish_later() -> None:
        async def work() -> None:
            other = open_transport(harness.settings, harness.namespace)
            await publish(other, "arrives")
            await other.close()

        asyncio.run(work())

    async with transport.receive("worker") as stream, harness.open().receive("worker") as others:
        waiting = asyncio.create_task(next_of(stream))
        await lasts(0.3)  # the poll is under way
        publishing = threading.Thread(target=publish_later)
        publishing.start()
        lasts_blocking(LEASE * 3)
        publishing.join()
        offered = asyncio.create_task(next_of(others, within=LEASE * 2))
        done, _ = await asyncio.wait([waiting, offered], return_when=asyncio.FIRST_COMPLETED)
        [first, *second] = [task.result() for task in done]
        assert (second, first.body, first.deliveries) == ([], b"arrives", 1)
        await asyncio.wait([offered if waiting in done else waiting], timeout=LEASE * 2 + 1)
        for task in (waiting, offered):
            if task not in done:
                task.cancel()
                with pytest.raises((TimeoutError, asyncio.CancelledError)):
                    await task
        await first.ack()
    await eventually_empty(transport)


async def test_extend_renews_what_is_held(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "held")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        await delivery.extend()
        await delivery.ack()


async def test_no_more_than_prefetch_are_unanswered(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, *[f"m{number}" for number in range(5)])
    async with transport.receive("worker", prefetch=3) as stream:
        held = [await next_of(stream) for _ in range(3)]
        with pytest.raises(TimeoutError):
            await next_of(stream, within=0.7)
    async with transport.receive("worker", prefetch=3) as stream:
        held = [await next_of(stream) for _ in range(3)]
        await held[1].ack()
        await (await next_of(stream)).ack()


async def test_a_raised_prefetch_takes_more_and_a_lowered_one_returns_what_was_not_yielded(harness: Harness) -> None:
    transport, idle = await harness.declared(), harness.open()
    await publish(transport, *[str(number) for number in range(8)])
    prefetch = Prefetch(2)
    async with transport.receive("worker", prefetch=prefetch) as stream:
        held = [await next_of(stream), await next_of(stream)]
        prefetch.set(10)
        held.append(await next_of(stream))
        await eventually_empty(transport)  # the others are taken, too
        prefetch.set(2)  # three are yielded and stay
        async with idle.receive("worker", prefetch=9) as others:
            taken = [await next_of(others) for _ in range(5)]
            assert {each.body for each in held + taken} == {str(number).encode() for number in range(8)}
            assert {each.deliveries for each in taken} == {1}
            for delivery in held + taken:
                await delivery.ack()
        await publish(transport, "two", "are", "taken")
        held = [await next_of(stream), await next_of(stream)]
        text, deliveries = await take_one(idle)
        assert {text.encode(), *(each.body for each in held)} == {b"two", b"are", b"taken"}
        assert deliveries == 1
        for delivery in held:
            await delivery.ack()
    await eventually_empty(transport)


async def test_what_was_taken_and_not_answered_goes_back_on_leaving(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "one", "other")
    async with transport.receive("worker", prefetch=2) as stream:
        seen = (await next_of(stream)).body
        await eventually_empty(transport)  # both are taken
    async with transport.receive("worker", prefetch=2) as stream:
        again = [await next_of(stream), await next_of(stream)]
        counts = {delivery.body: delivery.deliveries for delivery in again}
        [unseen] = {b"one", b"other"} - {seen}
        assert counts == {seen: 2, unseen: 1}  # what no handler saw was not delivered


async def test_a_closed_stream_takes_nothing_more_while_what_is_held_may_be_answered(harness: Harness) -> None:
    transport, other = await harness.declared(), harness.open()
    await publish(transport, "one", "other")
    async with transport.receive("worker", prefetch=2) as stream:
        seen = await next_of(stream)
        await eventually_empty(transport)  # both are taken
        await stream.aclose()
        assert await take_one(other) == ("other" if seen.body == b"one" else "one", 1)
        await seen.requeue(b"given back")
        assert await take_one(other) == ("given back", 1)
    await eventually_empty(transport)


async def test_many_restarts_of_a_worker_kill_no_message_that_it_never_saw(harness: Harness) -> None:
    transport = await harness.declared(max_deliveries=2)
    await publish(transport, "first", "waiting")
    for _ in range(4):
        async with transport.receive("worker", prefetch=2) as stream:
            delivery = await next_of(stream)
            await eventually_empty(transport)  # both are taken
            await delivery.requeue(delivery.body)
    texts = {(await take_one(transport))[0], (await take_one(transport))[0]}
    assert texts == {"first", "waiting"}


async def test_two_consumers_share_a_queue_without_duplicates_where_that_is_promised(harness: Harness) -> None:
    transport = await harness.declared()
    other = harness.open()
    texts = [f"m{number}" for number in range(300)]
    seen: list[str] = []
    enough = asyncio.Event()

    async def consume(which: object) -> None:
        async with (transport if which is None else other).receive("worker", prefetch=10) as stream:
            async for delivery in stream:
                seen.append(delivery.body.decode())
                with suppress(LeaseLost):  # a duplicate, and the other consumer has acknowledged it
                    await delivery.ack()
                if set(seen) == set(texts):
                    enough.set()

    consumers = [asyncio.create_task(consume(which)) for which in (None, other)]
    await publish(transport, *texts)
    async with asyncio.timeout(20):
        await enough.wait()
    await eventually_empty(transport)
    for consumer in consumers:
        consumer.cancel()
    await asyncio.gather(*consumers, return_exceptions=True)
    assert len(seen) == len(texts) or not harness.limits.one_consumer_each


async def test_a_receiver_may_come_before_its_queue(harness: Harness) -> None:
    transport = harness.open()
    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream))
        await lasts(0.2)  # it has found no queue, and looks again
        await harness.declared()
        await publish(transport, "early")
        assert (await waiting).body == b"early"


@pytest.mark.usefixtures("looking_often")
async def test_a_queue_that_vanishes_under_its_consumer_is_declared_again(harness: Harness) -> None:
    transport, other = await harness.declared(), harness.open()
    async with transport.receive("worker") as stream:
        await publish(other, "before")
        await (await next_of(stream)).ack()
        waiting = asyncio.create_task(next_of(stream, WITHIN * 2))
        await other.delete("worker")
        await eventually_publishes(other, "after")
        delivery = await waiting
        assert delivery.body == b"after"
        await delivery.ack()


@pytest.mark.usefixtures("looking_often")
async def test_a_message_whose_queue_vanishes_while_it_is_held_leaves_its_place(harness: Harness) -> None:
    transport, other = await harness.declared(), harness.open()
    async with transport.receive("worker") as stream:
        await publish(other, "before")
        held = await next_of(stream)
        await other.delete("worker")
        with suppress(LeaseLost):  # queue systems that forget what they handed out say nothing
            await held.ack()
        waiting = asyncio.create_task(next_of(stream, WITHIN * 2))
        await eventually_publishes(other, "after")
        delivery = await waiting
        assert delivery.body == b"after"
        await delivery.ack()


@pytest.mark.usefixtures("looking_often")
async def test_a_queue_that_vanishes_with_the_dead_letters_is_declared_again(harness: Harness) -> None:
    transport, other = await harness.declared(), harness.open()
    async with transport.receive("worker") as stream:
        waiting = asyncio.create_task(next_of(stream, WITHIN * 2))
        await other.delete("worker")
        await other.delete(DEAD_LETTERS)
        await eventually_publishes(other, "after")
        delivery = await waiting
        assert delivery.body == b"after"
        await delivery.ack()


@pytest.mark.usefixtures("looking_often")
async def test_a_draining_worker_declares_nothing_again(harness: Harness) -> None:
    """A draining worker no longer iterates, so the queue of a deleted actor stays deleted."""
    ending, going_on, other = await harness.declared("ending"), await harness.declared("worker"), harness.open()
    await publish(other, "in work", actor="ending")
    async with ending.receive("ending") as stream, going_on.receive("worker") as awake:
        await next_of(stream)
        waiting = asyncio.create_task(next_of(awake, WITHIN * 2))
        for actor in ("ending", "worker"):
            await other.delete(actor)
        await eventually_publishes(other, "who goes on has declared")
        await (await waiting).ack()
        assert isinstance((await other.publish([message("lost", "ending")]))[0], Unroutable)
    assert isinstance((await other.publish([message("lost", "ending")]))[0], Unroutable)


async def test_declaring_again_changes_nothing(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "kept")
    await transport.declare(Queue("worker", max_deliveries=9))
    await transport.declare(Queue("worker", foreign=True))
    assert await take_one(transport) == ("kept", 1)


async def test_a_deleted_queue_is_gone_with_its_messages(harness: Harness) -> None:
    transport = await harness.declared()
    await publish(transport, "gone")
    await transport.delete("worker")
    await transport.delete("worker")
    assert await transport.depth("worker") == 0
    assert isinstance((await transport.publish([message("x")]))[0], Unroutable)


async def test_after_a_cut_connection_publish_and_receive_go_on(harness: Harness) -> None:
    await harness.declared()
    transport, proxy = await harness.open_through_proxy()
    async with transport.receive("worker") as stream:
        await publish(transport, "before")
        await (await next_of(stream)).ack()
        proxy.cut()
        await eventually_publishes(transport, "after")
        # An acknowledgement may be lost with the connection, so that "before" comes once more.
        arrived = [await take_from(stream)]
        while arrived[-1] != "after":
            arrived.append(await take_from(stream))
        assert set(arrived) <= {"before", "after"}


async def test_while_the_server_is_away_a_publish_is_unavailable_in_bounded_time(harness: Harness) -> None:
    await harness.declared()
    transport, proxy = await harness.open_through_proxy()
    await publish(transport, "before")
    proxy.refuse()
    start = time.monotonic()
    answers = await transport.publish([message("x"), message("y")])
    assert [isinstance(answer, TransportUnavailable) for answer in answers] == [True, True]
    assert time.monotonic() - start < 7
    proxy.accept()
    await eventually_publishes(transport, "after")


async def test_a_server_that_stops_answering_makes_a_publish_unavailable_in_bounded_time(
    harness: Harness,
) -> None:
    await harness.declared()
    transport, proxy = await harness.open_through_proxy()
    await publish(transport, "before")
    proxy.stall()
    start = time.monotonic()
    [answer] = await transport.publish([message("x")])
    assert isinstance(answer, TransportUnavailable)
    assert time.monotonic() - start < 12
    proxy.flow()
    await eventually_publishes(transport, "after")


async def test_a_receiver_stops_in_bounded_time_while_the_server_does_not_answer(harness: Harness) -> None:
    """With a message in a handler, one that waits behind it, and calls that never return. In Kubernetes, a worker that
    goes on is killed with what it holds."""
    await harness.declared()
    transport, proxy = await harness.open_through_proxy()
    stalled = asyncio.Event()

    async def receive() -> None:
        async with transport.receive("worker", prefetch=2) as stream:
            async for _ in stream:
                proxy.stall()
                stalled.set()

    for name in ("first", "second"):
        await publish(transport, name)
    receiving = asyncio.create_task(receive())
    async with asyncio.timeout(20):
        await stalled.wait()
    receiving.cancel()
    await asyncio.wait([receiving], timeout=30)
    assert receiving.cancelled()
    closing = asyncio.create_task(transport.close())
    await asyncio.wait([closing], timeout=30)
    assert closing.done()
    proxy.flow()


async def test_an_answer_that_comes_after_the_lease_says_so(harness: Harness) -> None:
    await harness.declared()
    transport, proxy = await harness.open_through_proxy()
    await publish(transport, "slow")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        proxy.refuse()
        async with harness.open().receive("worker") as others:
            again = await next_of(others)
            assert again.deliveries == 2
            proxy.accept()
            with pytest.raises(LeaseLost):
                await delivery.ack()
            await again.ack()


async def test_after_a_restart_of_the_server_publish_and_receive_go_on(harness: Harness, broker: Broker) -> None:
    transport = await harness.declared()
    async with transport.receive("worker") as stream:
        await publish(transport, "before")
        assert await take_from(stream) == "before"
        await publish(transport, "kept")
        kept = await next_of(stream)  # in hand while the server is away
        await asyncio.to_thread(broker.restart)
        await eventually_publishes(transport, "after")
        with suppress(LeaseLost):
            await kept.ack()
        arrived = [await take_from(stream)]
        while arrived[-1] != "after":
            arrived.append(await take_from(stream))
    await eventually_empty(transport)
