"""The publishing path's own frames and bookkeeping, against pamqp's marshalling and AMQP 0-9-1's rules."""

import asyncio

import pamqp.frame
import pytest
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from asya_transports.port import TransportError, TransportUnavailable, Unroutable
from asya_transports.rabbitmq.confirm_channel import ChannelClosed, ConfirmChannel
from asya_transports.rabbitmq.frames import Publication, body_frames, content_header, publish_method


def test_the_publish_method_is_what_pamqp_writes() -> None:
    expected = commands.Basic.Publish(exchange="asya", routing_key="text-žluť", mandatory=True)
    assert publish_method(3, "asya", "text-žluť") == pamqp.frame.marshal(expected, 3)


@pytest.mark.parametrize("headers", [None, {"x-asya-deliveries": 2, "traceparent": "00-ab-cd-01"}])
@pytest.mark.parametrize("message_id", ["", "01890000-0000-7000-8000-000000000000"])
def test_the_content_header_is_what_pamqp_writes(headers: dict[str, object] | None, message_id: str) -> None:
    properties = commands.Basic.Properties(
        content_type="application/json",
        headers=headers,  # type: ignore[arg-type]
        delivery_mode=2,
        correlation_id="42",
        message_id=message_id or None,
    )
    expected = pamqp.frame.marshal(ContentHeader(0, 5, properties), 1)
    assert content_header(1, 42, Publication("", "", b"12345", message_id, headers)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 91, 92, 93, 184, 185, 1000])
def test_a_body_is_split_at_the_negotiated_frame_size(size: int) -> None:
    """AMQP 0-9-1 4.2.3: no frame is larger than frame-max, its header of 7 octets and its end included."""
    body = bytes(index % 251 for index in range(size))
    data = b"".join(body_frames(2, body, 100))
    joined = b""
    while data:
        consumed, channel, content = pamqp.frame.unmarshal(data)
        assert consumed <= 100
        assert channel == 2
        assert isinstance(content, ContentBody)
        joined += content.value
        data = data[consumed:]
    assert joined == body


def outbound(count: int) -> tuple[ConfirmChannel, list[list[TransportError | None]], list["asyncio.Future[None]"]]:
    """A channel with `count` messages outstanding in batches of three."""
    channel = ConfirmChannel(1)
    channel.opened()
    batches = [channel.encode([Publication("asya", "a", b"{}")] * 3, 131072)[0] for _ in range(count // 3)]
    return channel, [batch.answers for batch in batches], [batch.done for batch in batches]


async def test_a_message_that_cannot_be_written_takes_no_number() -> None:
    channel = ConfirmChannel(1)
    channel.opened()
    with pytest.raises(TypeError):
        channel.encode([Publication("asya", "a", b"{}", headers={"x-user": b"bytes"})], 131072)
    batch, _ = channel.encode([Publication("asya", "a", b"{}")], 131072)
    channel.confirmed(1, multiple=False)
    assert batch.done.done()


async def test_headers_that_fit_into_no_frame_are_left_out_but_for_ours() -> None:
    channel = ConfirmChannel(1)
    headers = {"x-note": "x" * 5000, "x-asya-deliveries": 2}
    _, data = channel.encode([Publication("asya", "a", b"{}", headers=headers)], 4096)  # type: ignore[arg-type]
    consumed, _, _ = pamqp.frame.unmarshal(data)
    size, _, content = pamqp.frame.unmarshal(data[consumed:])
    assert size <= 4096
    assert isinstance(content, ContentHeader)
    assert content.properties.headers == {"x-asya-deliveries": 2}


async def test_confirmations_may_come_in_any_order_and_for_many_at_once() -> None:
    channel, answers, done = outbound(9)
    channel.confirmed(5, multiple=False)
    assert not done[1].done()
    channel.confirmed(7, multiple=True)
    assert [future.done() for future in done] == [True, True, False]
    channel.confirmed(9, multiple=True)
    assert done[2].done()
    assert answers == [[None] * 3] * 3


async def test_a_nack_is_unavailable_for_all_that_it_speaks_for() -> None:
    channel, answers, done = outbound(3)
    channel.confirmed(1, multiple=False)
    channel.confirmed(3, multiple=True, error=TransportUnavailable("nack"))
    assert done[0].done()
    assert [type(answer) for answer in answers[0]] == [type(None), TransportUnavailable, TransportUnavailable]


async def test_a_returned_message_stays_unroutable_though_it_is_acknowledged() -> None:
    channel, answers, done = outbound(3)
    channel.returning = "nobody"
    channel.returned("2")
    channel.returned("no number")
    channel.returned(None)
    channel.confirmed(3, multiple=True)
    assert done[0].done()
    assert [type(answer) for answer in answers[0]] == [type(None), Unroutable, type(None)]


async def test_when_the_channel_closes_only_what_was_unconfirmed_is_unknown() -> None:
    channel, answers, done = outbound(6)
    channel.confirmed(4, multiple=True)
    channel.fail("closed", ChannelClosed(406, "too large"))
    assert all(future.done() for future in done)
    assert answers[0] == [None] * 3
    assert [type(answer) for answer in answers[1]] == [type(None), TransportUnavailable, TransportUnavailable]
    assert not channel.ready
