"""A TCP proxy that can lose answers, cut connections, refuse new ones, or stand still."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Between a client and 127.0.0.1:`target`. Use as a context manager; `port` is where clients connect."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._lose_answer_to: bytes | None = None
        self.lost = 0
        self.refusing = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, original: str) -> str:
        """The same URL, through this proxy."""
        parts = urlsplit(original)
        user = f"{parts.username}{':' + parts.password if parts.password else ''}@" if parts.username else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self.port}"))

    def cut(self) -> None:
        """Close every connection that stands now."""
        for writer in tuple(self._writers):
            with suppress(OSError):
                writer.transport.abort()

    def freeze(self) -> None:
        """Pass nothing on, in either direction, until `thaw`."""
        self._open.clear()

    def thaw(self) -> None:
        """Pass on again."""
        self._open.set()

    def lose_answer_to(self, marker: bytes) -> None:
        """Let the next request that contains these bytes through, and cut before its answer comes back."""
        self._lose_answer_to = marker

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        losing = asyncio.Event()
        self._writers |= {writer, upstream_writer}
        for pump in (
            self._pump(reader, upstream_writer, losing, requests=True),
            self._pump(upstream_reader, writer, losing, requests=False),
        ):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event, *, requests: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                if requests and self._lose_answer_to is not None and self._lose_answer_to in data:
                    self._lose_answer_to = None
                    losing.set()
                if not requests and losing.is_set():
                    self.lost += 1
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            with suppress(OSError):
                writer.transport.abort()
            self._writers.discard(writer)
