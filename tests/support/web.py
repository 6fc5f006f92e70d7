"""A server for the gateway's requests to other systems: it says what it is told to say, and counts who asks."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer of HTTP/1.1, after which the connection ends."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


@dataclass
class Web:
    """One port of 127.0.0.1. `answer` is what is sent; `talk`, if it is set, speaks instead."""

    answer: bytes = field(default_factory=lambda: http(b"{}"))
    talk: Talk | None = None
    scheme: str = "http"
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def url_of(self, host: str) -> str:
        return f"{self.scheme}://{host}:{self.port}"


@asynccontextmanager
async def web(answer: bytes = b"", talk: Talk | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    """A running server."""
    state = Web(scheme="http" if tls is None else "https", talk=talk)
    if answer:
        state.answer = answer
    speaking: set[asyncio.Task[None]] = set()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        speaking.add(task)
        try:
            await _speak(state, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            speaking.discard(task)
            writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)


async def _speak(state: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    state.connections += 1
    head = await reader.readuntil(b"\r\n\r\n")
    state.requests.append(head)
    if state.talk is not None:
        await state.talk(reader, writer)
        return
    writer.write(state.answer)
    await writer.drain()
