"""Event streams (HTML standard, "Server-sent events"): limited in number, closed if not read, ended by a drain."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Self

from aiohttp import web

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import GatewayError
from asya_gateway.protocols.http.held_requests import PRESENCE

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # nginx and similar proxies would otherwise buffer events until their buffer is full.
    "X-Accel-Buffering": "no",
}
OPENING = b": connected\n\n"
KEEPALIVE = b": keep-alive\n\n"
FAREWELL = b": the gateway is restarting, connect again\n\n"
EXPIRED = b": the credential has expired, connect again with a new one\n\n"
BROKEN_OFF = b": the gateway cannot go on now, connect again\n\n"

log = logging.getLogger(__name__)


def event_bytes(data: str, *, event: str | None = None, id: str | int | None = None) -> bytes:
    """One event. `data` may contain line breaks; `event` and `id` must not."""
    head = "" if event is None else f"event: {event}\n"
    if id is not None:
        head += f"id: {id}\n"
    if "\n" in data or "\r" in data:
        data = data.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\ndata: ")
    return f"{head}data: {data}\n\n".encode()


class EventStream:
    """One open stream. Raises ConnectionError once the reader is gone."""

    def __init__(self, response: web.StreamResponse, request: web.BaseRequest, *, survives_drain: bool) -> None:
        self.response = response
        self.survives_drain = survives_drain
        self._request = request
        self._loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()
        self.farewell: bytes | None = None
        """The comment with which the stream was ended from outside."""
        self.presence = request.get(PRESENCE)
        if self.presence is not None:
            self.presence.stream = self
        self.writing_since: float | None = None
        """When the current write began. A watchdog checks it, which costs less than a timer for every write."""

    async def send(self, data: str, *, event: str | None = None, id: str | int | None = None) -> None:
        """Write one event."""
        await self.write(event_bytes(data, event=event, id=id))

    async def keep_alive(self) -> None:
        """Write a comment, which readers ignore but proxies count as traffic."""
        await self.write(KEEPALIVE)

    async def write(self, chunk: bytes) -> None:
        """Write the output of event_bytes, or several of them joined."""
        self.writing_since = self._loop.time()
        try:
            await self.response.write(chunk)
        finally:
            self.writing_since = None

    def expired(self, now: float) -> bool:
        """Whether its caller's credential has ended, by the database's clock. A stream that carries the answer to a
        running call goes on."""
        at = None if self.presence is None or self.survives_drain else self.presence.expires_at
        return at is not None and at <= now

    def abort(self) -> None:
        """Close the connection at once; further writes raise ConnectionError."""
        transport = self._request.transport
        if transport is not None:
            transport.abort()

    def end(self, farewell: bytes) -> None:
        """Make the handler leave its stream, whatever it is waiting for; `farewell` is the last comment."""
        if self.task is not None and self.farewell is None:
            self.farewell = farewell
            self.task.cancel()


class Streams:
    """All open streams of this process. `clock` tells the database's time, by which credentials end."""

    def __init__(self, *, write_timeout: float, clock: Clock) -> None:
        self._write_timeout = write_timeout
        self._clock = clock
        self._open: set[EventStream] = set()
        self._draining = False
        self._watchdog: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def __aenter__(self) -> Self:
        """Start the watchdog."""
        self._watchdog = asyncio.create_task(self._watch(), name="stream watchdog")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watchdog is not None
        self._watchdog.cancel()
        await asyncio.wait([self._watchdog])

    @asynccontextmanager
    async def open(
        self,
        request: web.BaseRequest,
        *,
        headers: dict[str, str] | None = None,
        survives_drain: bool = False,
        opening: bytes = OPENING,
    ) -> AsyncGenerator[EventStream]:
        """A prepared stream for this request, which begins with `opening`. The handler returns `stream.response` after
        leaving it.

        Its status is 200 from here on, so do everything that may fail before. A domain error raised inside ends the
        stream with a comment; a reader that left ends it silently. A drain ends a stream at once, and its reader
        connects again and continues. A stream that `survives_drain`, because it carries the only answer to a call, may
        continue until drain_timeout. Raises ConnectionError if the reader left before.
        """
        response = web.StreamResponse(headers={**HEADERS, **(headers or {})})
        stream = EventStream(response, request, survives_drain=survives_drain)
        self._open.add(stream)
        opened = False
        try:
            await response.prepare(request)
            # The headers are sent with the first bytes of the body, and a reader must not wait for its first event to
            # learn that it is connected.
            await stream.write(opening)
            del opening
            if self._draining and not survives_drain:
                stream.end(FAREWELL)
            opened = True
            yield stream
        except asyncio.CancelledError:
            if not opened or stream.farewell is None or stream.task is None or stream.task.uncancel() > 0:
                raise
            with suppress(ConnectionError):
                await stream.write(stream.farewell)
        except GatewayError as error:
            log.warning("%s: stream broken off: %s", request.path, error.message)
            with suppress(ConnectionError):
                await stream.write(BROKEN_OFF)
        except ConnectionError:
            # The reader has left, which is how most streams end. Before the stream is open, the caller must know of it.
            if not opened:
                raise
        finally:
            self._open.discard(stream)

    def drain(self) -> None:
        """End every stream whose reader can connect to another pod."""
        self._draining = True
        for stream in tuple(self._open):
            if not stream.survives_drain:
                stream.end(FAREWELL)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._write_timeout / 4))
            late = asyncio.get_running_loop().time() - self._write_timeout
            for stream in tuple(self._open):
                if stream.writing_since is not None and stream.writing_since < late:
                    stream.abort()
                elif stream.expired(self._clock()):
                    stream.end(EXPIRED)
