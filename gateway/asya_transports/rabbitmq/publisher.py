"""Confirmed publishes: a connection that reconnects by itself, and the effect of its failures on each message."""

import asyncio
import itertools
import logging
import random
from collections.abc import Sequence

from pamqp import commands

from asya_transports.bounded import stopped
from asya_transports.port import MessageTooLarge, TransportError, TransportUnavailable, Unroutable
from asya_transports.rabbitmq.address import Address
from asya_transports.rabbitmq.confirm_channel import Batch, ChannelClosed, ConfirmChannel
from asya_transports.rabbitmq.frames import Publication
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.wire import Wire

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
CLOSE_WITHIN = 2.0
"""Seconds until an attempt to connect must have ended when the publisher is closed."""
CONTENT_TOO_LARGE, NOT_FOUND, PRECONDITION_FAILED = 311, 404, 406


class Publisher:
    """Belongs to the event loop of its first use."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings
        self._wire: Wire | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._attempted = asyncio.Event()
        self._error = TransportUnavailable("not connected yet")
        self._reopening = asyncio.Lock()
        self._turn = itertools.count()

    async def publish(self, publications: Sequence[Publication]) -> list[TransportError | None]:
        """One answer each, in order; raises nothing."""
        try:
            batch = await self._send(publications)
        except TransportUnavailable as error:
            return [error] * len(publications)
        if batch.closed is None:
            return batch.answers
        return await self._after_close(publications, batch, batch.closed)

    async def check(self) -> None:
        """Return if there is a connection that accepts messages. Raises TransportUnavailable."""
        try:
            async with asyncio.timeout(self._settings.publish_timeout):
                await self._connected()
        except TimeoutError:
            raise TransportUnavailable(f"no connection within {self._settings.publish_timeout:g} s") from None

    async def close(self) -> None:
        """Disconnect."""
        if self._connecting is not None:
            await stopped([self._connecting], CLOSE_WITHIN)
        if self._wire is not None:
            await self._wire.close()

    async def _send(self, publications: Sequence[Publication]) -> Batch:
        batch: Batch | None = None
        wire: Wire | None = None
        sent = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._settings.publish_timeout):
                wire = await self._connected()
                channel = await self._channel(wire)
                await wire.writable.wait()
                if wire.lost.done() or not channel.ready:
                    raise TransportUnavailable("the connection was lost")
                batch, data = channel.encode(publications, wire.frame_max)
                wire.write(data)
                await batch.done
        except TimeoutError as error:
            if wire is not None and wire.last_heard < sent:
                wire.abort("the broker did not answer")
            late = TransportUnavailable(f"not confirmed within {self._settings.publish_timeout:g} s")
            if batch is None:
                raise late from error
            batch.give_up(late)
        return batch

    async def _after_close(
        self, publications: Sequence[Publication], batch: Batch, closed: ChannelClosed
    ) -> list[TransportError | None]:
        """The answers after the channel was closed. If one message caused it, that one is found by sending the
        unanswered ones one by one. Other reasons, such as a missing permission, apply to all of them."""
        answers = batch.answers
        reason = _meaning(closed)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, TransportUnavailable)]
        if len(publications) == 1 or isinstance(reason, TransportUnavailable):
            for index in unknown:
                answers[index] = reason
            return answers
        for index in unknown:
            [answers[index]] = await self.publish([publications[index]])
        return answers

    async def _connected(self) -> Wire:
        """The connection, or an error with the reason. If the last attempt has failed, it raises at once."""
        if self._wire is None or self._wire.lost.done():
            if self._connecting is None or self._connecting.done():
                self._attempted.clear()
                self._connecting = asyncio.create_task(self._connect(), name="rabbitmq-publisher")
            await self._attempted.wait()
            if self._wire is None or self._wire.lost.done():
                raise self._error
        if self._wire.blocked is not None:
            raise TransportUnavailable(f"the broker blocks publishers: {self._wire.blocked}")
        return self._wire

    async def _channel(self, wire: Wire) -> ConfirmChannel:
        channel = wire.channels[next(self._turn) % len(wire.channels) + 1]
        if not channel.ready:
            async with self._reopening:
                if not channel.ready:
                    try:
                        await wire.open_channel(channel.number)
                        await self._ensure_exchange(wire, channel.number)
                    except ChannelClosed as error:
                        raise TransportUnavailable(f"no channel: {error}") from error
        return channel

    async def _connect(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                self._wire = await self._attempt()
            except TransportUnavailable as error:
                self._error = error
                self._attempted.set()
                logger.warning("%s; trying again in %.1f s", error, pause)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads reconnects, no secret
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self._attempted.set()
                return

    async def _attempt(self) -> Wire:
        wire: Wire | None = None
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                address = Address.parse(self._settings.url)
                _, wire = await asyncio.get_running_loop().create_connection(
                    lambda: Wire(address, self._settings.channels), address.host, address.port, ssl=address.tls
                )
                await wire.open()
                await self._ensure_exchange(wire, 1)
        except BaseException as error:
            if wire is not None:
                wire.abort("the handshake failed")
            if not isinstance(error, OSError | ValueError | TimeoutError | ChannelClosed | TransportUnavailable):
                raise
            reason = str(error) or type(error).__name__
            raise TransportUnavailable(f"RabbitMQ is not available: {reason}") from error
        return wire

    async def _ensure_exchange(self, wire: Wire, channel: int) -> None:
        """An existing exchange is used unchanged; a missing one is created as sidecars would create it."""
        exchange = self._settings.exchange
        try:
            await wire.call(channel, commands.Exchange.Declare(exchange=exchange, passive=True))
        except ChannelClosed as error:
            if error.code != NOT_FOUND:
                raise
            await wire.open_channel(channel)
            await wire.call(channel, commands.Exchange.Declare(exchange=exchange, exchange_type="topic", durable=True))


def _meaning(closed: ChannelClosed) -> TransportError:
    """The error for an unanswered message, from the broker's reason for closing the channel."""
    too_large = closed.code == PRECONDITION_FAILED and "message size" in closed.text
    if too_large or closed.code == CONTENT_TOO_LARGE:
        return MessageTooLarge(closed.text)
    if closed.code == NOT_FOUND:
        return Unroutable(closed.text)
    return TransportUnavailable(f"the broker closed the channel: {closed}")
