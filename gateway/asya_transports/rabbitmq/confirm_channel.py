"""One channel in confirm mode: many outstanding publishes, each answered by its delivery tag."""

import asyncio
from collections import deque
from collections.abc import Sequence

from asya_transports.port import TransportError, TransportUnavailable, Unroutable
from asya_transports.rabbitmq.frames import Publication, body_frames, content_header, publish_method


class ChannelClosed(Exception):
    """The broker closed the channel: a reply code of AMQP 0-9-1 section 1.2, and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class Batch:
    """Publishes that were sent together. `done` is resolved when each has its answer."""

    __slots__ = ("_left", "answers", "closed", "confirmed", "done", "first")

    def __init__(self, first: int, size: int) -> None:
        self.first = first
        self.answers: list[TransportError | None] = [None] * size
        self.confirmed = bytearray(size)
        self.closed: ChannelClosed | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = size

    @property
    def whole(self) -> bool:
        """Whether each has its answer."""
        return self._left == 0

    def has(self, tag: int) -> bool:
        """Whether the message with this delivery tag is one of them."""
        return self.first <= tag < self.first + len(self.answers)

    def answer(self, tag: int, error: TransportError | None) -> None:
        """The broker's answer to one of them. An earlier answer (the message was returned) is kept."""
        index = tag - self.first
        if self.confirmed[index]:
            return
        self.confirmed[index] = 1
        if self.answers[index] is None:
            self.answers[index] = error
        self._settle(1)

    def answer_through(self, tag: int, error: TransportError | None) -> None:
        """The broker's answer to all of them up to this tag."""
        end = min(tag - self.first + 1, len(self.answers))
        if error is not None:
            for index in range(end):
                self.answer(self.first + index, error)
            return
        fresh = self.confirmed.count(0, 0, end)
        self.confirmed[:end] = b"\x01" * end
        self._settle(fresh)

    def returned(self, tag: int, error: TransportError) -> None:
        """No queue accepted the message; its confirmation follows."""
        self.answers[tag - self.first] = error

    def give_up(self, error: TransportError, closed: ChannelClosed | None = None) -> None:
        """Answer all messages that the broker has not answered."""
        self.closed = closed
        self.answer_through(self.first + len(self.answers) - 1, error)

    def _settle(self, count: int) -> None:
        self._left -= count
        if self._left == 0 and not self.done.done():
            self.done.set_result(None)


class ConfirmChannel:
    """The sending half of a channel. `ready` is false from its closing to its reopening."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ready = False
        self.returning = ""
        """The routing key of a basic.return whose content is being read."""
        self._next = 1
        self._outstanding: deque[Batch] = deque()
        self._methods: dict[tuple[str, str], bytes] = {}

    def opened(self) -> None:
        """Confirm mode begins: the broker counts tags from 1."""
        self._next = 1
        self.ready = True

    def encode(self, publications: Sequence[Publication], frame_max: int) -> tuple[Batch, bytes]:
        """Number the messages and write their frames; the caller sends them before anything else is encoded."""
        parts: list[bytes] = []
        number = self.number
        for tag, publication in enumerate(publications, self._next):
            header = content_header(number, tag, publication)
            if len(header) > frame_max:
                # It must be one frame, and a longer one ends the connection.
                header = content_header(number, tag, publication.with_our_headers())
            parts += (
                self._method(publication.exchange, publication.routing_key),
                header,
                *body_frames(number, publication.body, frame_max),
            )
        # Only now, since the broker counts what is sent: what cannot be written must have no number.
        batch = Batch(self._next, len(publications))
        self._outstanding.append(batch)
        self._next += len(publications)
        return batch, b"".join(parts)

    def confirmed(self, tag: int, *, multiple: bool, error: TransportError | None = None) -> None:
        """basic.ack, or basic.nack with its error. With `multiple` it applies to all up to the tag."""
        if multiple:
            for batch in self._outstanding:
                if batch.first > tag:
                    break
                batch.answer_through(tag, error)
        elif (found := self._batch_of(tag)) is not None:
            found.answer(tag, error)
        while self._outstanding and self._outstanding[0].whole:
            self._outstanding.popleft()

    def returned(self, correlation_id: str | None) -> None:
        """The content of a basic.return: the message with this correlation id."""
        if correlation_id is not None and correlation_id.isdigit():
            batch = self._batch_of(int(correlation_id))
            if batch is not None:
                error = Unroutable(f"no queue accepts messages for {self.returning}")
                batch.returned(int(correlation_id), error)

    def fail(self, reason: str, closed: ChannelClosed | None = None) -> None:
        """The channel or its connection is gone: the outcome of unconfirmed messages is unknown."""
        self.ready = False
        outstanding, self._outstanding = self._outstanding, deque()
        error = TransportUnavailable(reason)
        for batch in outstanding:
            batch.give_up(error, closed)

    def _batch_of(self, tag: int) -> Batch | None:
        return next((batch for batch in self._outstanding if batch.has(tag)), None)

    def _method(self, exchange: str, routing_key: str) -> bytes:
        key = (exchange, routing_key)
        known = self._methods.get(key)
        if known is None:
            if len(self._methods) > 1000:  # routing keys are actors; delays add a few
                self._methods.clear()
            known = self._methods[key] = publish_method(self.number, exchange, routing_key)
        return known
