"""The TCP proxy breaks connections as networks do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from servers.proxy import Side, Slowness, TcpProxy
from tests.support.waiting import until

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line:
    """One connection through a proxy: what the client and the server have of it."""

    def __init__(self, proxy: TcpProxy, client: Ends, server: Ends) -> None:
        self.proxy = proxy
        self.ends = {Side.CLIENT: client, Side.SERVER: server}

    async def heard(self, side: Side, size: int) -> bytes:
        async with asyncio.timeout(20):
            return await self.ends[side][0].readexactly(size)

    async def hears_the_end(self, side: Side) -> bool:
        async with asyncio.timeout(20):
            return await self.ends[side][0].read() == b""

    def say(self, side: Side, data: bytes) -> None:
        self.ends[side][1].write(data)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    accepted: asyncio.Queue[Ends] = asyncio.Queue()
    server = await asyncio.start_server(lambda *ends: accepted.put_nowait(ends), "127.0.0.1", 0)
    proxy = TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1])
    await proxy.start()
    client = await asyncio.open_connection("127.0.0.1", proxy.port)
    made = Line(proxy, client, await accepted.get())
    yield made
    for _, writer in made.ends.values():
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    await proxy.close()
    server.close()


OTHER = {Side.CLIENT: Side.SERVER, Side.SERVER: Side.CLIENT}


@pytest.mark.parametrize("side", Side)
async def test_a_half_closed_connection_ends_for_one_end_and_stays_open_for_the_other(line: Line, side: Side) -> None:
    assert line.proxy.half_close(lambda: side) == 1
    assert await line.hears_the_end(side)
    line.say(side, b"I am still here")
    assert await line.heard(OTHER[side], 15) == b"I am still here"
    # The end that was told leaves, and the other one does not learn of it.
    line.ends[side][1].close()
    await line.ends[side][1].wait_closed()
    line.say(OTHER[side], b"to nobody")
    await line.ends[OTHER[side]][1].drain()
    reading = asyncio.ensure_future(line.ends[OTHER[side]][0].read())
    assert (await asyncio.wait([reading], timeout=0.2))[1], "the other end was told"
    line.proxy.cut_half_closed()
    async with asyncio.timeout(20):
        assert await reading == b""


async def test_what_is_half_closed_is_so_once(line: Line) -> None:
    assert line.proxy.half_close(lambda: Side.CLIENT) == 1
    assert line.proxy.half_close(lambda: Side.SERVER) == 0


async def test_a_whole_connection_is_not_cut_with_those_that_are_half_closed(line: Line) -> None:
    line.proxy.cut_half_closed()
    line.say(Side.CLIENT, b"hello")
    assert await line.heard(Side.SERVER, 5) == b"hello"


async def test_a_slow_network_carries_everything_in_order_and_late(line: Line) -> None:
    pieces: list[float] = []

    def delay() -> float:
        pieces.append(0.05)
        return pieces[-1]

    line.proxy.slow(Slowness(delay, bandwidth=1e6))
    began = asyncio.get_running_loop().time()
    line.say(Side.CLIENT, b"a" * 100_000)
    line.say(Side.CLIENT, b"b")
    assert await line.heard(Side.SERVER, 100_001) == b"a" * 100_000 + b"b"
    # Nothing is ever earlier than the network allows.
    assert asyncio.get_running_loop().time() - began >= sum(pieces) + 0.1 - 0.01
    line.proxy.flow()
    line.say(Side.SERVER, b"back")
    assert await line.heard(Side.CLIENT, 4) == b"back"
    assert len(pieces) >= 2


async def test_a_connection_that_one_end_closes_is_closed_for_both(line: Line) -> None:
    line.ends[Side.SERVER][1].close()

    async def gone() -> bool:
        with contextlib.suppress(OSError):
            return await line.ends[Side.CLIENT][0].read(1) == b""
        return True

    await until(gone, 20, "the client's end")
