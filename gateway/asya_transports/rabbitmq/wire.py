"""A connection that only publishes: one write for the frames of a whole batch, and no task for each confirmation.

aiormq spends several times more than the broker on each publish (a future, a lock, a queue and a drain) and on each
frame that it reads; docs/decisions.md has the figures.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import pamqp.frame
from pamqp import commands
from pamqp.base import Frame
from pamqp.common import FieldTable
from pamqp.header import ContentHeader
from typing_extensions import override

from asya_transports.port import NotTaken, TransportUnavailable
from asya_transports.rabbitmq import frames
from asya_transports.rabbitmq.confirm_channel import ChannelClosed, ConfirmChannel

if TYPE_CHECKING:
    from asya_transports.rabbitmq.address import Address

logger = logging.getLogger(__name__)

HEARTBEAT = 20
"""Seconds between heartbeats; the broker's value if that is shorter."""


class Wire(asyncio.Protocol):
    """The protocol of one connection, from the handshake (`open`) until it is lost."""

    def __init__(self, address: "Address", channels: int) -> None:
        self._address = address
        self._loop = asyncio.get_running_loop()
        self.channels = {number: ConfirmChannel(number) for number in range(1, channels + 1)}
        self.frame_max = 131072
        self.blocked: str | None = None
        self.lost = self._loop.create_future()
        self.last_heard = self._loop.time()
        self.writable = asyncio.Event()
        self.writable.set()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._replies: dict[int, asyncio.Future[Frame]] = {}
        self._out: list[bytes] = []
        self._reason = "the connection was lost"

    async def open(self) -> None:
        """The handshake (AMQP 0-9-1 section 2.2.4) and the channels. Raises TransportUnavailable."""
        start = self._expect(0)
        self.write(b"AMQP\x00\x00\x09\x01")
        await start
        properties: FieldTable = {
            "product": "asya",
            "capabilities": {
                "publisher_confirms": True,
                "connection.blocked": True,
                "basic.nack": True,
                "authentication_failure_close": True,
            },
        }
        start_ok = commands.Connection.StartOk(
            client_properties=properties,
            mechanism=self._address.mechanism,
            response=self._address.response(),
            locale="en_US",
        )
        tune = cast("commands.Connection.Tune", await self.call(0, start_ok))
        heartbeat = min(tune.heartbeat or HEARTBEAT, HEARTBEAT)
        self.frame_max = tune.frame_max or self.frame_max
        self._send(
            0,
            commands.Connection.TuneOk(channel_max=tune.channel_max, frame_max=self.frame_max, heartbeat=heartbeat),
        )
        await self.call(0, commands.Connection.Open(virtual_host=self._address.vhost))
        self._beat(heartbeat)
        for number in self.channels:
            await self.open_channel(number)

    async def open_channel(self, number: int) -> None:
        """Open a channel, also after the broker closed it. Raises TransportUnavailable, ChannelClosed."""
        await self.call(number, commands.Channel.Open())
        await self.call(number, commands.Confirm.Select())
        self.channels[number].opened()

    async def call(self, channel: int, method: Frame) -> Frame:
        """Send a method and return the broker's reply. Raises TransportUnavailable, ChannelClosed."""
        reply = self._expect(channel)
        self._send(channel, method)
        return await reply

    def write(self, data: bytes) -> None:
        """Send the data in one write with everything else from this turn of the event loop."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def abort(self, reason: str) -> None:
        """Close the connection at once."""
        self._reason = reason
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close the connection in order; takes at most two seconds."""
        if self._transport is None or self.lost.done():
            return
        try:
            async with asyncio.timeout(2):
                await self.call(0, commands.Connection.Close(reply_code=200, reply_text="", class_id=0, method_id=0))
        except (TimeoutError, TransportUnavailable):
            pass
        self.abort("the connection was closed")
        await asyncio.wait([self.lost], timeout=1)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"{self._reason}{f' ({exc})' if exc else ''}"
        if not self.lost.done():
            self.lost.set_result(reason)
        self.writable.set()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(TransportUnavailable(reason))
        self._replies.clear()
        for channel in self.channels.values():
            channel.fail(reason)

    @override
    def pause_writing(self) -> None:
        self.writable.clear()

    @override
    def resume_writing(self) -> None:
        self.writable.set()

    @override
    def data_received(self, data: bytes) -> None:
        self.last_heard = self._loop.time()
        received = self._received
        received += data
        position, end = 0, len(received)
        while end - position >= frames.OVERHEAD:
            kind, channel, size = frames.FRAME_HEAD.unpack_from(received, position)
            following = position + frames.OVERHEAD + size
            if following > end:
                break
            self._read(kind, channel, position, following)
            position = following
        del received[:position]

    def _read(self, kind: int, channel: int, start: int, end: int) -> None:
        received = self._received
        content = start + frames.FRAME_HEAD.size
        if kind == frames.METHOD:
            method = frames.METHOD_ID.unpack_from(received, content)
            if method in (frames.ACK, frames.NACK):
                tag, bits = frames.CONFIRM.unpack_from(received, content + 4)
                error = None if method == frames.ACK else NotTaken("the broker could not accept the message")
                self.channels[channel].confirmed(tag, multiple=bool(bits & 1), error=error)
                return
        elif kind in (frames.BODY, frames.HEARTBEAT):
            return
        try:
            _, _, unmarshalled = pamqp.frame.unmarshal(bytes(received[start:end]))
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream cannot be followed any further
            self.abort(f"the broker sent invalid AMQP ({error})")
            return
        self._handle(channel, cast("Frame", unmarshalled))

    def _handle(self, channel: int, received: object) -> None:
        match received:
            case commands.Basic.Return():
                self.channels[channel].returning = str(received.routing_key)
            case ContentHeader():
                self.channels[channel].returned(received.properties.correlation_id)
            case commands.Connection.Blocked():
                self.blocked = received.reason or "no reason given"
                logger.warning("the broker blocks publishers: %s", self.blocked)
            case commands.Connection.Unblocked():
                self.blocked = None
                logger.warning("the broker accepts messages again")
            case commands.Connection.Close():
                self._send(0, commands.Connection.CloseOk())
                self._flush()
                self._reason = f"the broker closed the connection: {received.reply_code} {received.reply_text}"
                if self._transport is not None:
                    self._transport.close()
            case commands.Channel.Close():
                self._send(channel, commands.Channel.CloseOk())
                closed = ChannelClosed(received.reply_code or 0, received.reply_text)
                reply = self._replies.pop(channel, None)
                if reply is not None and not reply.done():
                    reply.set_exception(closed)
                self.channels[channel].fail(f"the broker closed the channel: {closed}", closed)
            case _:
                reply = self._replies.pop(channel, None)
                if reply is not None and not reply.done():
                    reply.set_result(cast("Frame", received))

    def _expect(self, channel: int) -> "asyncio.Future[Frame]":
        if self.lost.done():
            raise TransportUnavailable(self.lost.result())
        reply: asyncio.Future[Frame] = self._loop.create_future()
        self._replies[channel] = reply
        return reply

    def _send(self, channel: int, method: Frame) -> None:
        self.write(pamqp.frame.marshal(method, channel))

    def _flush(self) -> None:
        data, self._out = self._out, []
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(data) if len(data) > 1 else data[0])

    def _beat(self, heartbeat: float) -> None:
        if self.lost.done() or self._transport is None:
            return
        if self._loop.time() - self.last_heard > 2 * heartbeat:
            self.abort(f"the broker was silent for {2 * heartbeat:g} s")
            return
        self.write(frames.HEARTBEAT_FRAME)
        self._loop.call_later(heartbeat / 2, self._beat, heartbeat)
