"""A TCP proxy that simulates network failures: cut, refuse, stall, lose an answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit


class TcpProxy:
    """Forwards between a client and a server on 127.0.0.1; belongs to the event loop that starts it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
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
        for writer in list(self._links):
            writer.transport.abort()

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

    def flow(self) -> None:
        """Forward again."""
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
        both = {writer, server_writer}
        self._links |= both
        try:
            losing = asyncio.Event()
            ways = [
                asyncio.create_task(self._copy_requests(reader, server_writer, losing)),
                asyncio.create_task(self._copy_answers(server_reader, writer, losing)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for end in both:
                end.transport.abort()
            self._links -= both

    async def _copy_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        async for data in self._chunks(reader):
            if self._marker is not None and self._marker in data:
                self._marker = None
                losing.set()
            if self._unwanted is not None and self._unwanted in data:
                self._unwanted = None
                self.swallowed.set()
                await asyncio.Event().wait()
            await _pass_on(data, writer)

    async def _copy_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        async for data in self._chunks(reader):
            if losing.is_set():
                self.lost += 1
                if self._then_refuse:
                    self.refuse()
                return
            await _pass_on(data, writer)

    async def _chunks(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                yield data


async def _pass_on(data: bytes, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.write(data)
        await writer.drain()
