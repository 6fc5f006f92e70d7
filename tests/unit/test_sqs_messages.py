"""Messages of SQS: characters, sizes, attributes, and where a dead letter died."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_transports.port import LeaseLost, MessageRefused, TransportUnavailable
from asya_transports.sqs import attributes
from asya_transports.sqs.characters import bytes_of
from asya_transports.sqs.delivery import SqsDelivery
from asya_transports.sqs.leases import Lease
from asya_transports.sqs.outgoing import escaped, outgoing
from asya_transports.sqs.settings import LARGEST_MESSAGE

XML = {0x9, 0xA, 0xD, *range(0x20, 0xD800), *range(0xE000, 0xFFFE), *range(0x10000, 0x110000)}
"""XML 1.0, section 2.2: Char."""


@given(st.recursive(st.text(), st.lists))
def test_a_text_of_json_is_escaped_to_the_characters_of_xml_and_says_the_same(value: Any) -> None:
    text = escaped(json.dumps(value, ensure_ascii=False).encode())
    assert {ord(character) for character in text} <= XML
    assert json.loads(text) == value


@given(st.recursive(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\ufffe\uffff")), st.lists))
def test_the_bytes_of_a_call_are_known_before_it_is_sent(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert bytes_of(text) == len(escaped(text.encode()).encode())


@pytest.mark.parametrize("body", [b"", b'"\xff"', b"\xed\xa0\x80"])
def test_a_body_that_is_no_text_is_refused(body: bytes) -> None:
    with pytest.raises(MessageRefused):
        escaped(body)


def test_escapes_and_attributes_count_for_the_size() -> None:
    body = '"\ufffe\ufffe"'.encode()
    message = outgoing(body, {attributes.ACTOR: "worker"}, {}, most=LARGEST_MESSAGE)
    assert message.size == len(r'"\ufffe\ufffe"') + len("asya-actor") + len("String") + len("worker")
    with pytest.raises(MessageRefused, match=str(message.size)):
        outgoing(body, {attributes.ACTOR: "worker"}, {}, most=message.size - 1)


def test_a_delay_over_the_longest_is_sent_with_what_is_left() -> None:
    message = outgoing(b"{}", {}, {}, delay=2000, most=1000)
    assert message.delay == 900
    assert attributes.number(message.attributes, attributes.DELAY_LEFT) == 1100
    assert attributes.DELAY_LEFT not in outgoing(b"{}", {}, {}, delay=900, most=1000).attributes


def test_copies_keep_the_attributes_of_others_as_far_as_there_is_room() -> None:
    theirs = {f"a{number}": {"DataType": "String", "StringValue": "x", "StringListValues": []} for number in range(10)}
    binary = {"DataType": "Binary", "BinaryValue": b"\x00"}
    kept = attributes.of_others({"trace": binary, attributes.ACTOR: {}, **theirs})
    assert kept["trace"] == binary
    assert kept["a0"] == {"DataType": "String", "StringValue": "x"}
    assert len(kept) == 6
    assert attributes.ACTOR not in kept


class Reader:
    """Of the dead letters of namespace n."""

    actor, dead_letters, limit = "dlq", True, 5

    def origin(self, arn: str) -> str:
        return arn.rpartition("asya-n-")[2]

    def deaths(self, actor: str) -> int:
        return 5


class Holder:
    """Of a worker's queue, in which a message may be acknowledged from the second attempt on."""

    actor, dead_letters, limit = "worker", False, 5

    def __init__(self) -> None:
        self.done: list[str] = []
        self.receipts = self

    def settled(self, _: SqsDelivery) -> None:
        self.done.append("settled")

    async def delete(self, _: Lease) -> None:
        self.done.append("delete")
        if self.done.count("delete") == 1:
            raise TransportUnavailable("away")

    async def show(self, _: Lease, seconds: int) -> None:
        self.done.append("show")

    async def publish_copy(self, *_: object) -> None:
        self.done.append("copy")

    async def publish_dead(self, *_: object) -> None:
        self.done.append("dead letter")


@pytest.mark.parametrize("again", ["ack", "nack", "requeue", "bury", "return_unseen"])
@pytest.mark.parametrize(("first", "published"), [("requeue", "copy"), ("bury", "dead letter")])
async def test_after_a_confirmed_copy_every_repetition_only_acknowledges(
    first: str, published: str, again: str
) -> None:
    holder = Holder()
    delivery = SqsDelivery(holder, Lease("url", "receipt", 30), {"Body": "{}"})  # type: ignore[arg-type]
    with pytest.raises(TransportUnavailable):
        await (delivery.requeue(b"x") if first == "requeue" else delivery.bury())
    await (delivery.requeue(b"x") if again == "requeue" else getattr(delivery, again)())
    assert holder.done == [published, "delete", "delete", "settled"]


@pytest.mark.parametrize("answer", ["nack", "requeue", "bury", "return_unseen", "wait_on"])
async def test_a_message_whose_lease_has_expired_gets_no_copy_beside_the_one_that_sqs_delivers_again(
    answer: str,
) -> None:
    holder = Holder()
    delivery = SqsDelivery(holder, Lease("url", "receipt", 30, received=-1e6), {"Body": "{}"})  # type: ignore[arg-type]
    with pytest.raises(LeaseLost):
        await (delivery.requeue(b"x") if answer == "requeue" else getattr(delivery, answer)())
    assert holder.done == ["settled"]


def dead_letter(message: dict[str, Any]) -> SqsDelivery:
    return SqsDelivery(Reader(), Lease("url", "receipt", 30), message)  # type: ignore[arg-type]


SOURCE = {"DeadLetterQueueSourceArn": "arn:aws:sqs:us-east-1:123456789012:asya-n-resize"}


@pytest.mark.parametrize(
    ("message", "actor", "deliveries"),
    [
        (
            {
                "MessageAttributes": attributes.written({"asya-died-in": "a", "asya-deliveries": 3}),
                "Attributes": SOURCE,
            },
            "a",
            3,
        ),
        ({"MessageAttributes": attributes.written({"asya-actor": "b"}), "Attributes": SOURCE}, "resize", 5),
        ({"MessageAttributes": attributes.written({"asya-actor": "b", "asya-deliveries": 2})}, "b", 7),
        ({"Body": json.dumps({"route": {"prev": [], "curr": "c", "next": []}})}, "c", 5),
        ({"Body": "[" * 100_000}, "", 5),
        ({"Body": '{"route": {"curr": 5}}'}, "", 5),
    ],
    ids=["ours", "source", "attribute", "envelope", "nested", "nonsense"],
)
def test_a_dead_letters_actor_is_found_where_it_is_said(message: dict[str, Any], actor: str, deliveries: int) -> None:
    found = dead_letter(message)
    assert (found.actor, found.deliveries) == (actor, deliveries)


@pytest.mark.parametrize("value", ["-1", "1e3", "x", "", "9" * 20])
def test_a_foreign_count_counts_nothing(value: str) -> None:
    assert attributes.number({"asya-deliveries": {"DataType": "String", "StringValue": value}}, "asya-deliveries") == 0
