"""The aiormq connection for everything but publishing: declarations, and the channels of receivers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import AMQPChannelError, AMQPError

from asya_transports.bounded import ended, keep
from asya_transports.port import TransportError, TransportUnavailable
from asya_transports.rabbitmq.address import Address
from asya_transports.rabbitmq.reading import TolerantTransport
from asya_transports.rabbitmq.settings import RabbitSettings

CLOSE_WITHIN = 2.0
"""Seconds for closing a channel or the connection in order."""

Result = TypeVar("Result")


class BrokerConnection:
    """Connects at its first use, and again at the first use after a loss."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings
        self._connection: AbstractConnection | None = None
        self._transport = TolerantTransport()
        self._connecting = asyncio.Lock()

    async def connection(self) -> AbstractConnection:
        """The connection. Raises TransportUnavailable within the connect timeout."""
        async with self._connecting:
            if self._connection is None or self._connection.is_closed:
                self._transport.abort()
                self._transport = TolerantTransport()
                try:
                    with port_errors():
                        tls = Address.parse(self._settings.url).tls
                        connecting = aiormq.connect(self._settings.url, context=tls, transport_factory=self._transport)
                    self._connection = await answer_of(connecting, self._settings.connect_timeout)
                except BaseException:
                    self._transport.abort()
                    raise
            return self._connection

    async def channel(self) -> AbstractChannel:
        """A new channel for the caller. Raises TransportUnavailable within the connect timeout."""
        connection = await self.connection()
        opening = asyncio.ensure_future(connection.channel(publisher_confirms=False))
        try:
            return await answer_of(opening, self._settings.connect_timeout)
        except BaseException:
            opening.add_done_callback(_close_unwanted)
            raise

    async def on_channel(self, commands: Callable[[AbstractChannel], Awaitable[Result]]) -> Result:
        """Run a few commands on a channel of their own: the broker closes a channel on every error (404, 406). Raises
        TransportUnavailable, and AMQPChannelError unchanged."""
        channel = await self.channel()
        try:
            return await answer_of(commands(channel), self._settings.connect_timeout)
        finally:
            await close_quietly(channel)

    async def close(self) -> None:
        """Disconnect; takes at most two seconds."""
        if self._connection is not None:
            await close_quietly(self._connection)
        self._transport.abort()


async def answer_of(call: Awaitable[Result], seconds: float) -> Result:
    """What the driver answers to the call. Raises TransportUnavailable, and AMQPChannelError unchanged.

    The call has a task of its own, because what happens to a caller's cancellation in the driver depends on the moment:
    if the channel closes in the same turn of the event loop, the call raises the channel's error, or returns as if
    nothing had been. And when a connection closes, calls raise CancelledError although nobody cancelled their callers.
    """
    task = asyncio.ensure_future(call)
    if not await ended(task, seconds):
        raise TransportUnavailable(f"RabbitMQ is not available: no answer within {seconds:g} s")
    if task.cancelled():
        raise TransportUnavailable("RabbitMQ is not available: the connection is closing")
    with port_errors():
        return task.result()


async def close_quietly(what: AbstractChannel | AbstractConnection) -> None:
    """Close a channel or connection in any state; takes at most two seconds."""
    with suppress(TransportUnavailable, AMQPChannelError):
        await answer_of(what.close(), CLOSE_WITHIN)


def _close_unwanted(opening: "asyncio.Future[AbstractChannel]") -> None:
    """The channel was opened when its caller had stopped waiting."""
    if not opening.cancelled() and opening.exception() is None:
        keep(close_quietly(opening.result()))


@contextmanager
def port_errors() -> Iterator[None]:
    """Turn aiormq's errors into TransportUnavailable. Channel errors of the broker are passed on unchanged."""
    try:
        yield
    except (TransportError, AMQPChannelError):
        raise
    # A connection that the broker closes before its next frame is the end of an iteration in the driver's handshake.
    except (OSError, TimeoutError, RuntimeError, AMQPError, StopAsyncIteration) as error:
        reason = str(error) or type(error).__name__
        raise TransportUnavailable(f"RabbitMQ is not available: {reason}") from error
