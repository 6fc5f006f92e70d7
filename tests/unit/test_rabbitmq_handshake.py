"""A broker that goes away while a connection is being opened, as one does that restarts."""

import asyncio

import pytest
from pamqp import commands, frame

from asya_transports.port import TransportUnavailable
from asya_transports.rabbitmq.connection import BrokerConnection, answer_of
from asya_transports.rabbitmq.settings import RabbitSettings

START = frame.marshal(commands.Connection.Start(0, 9, {}, "PLAIN", "en_US"), 0)


@pytest.mark.parametrize("sent", [b"", START[:4], START], ids=["nothing", "half a frame", "its first frame"])
async def test_a_broker_that_closes_in_the_handshake_is_unavailable(sent: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(sent)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    connection = BrokerConnection(RabbitSettings(f"amqp://guest:guest@127.0.0.1:{port}/"))
    async with server:
        with pytest.raises(TransportUnavailable, match="RabbitMQ is not available"):
            await connection.channel()
    await connection.close()


async def test_the_drivers_word_for_a_connection_that_ends_between_two_frames_is_unavailable_too() -> None:
    """Passed on, it would end a worker: an async generator that raises it raises RuntimeError."""

    async def next_frame() -> None:
        raise StopAsyncIteration

    with pytest.raises(TransportUnavailable, match="StopAsyncIteration"):
        await answer_of(next_frame(), 5)
