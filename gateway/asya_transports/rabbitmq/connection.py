"""The aiormq connection for everything but publishing: declarations, and the channels of receivers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import AMQPChannelError, AMQPError

from asya_transports.port import TransportError, TransportUnavailable
from asya_transports.rabbitmq.address import Address
from asya_transports.rabbitmq.reading import TolerantTransport
from asya_transports.rabbitmq.settings import RabbitSettings


class BrokerConnection:
    """Connects with its first use, and again with the first use after a loss."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings
        self._connection: AbstractConnection | None = None
        self._connecting = asyncio.Lock()

    async def connection(self) -> AbstractConnection:
        """The connection. Raises TransportUnavailable within the connect timeout."""
        async with self._connecting:
            if self._connection is None or self._connection.is_closed:
                with port_errors():
                    async with asyncio.timeout(self._settings.connect_timeout):
                        tls = Address.parse(self._settings.url).tls
                        self._connection = await aiormq.connect(
                            self._settings.url, context=tls, transport_factory=TolerantTransport()
                        )
            return self._connection

    async def channel(self) -> AbstractChannel:
        """A channel of the caller's own. Raises TransportUnavailable within the connect timeout."""
        connection = await self.connection()
        with port_errors():
            async with asyncio.timeout(self._settings.connect_timeout):
                return await connection.channel(publisher_confirms=False)

    @asynccontextmanager
    async def short_channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel for a few commands. The broker closes it with every error (404, 406): one for each attempt.
        Raises TransportUnavailable, and AMQPChannelError as it is."""
        channel = await self.channel()
        try:
            with port_errors():
                async with asyncio.timeout(self._settings.connect_timeout):
                    yield channel
        finally:
            await close_quietly(channel)

    async def close(self) -> None:
        """Disconnect; at most two seconds."""
        if self._connection is not None:
            await close_quietly(self._connection)


async def close_quietly(what: AbstractChannel | AbstractConnection) -> None:
    """Close a channel or connection, whatever state it is in; at most two seconds."""
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    try:
        async with asyncio.timeout(2):
            await what.close()
    except (OSError, TimeoutError, RuntimeError, AMQPError):
        pass
    except asyncio.CancelledError:
        # The driver cancels what waits for a connection that ends. Who is canceled meanwhile must end, too.
        if task is not None and task.cancelling() > asked:
            raise


@contextmanager
def port_errors() -> Iterator[None]:
    """Turn aiormq's errors into TransportUnavailable; the broker's word on one channel stays what it is."""
    try:
        yield
    except (TransportError, AMQPChannelError):
        raise
    except (OSError, TimeoutError, RuntimeError, AMQPError) as error:
        reason = str(error) or type(error).__name__
        raise TransportUnavailable(f"RabbitMQ is not available: {reason}") from error
