"""A TCP proxy that simulates network failures: cut, half-close, refuse, stall, slow, lose an answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit, urlunsplit


class Side(Enum):
    """An end of a connection through the proxy."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Slowness:
    """What a slow network does with each piece of data: it takes `delay()` seconds, and its bytes at `bandwidth` a
    second."""

    delay: Callable[[], float]
    bandwidth: float


@dataclass(eq=False, slots=True)
class _Link:
    """Both ends of one connection. `ended`: the one that was told of the other's end, which did not happen."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    ended: asyncio.StreamWriter | None = None

    def half_close(self, side: Side) -> None:
        self.ended = self.client if side is Side.CLIENT else self.server
        with contextlib.suppress(OSError):
            self.ended.write_eof()

    def abort(self) -> None:
        for end in (self.client, self.server):
            end.transport.abort()


class TcpProxy:
    """Forwards between a client and a server on 127.0.0.1; belongs to the event loop that starts it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._slowness: Slowness | None = None
        self._refusing = False
        self._marker: bytes | None = None
        self._then_refuse = False
        self._unwanted: bytes | None = None
        self.lost = 0
        self.swallowed = asyncio.Event()
        """Set when a request was swallowed."""
        self.port = 0

    @classmethod
    async def before(cls, url: str) -> tuple["TcpProxy", str]:
        """A started proxy in front of the server of this URL or `host:port`, and the same through the proxy."""
        bare = "://" not in url
        parts = urlsplit(f"//{url}" if bare else url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url} names no host and port")
        proxy = cls(parts.hostname, parts.port)
        await proxy.start()
        credentials = parts.netloc.rpartition("@")[0]
        netloc = f"{credentials}@127.0.0.1:{proxy.port}" if credentials else f"127.0.0.1:{proxy.port}"
        return proxy, netloc if bare else urlunsplit(parts._replace(netloc=netloc))

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def lead_to(self, url: str, *, cut: bool = True) -> None:
        """Connect to another server from now on, like a Service whose endpoint has changed. Open connections are `cut`,
        or stay with the old server."""
        parts = urlsplit(url)
        self._target = (str(parts.hostname), int(parts.port or 0))
        if cut:
            self.cut()

    def cut(self) -> None:
        """Abort every connection; new ones are accepted."""
        for link in list(self._links):
            link.abort()

    def half_close(self, side: Callable[[], Side]) -> int:
        """End one direction of every connection: the end that `side` chooses for it is told (FIN) that the other one
        has ended, and gets no more of what that sends. The other one stays connected and is told nothing, even when the
        first has gone, until `cut_half_closed`. Returns how many there were."""
        whole = [link for link in self._links if link.ended is None]
        for link in whole:
            link.half_close(side())
        return len(whole)

    def cut_half_closed(self) -> None:
        """Abort what is left of connections of which one direction was ended."""
        for link in [each for each in self._links if each.ended is not None]:
            link.abort()

    def refuse(self) -> None:
        """Abort every connection, and each new one at once, until `accept`."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Accept connections again."""
        self._refusing = False

    def stall(self) -> None:
        """Keep the connections but forward nothing, until `flow`."""
        self._flowing.clear()

    def slow(self, slowness: Slowness) -> None:
        """Forward slowly, until `flow`."""
        self._slowness = slowness

    def flow(self) -> None:
        """Forward again, at once."""
        self._slowness = None
        self._flowing.set()

    def lose_answer_to(self, marker: bytes, *, then_refuse: bool = False) -> None:
        """Forward the next request with these bytes, and abort its connection when the answer arrives; `then_refuse`
        all connections until `accept`."""
        self._marker, self._then_refuse = marker, then_refuse

    def swallow(self, marker: bytes) -> None:
        """Do not forward the next request with these bytes, nor anything else on its connection, which stays open."""
        self._unwanted = marker
        self.swallowed.clear()

    async def close(self) -> None:
        """Stop listening and abort every connection."""
        if self._server is not None:
            self._server.close()
            self.flow()
            self.cut()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server. Raises OSError if it accepts none."""
        return await asyncio.open_connection(*self._target)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await self.connect()
        except OSError:
            writer.transport.abort()
            return
        serving = asyncio.current_task()
        if serving is not None:
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        link = _Link(writer, server_writer)
        self._links.add(link)
        losing = asyncio.Event()
        ways = {
            server_writer: asyncio.create_task(self._copy_requests(reader, link, losing)),
            writer: asyncio.create_task(self._copy_answers(server_reader, link, losing)),
        }
        try:
            await asyncio.wait(ways.values(), return_when=asyncio.FIRST_COMPLETED)
            if link.ended is not None:
                # The end that was told leaves. The other one does not learn of it.
                await asyncio.wait([ways[link.ended]])
        finally:
            for way in ways.values():
                way.cancel()
            await asyncio.gather(*ways.values(), return_exceptions=True)
            link.abort()
            self._links.discard(link)

    async def _copy_requests(self, reader: asyncio.StreamReader, link: _Link, losing: asyncio.Event) -> None:
        async for data in self._chunks(reader):
            if self._marker is not None and self._marker in data:
                self._marker = None
                losing.set()
            if self._unwanted is not None and self._unwanted in data:
                self._unwanted = None
                self.swallowed.set()
                await asyncio.Event().wait()
            await _pass_on(data, link, link.server)

    async def _copy_answers(self, reader: asyncio.StreamReader, link: _Link, losing: asyncio.Event) -> None:
        async for data in self._chunks(reader):
            if losing.is_set():
                self.lost += 1
                if self._then_refuse:
                    self.refuse()
                return
            await _pass_on(data, link, link.client)

    async def _chunks(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self._slowness is not None:
                    await asyncio.sleep(self._slowness.delay() + len(data) / self._slowness.bandwidth)
                await self._flowing.wait()
                yield data


async def _pass_on(data: bytes, link: _Link, writer: asyncio.StreamWriter) -> None:
    if writer is link.ended:
        return
    with contextlib.suppress(OSError):
        writer.write(data)
        await writer.drain()
