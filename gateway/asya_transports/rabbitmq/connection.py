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
    """Connects at its first use, and again at the first use after a loss."""

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
        """A new channel for the caller. Raises TransportUnavailable within the connect timeout."""
        connection = await self.connection()
        with port_errors():
            async with asyncio.timeout(self._settings.connect_timeout):
                return await connection.channel(publisher_confirms=False)

    @asynccontextmanager
    async def short_channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel for a few commands. The broker closes a channel on every error (404, 406), so each attempt uses its
        own. Raises TransportUnavailable, and AMQPChannelError unchanged."""
        channel = await self.channel()
        try:
            with port_errors():
                async with asyncio.timeout(self._settings.connect_timeout):
                    yield channel
        finally:
            await close_quietly(channel)

    async def close(self) -> None:
        """Disconnect; takes at most two seconds."""
        if self._connection is not None:
            await close_quietly(self._connection)


async def close_quietly(what: AbstractChannel | AbstractConnection) -> None:
    """Close a channel or connection in any state; takes at most two seconds."""
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    try:
        async with asyncio.timeout(2):
            await what.close()
    except (OSError, TimeoutError, RuntimeError, AMQPError):
        pass
    except asyncio.CancelledError:
        # The driver cancels waiters of a closing connection. But if this task itself was cancelled meanwhile, it must
        # end.
        if task is not None and task.cancelling() > asked:
            raise


@contextmanager
def port_errors() -> Iterator[None]:
    """Turn aiormq's errors into TransportUnavailable. Channel errors of the broker are passed on unchanged."""
    try:
        yield
    except (TransportError, AMQPChannelError):
        raise
    except (OSError, TimeoutError, RuntimeError, AMQPError) as error:
        reason = str(error) or type(error).__name__
        raise TransportUnavailable(f"RabbitMQ is not available: {reason}") from error
