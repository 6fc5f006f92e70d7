"""Deliveries of Pub/Sub: counts, delays and dead letters by attributes, of which others may write any."""

import time
from collections.abc import Mapping

import pytest

from asya_transports.port import LeaseLost, TransportUnavailable
from asya_transports.pubsub.attributes import LARGEST_COUNT, copied, count, delay_of
from asya_transports.pubsub.delays import MOST_ATTEMPTS, remaining, whole_seconds
from asya_transports.pubsub.delivery import PubSubDelivery
from asya_transports.pubsub.leases import Lease
from asya_transports.pubsub.publisher import Publication


class Holder:
    """Remembers what a delivery asked for, in order."""

    def __init__(self, actor: str = "worker", limit: int = 5, refusal: Exception | None = None) -> None:
        """`refusal`: what acknowledging and releasing raise."""
        self.actor, self.limit = actor, limit
        self.dead_letters = actor == "dlq"
        self.refusal = refusal
        self.done: list[object] = []

    def _answered(self, answer: object) -> None:
        self.done.append(answer)
        if self.refusal is not None:
            raise self.refusal

    def origin(self, subscription: str) -> str:
        return subscription.removeprefix("asya-n-")

    def settled(self, delivery: PubSubDelivery) -> None:
        self.done.append("settled")

    async def acknowledge(self, lease: Lease) -> None:
        self._answered("ack")

    async def renew(self, lease: Lease) -> None:
        self.done.append("renew")

    async def release(self, lease: Lease, delay: float) -> None:
        self._answered(("release", delay))

    async def publish(self, copy: Publication) -> None:
        self.done.append(copy)

    async def publish_dead(self, body: bytes, attributes: Mapping[str, str]) -> None:
        self.done.append(("dead", body, dict(attributes)))


def delivery_of(
    holder: Holder, attributes: Mapping[str, str] | None = None, attempt: int = 1, *, expired: bool = False
) -> PubSubDelivery:
    lease = Lease("subscription", "ack", time.monotonic() + (-1 if expired else 100))
    return PubSubDelivery(holder, lease, b"body", attributes or {}, attempt, time.time())


async def test_a_count_of_the_service_goes_on_from_the_count_of_a_copy() -> None:
    assert delivery_of(Holder(), attempt=3).deliveries == 3
    assert delivery_of(Holder(), {"asya-deliveries": "2"}, attempt=3).deliveries == 5
    assert delivery_of(Holder(), {"asya-deliveries": "2"}, attempt=0).deliveries == 3


async def test_a_subscription_without_a_count_gets_copies_with_ours() -> None:
    holder = Holder()
    await delivery_of(holder, attempt=0).nack()
    assert holder.done == [Publication("worker", b"body", {"asya-deliveries": "1"}), "ack", "settled"]


async def test_a_counted_message_is_returned_by_its_lease() -> None:
    holder = Holder()
    await delivery_of(holder).nack(7.5)
    assert holder.done == [("release", 7.5), "settled"]


async def test_a_delay_longer_than_a_lease_may_be_is_carried_by_a_copy() -> None:
    holder = Holder()
    await delivery_of(holder, attempt=2).nack(3600)
    marks = {"asya-deliveries": "2", "asya-delay": "3600.000"}
    assert holder.done[0] == Publication("worker", b"body", marks)


async def test_what_comes_too_early_is_deferred_and_what_is_due_is_counted_anew() -> None:
    holder = Holder()
    early = delivery_of(holder, {"asya-delay": "90"}, attempt=2)
    assert early.wait == pytest.approx(90, abs=1)
    await early.defer(90.0)
    await delivery_of(holder, {"asya-delay": "90", "asya-deliveries": "1", "other": "kept"}, attempt=2).defer(-1.0)
    kept = Publication("worker", b"body", {"other": "kept", "asya-deliveries": "1"})
    assert holder.done == [("release", 90.0), "settled", kept, "ack", "settled"]


async def test_a_message_that_waits_for_hours_is_replaced_before_the_service_dead_letters_it() -> None:
    holder = Holder()
    await delivery_of(holder, {"asya-delay": "90000"}, attempt=MOST_ATTEMPTS).defer(30_000.0)
    assert holder.done[0] == Publication("worker", b"body", {"asya-delay": "30000.000"})


def test_a_wrong_clock_waits_no_longer_than_the_delay_and_a_lease_no_longer_than_it_may_be() -> None:
    assert remaining(30.0, published=1000.0, now=1010.0) == 20.0
    assert remaining(30.0, published=1000.0, now=0.0) == 30.0
    assert remaining(30.0, published=1000.0, now=2000.0) < 0
    assert [whole_seconds(each) for each in (-1, 0, 0.2, 1, 1.6, 599.5, 4000)] == [0, 0, 1, 1, 2, 600, 600]


async def test_what_no_handler_saw_goes_back_with_its_count_before_it_is_acknowledged() -> None:
    holder = Holder()
    await delivery_of(holder, {"asya-deliveries": "1"}, attempt=2).return_unseen()
    assert holder.done == [Publication("worker", b"body", {"asya-deliveries": "2"}), "ack", "settled"]


async def test_after_its_last_delivery_it_is_a_dead_letter_with_actor_and_count() -> None:
    holder = Holder(limit=3)
    await delivery_of(holder, {"trace": "t"}, attempt=3).nack()
    marks = {"trace": "t", "asya-died-in": "worker", "asya-deliveries": "3"}
    assert holder.done == [("dead", b"body", marks), "ack", "settled"]
    again = delivery_of(holder, attempt=4)
    assert again.exhausted
    await again.bury()
    assert holder.done[3] == ("dead", b"body", {"asya-died-in": "worker", "asya-deliveries": "3"})


def test_a_dead_letter_of_the_service_itself_names_its_subscription_and_its_count() -> None:
    """https://cloud.google.com/pubsub/docs/dead-letter-topics: the attributes of forwarded messages."""
    theirs = {
        "CloudPubSubDeadLetterSourceSubscription": "asya-n-worker",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "project",
        "CloudPubSubDeadLetterSourceDeliveryCount": "100",
        "asya-deliveries": "2",
    }
    dead = delivery_of(Holder("dlq"), theirs, attempt=0)
    assert (dead.actor, dead.deliveries) == ("worker", 102)
    ours = delivery_of(Holder("dlq"), {"asya-died-in": "worker", "asya-deliveries": "5"}, attempt=0)
    assert (ours.actor, ours.deliveries) == ("worker", 5)


async def test_a_dead_letter_is_never_dead_lettered_again_and_keeps_its_marks_when_it_is_replaced() -> None:
    holder = Holder("dlq")
    marks = {"asya-died-in": "worker", "asya-deliveries": "5"}
    await delivery_of(holder, marks, attempt=0).nack(2.0)
    await delivery_of(holder, marks, attempt=0).requeue(b"other", 60.0)
    assert holder.done[:2] == [("release", 2.0), "settled"]
    assert holder.done[2] == Publication("dlq", b"other", {**marks, "asya-delay": "60.000"})


async def test_every_answer_after_the_lease_is_lost_without_being_sent() -> None:
    holder = Holder()
    late = delivery_of(holder, expired=True)
    for answer in (late.ack, late.nack, lambda: late.requeue(b"x"), late.extend, late.bury, late.return_unseen):
        with pytest.raises(LeaseLost):
            await answer()
    assert set(holder.done) == {"settled"}


@pytest.mark.parametrize("answer", ["ack", "nack", "requeue", "bury", "return_unseen"])
async def test_an_answer_that_finds_the_lease_lost_leaves_its_place_to_another_message(answer: str) -> None:
    holder = Holder(refusal=LeaseLost("the subscription is gone with its messages"))
    delivery = delivery_of(holder)
    with pytest.raises(LeaseLost):
        await (delivery.requeue(b"x") if answer == "requeue" else getattr(delivery, answer)())
    assert holder.done[-1] == "settled"


@pytest.mark.parametrize("again", ["ack", "nack", "requeue", "bury", "return_unseen"])
@pytest.mark.parametrize("first", ["requeue", "bury"])
async def test_after_a_confirmed_copy_every_repetition_only_acknowledges(first: str, again: str) -> None:
    holder = Holder(refusal=TransportUnavailable("away"))
    delivery = delivery_of(holder)
    with pytest.raises(TransportUnavailable):
        await (delivery.requeue(b"x") if first == "requeue" else delivery.bury())
    assert len(holder.done) == 2  # the copy, and the acknowledgement that failed
    holder.refusal = None
    await (delivery.requeue(b"x") if again == "requeue" else getattr(delivery, again)())
    assert holder.done[2:] == ["ack", "settled"]


def test_attributes_of_others_are_copied_but_for_those_that_the_service_refuses_or_that_tell_of_a_death() -> None:
    theirs = {
        "googclient_x": "1",
        "CloudPubSubDeadLetterSourceDeliveryCount": "3",
        "asya-delay": "1",
        "traceparent": "t",
    }
    assert copied(theirs) == {"traceparent": "t"}
    assert copied({str(number): "" for number in range(99)}) == {}


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "٣", "1" * 10, " 1"])
def test_a_count_that_is_none_is_0(text: str) -> None:
    assert count({"name": text}, "name") == 0


def test_counts_and_delays_are_bounded() -> None:
    assert count({"name": "999999999"}, "name") == LARGEST_COUNT
    for text in ("inf", "nan", "-1", "0", "x", "1e300", ""):
        assert delay_of({"asya-delay": text}) is None
    assert delay_of({"asya-delay": "1.5"}) == 1.5
    assert delay_of({}) is None
