"""One channel in confirm mode: many publishes outstanding, each answered by its delivery tag."""

import asyncio
from collections.abc import Sequence

from asya_transports.port import TransportError, Unavailable, Unroutable
from asya_transports.rabbitmq.frames import Publication, body_frames, content_header, publish_method


class ChannelClosed(Exception):
    """The broker closed the channel: a reply code of AMQP 0-9-1 section 1.2, and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class Batch:
    """Publishes that were sent together; `done` is resolved when each has its answer."""

    __slots__ = ("_left", "answers", "closed", "confirmed", "done", "first")

    def __init__(self, first: int, size: int) -> None:
        self.first = first
        self.answers: list[TransportError | None] = [None] * size
        self.confirmed = bytearray(size)
        self.closed: ChannelClosed | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = size

    def answer(self, tag: int, error: TransportError | None) -> None:
        """The broker's word on one of them. An earlier one (it was returned) stands."""
        index = tag - self.first
        if self.confirmed[index]:
            return
        self.confirmed[index] = 1
        if self.answers[index] is None:
            self.answers[index] = error
        self._left -= 1
        if self._left == 0 and not self.done.done():
            self.done.set_result(None)

    def returned(self, tag: int, error: TransportError) -> None:
        """No queue took it; the confirmation follows."""
        self.answers[tag - self.first] = error

    def give_up(self, error: TransportError, closed: ChannelClosed | None = None) -> None:
        """Answer all that the broker has not answered."""
        self.closed = closed
        for index, known in enumerate(self.confirmed):
            if not known:
                self.answer(self.first + index, error)


class Outbound:
    """The sending half of a channel. `ready` is false from its closing to its reopening."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready = False
        self.returning = ""
        """The routing key of a basic.return whose content is being read."""
        self._next = self._lowest = 1
        self._outstanding: dict[int, Batch] = {}
        self._methods: dict[tuple[str, str], bytes] = {}

    def opened(self) -> None:
        """Confirm mode begins: the broker counts from 1."""
        self._next = self._lowest = 1
        self.ready = True

    def encode(self, publications: Sequence[Publication], frame_max: int) -> tuple[Batch, bytes]:
        """Number the messages and write their frames; the caller sends them before anything else is encoded."""
        batch = Batch(self._next, len(publications))
        parts: list[bytes] = []
        number, outstanding = self.number, self._outstanding
        for tag, publication in enumerate(publications, self._next):
            outstanding[tag] = batch
            parts += (
                self._method(publication.exchange, publication.routing_key),
                content_header(number, tag, publication),
                *body_frames(number, publication.body, frame_max),
            )
        self._next += len(publications)
        return batch, b"".join(parts)

    def confirmed(self, tag: int, *, multiple: bool, error: TransportError | None = None) -> None:
        """basic.ack, or basic.nack with its error. With `multiple` it speaks for all up to the tag."""
        if not multiple:
            batch = self._outstanding.pop(tag, None)
            if batch is not None:
                batch.answer(tag, error)
            return
        while self._lowest <= tag:
            batch = self._outstanding.pop(self._lowest, None)
            if batch is not None:
                batch.answer(self._lowest, error)
            self._lowest += 1

    def returned(self, correlation_id: str | None) -> None:
        """The content of a basic.return, of the message with this correlation id."""
        if correlation_id is not None and correlation_id.isdigit():
            batch = self._outstanding.get(int(correlation_id))
            if batch is not None:
                error = Unroutable(f"no queue takes messages for {self.returning}")
                batch.returned(int(correlation_id), error)

    def fail(self, reason: str, closed: ChannelClosed | None = None) -> None:
        """The channel or its connection is gone: what was not confirmed is unknown."""
        self.ready = False
        outstanding, self._outstanding = self._outstanding, {}
        error = Unavailable(reason)
        for batch in set(outstanding.values()):
            batch.give_up(error, closed)

    def _method(self, exchange: str, routing_key: str) -> bytes:
        key = (exchange, routing_key)
        known = self._methods.get(key)
        if known is None:
            if len(self._methods) > 1000:  # routing keys are actors; delays add a few
                self._methods.clear()
            known = self._methods[key] = publish_method(self.number, exchange, routing_key)
        return known
