"""What a queue system cannot promise: each limit that a description declares, or the promise where none is declared."""

import json
import time
from contextlib import suppress

import pytest

from asya_crds.naming import queue_name
from asya_transports.port import (
    Forbidden,
    LeaseLost,
    MessageRefused,
    MessageTooLarge,
    OutboundMessage,
    Queue,
    TransportUnavailable,
    Unroutable,
)
from tests.contract.brokers import Broker
from tests.contract.transport_harness import Harness, message, next_of, publish, take_from, take_one

LONGEST_ACTOR = 63
"""Characters of the longest name of an actor (asya_crds/naming.py)."""
AS_LARGE_AS_TESTED = 2 * 1024 * 1024


async def test_messages_as_large_as_the_queue_system_takes_arrive_whole(harness: Harness) -> None:
    transport = await harness.declared()
    size = min(harness.settings.max_message_bytes, AS_LARGE_AS_TESTED)
    body = b'{"payload": "' + b"x" * (size - 15) + b'"}'
    assert len(body) == size
    assert await transport.publish([OutboundMessage("worker", body)] * 3) == [None] * 3
    async with transport.receive("worker", prefetch=3) as stream:
        for _ in range(3):
            delivery = await next_of(stream)
            assert delivery.body == body
            await delivery.ack()


async def test_a_message_over_the_limit_is_refused_and_the_others_are_not(harness: Harness) -> None:
    transport = await harness.declared()
    large = OutboundMessage("worker", b"x" * (harness.settings.max_message_bytes + 1))
    answers = await transport.publish([message("before"), large, message("after")])
    assert [type(answer) for answer in answers] == [type(None), MessageTooLarge, type(None)]
    assert str(harness.settings.max_message_bytes) in str(answers[1])


CHARACTERS = "\ufffe\uffff\x7f\x85\u2028\U0001f600\U0010ffff\t\r\n\x00\x01\x1f"


@pytest.mark.parametrize("ascii_only", [True, False])
async def test_every_character_of_a_text_arrives(harness: Harness, ascii_only: bool) -> None:
    """XML 1.0 has no U+FFFE, U+FFFF and most of the control characters; JSON has all of them, and can write halves of
    surrogate pairs."""
    texts = [CHARACTERS, "\ud83d alone"] if ascii_only else [CHARACTERS]
    body = json.dumps(texts, ensure_ascii=ascii_only).encode()
    transport = await harness.declared()
    await transport.publish([OutboundMessage("worker", body)])
    text, _ = await take_one(transport)
    assert json.loads(text) == texts


async def test_the_longest_name_of_a_queue_is_used_and_a_longer_one_is_refused(harness: Harness) -> None:
    longest = harness.limits.longest_name
    harness.namespace += "-" + "n" * (LONGEST_ACTOR - len(harness.namespace) - 1)
    room = LONGEST_ACTOR if longest is None else longest - len(queue_name(harness.namespace, ""))
    fitting = "a" * room
    transport = await harness.declared(fitting)
    await publish(transport, "short enough", actor=fitting)
    assert await take_one(transport, fitting) == ("short enough", 1)
    await transport.delete(fitting)
    if longest is None:
        return  # no actor has a longer name
    with pytest.raises(Forbidden, match=str(longest)):
        await transport.declare(Queue(fitting + "a"))
    answers = await transport.publish([message("x", fitting + "a"), message("y", fitting)])
    assert [type(answer) for answer in answers] == [MessageRefused, Unroutable]


async def test_a_delay_longer_than_the_queue_systems_own_is_kept_whole(
    harness: Harness, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    if harness.limits.longest_delay is not None:
        broker.delay_at_most(1, monkeypatch)
    transport = await harness.declared()
    await publish(transport, "first")
    async with transport.receive("worker") as stream:
        await (await next_of(stream)).requeue(b"second", delay=2.2)
        start = time.monotonic()
        delivery = await next_of(stream)
        assert (delivery.body, delivery.deliveries) == (b"second", 1)
        assert 2.1 <= time.monotonic() - start < 6.0
        await delivery.ack()
    assert await transport.depth("worker") == 0


async def test_a_late_answer_is_refused_by_the_queue_system_where_that_is_declared(
    harness: Harness, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere it may count, even against the new consumer. The transport's own clock is put out of action here;
    test_transports.py has the case with it."""
    if not harness.limits.late_answers_noticed:
        broker.forget_time(monkeypatch)
    await harness.declared()
    transport, proxy = await harness.open_through_proxy()
    await publish(transport, "slow")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        proxy.refuse()
        async with harness.open().receive("worker") as others:
            again = await next_of(others)
            proxy.accept()
            if harness.limits.late_answers_noticed:
                with pytest.raises(LeaseLost):
                    await delivery.ack()
                await again.ack()
            else:
                with suppress(LeaseLost):  # stand-ins may be stricter
                    await delivery.ack()
                with suppress(LeaseLost):
                    await again.ack()


async def test_one_consumer_receives_in_the_order_of_publishing_if_that_is_promised(harness: Harness) -> None:
    transport = await harness.declared()
    texts = [f"m{number:02}" for number in range(30)]
    for start in (0, 10, 20):
        await publish(transport, *texts[start : start + 10])
    async with transport.receive("worker", prefetch=4) as stream:
        received = [await take_from(stream) for _ in texts]
    assert (received if harness.limits.in_order else sorted(received)) == texts


async def test_how_many_messages_wait_is_told_or_not_as_declared(
    harness: Harness, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not harness.limits.depth_known:
        broker.as_it_is(monkeypatch)
    transport = await harness.declared()
    await publish(transport, "one", "two")
    if harness.limits.depth_known:
        assert await transport.depth("worker") == 2
    else:
        with pytest.raises(TransportUnavailable):
            await transport.depth("worker")
