"""The stream of a call in a session: its events have ids, by which it goes on after its connection broke."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import cached_property
from http import HTTPStatus
from typing import Any, Self

from aiohttp import web

from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.answers import NO_STORE
from asya_gateway.protocols.http.holding import HeldRequest, Message, Result, Settle
from asya_gateway.protocols.http.keys import READINESS, SETTINGS, STREAMS
from asya_gateway.protocols.http.sse import EventStream, event_bytes
from asya_gateway.protocols.mcp.sessions.call import SessionCall
from asya_gateway.protocols.mcp.versions import Revision

RETRY_MS = 1000
"""After how many milliseconds a client comes back whose stream was closed."""
OVER = b": the call was canceled, or its stream goes on elsewhere\n\n"
OPEN_AFTER = 0.1
"""Seconds after which a call has a stream. One that is answered before needs none, and no row in the database."""


def priming(event_id: str) -> bytes:
    """An event with an id and empty data, from which on a client can come back (2025-11-25, transports: "The server
    SHOULD immediately send an SSE event consisting of an event ID and an empty data field"). Older clients take it for
    a message that they cannot read."""
    return f"id: {event_id}\nretry: {RETRY_MS}\ndata: \n\n".encode()


class _Over(ConnectionError):
    """The call was canceled before its stream was open."""


class SessionStream:
    """The stream of a call, opened when there is something to send, or after a moment. Implements Channel. `begin`
    stores the open call; it returns False if the call was canceled."""

    def __init__(
        self, http: web.Request, call: SessionCall, revision: Revision, begin: Callable[[], Awaitable[bool]]
    ) -> None:
        self._http = http
        self._call = call
        self._revision = revision
        self._begin = begin
        self._interval = http.app[SETTINGS].keepalive_interval
        self._loop = asyncio.get_running_loop()
        self._handler = asyncio.current_task()
        self._exits: AsyncExitStack | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timed: asyncio.Task[None] | None = None
        self._last = self._loop.time()
        self.opened: EventStream | None = None
        self.left = False
        """Whether the call was over before its stream was open."""

    async def __aenter__(self) -> Self:
        if self._call.over:
            raise _Over
        self._call.leaving, self._call.streaming = self._leave, True
        self._timer = self._loop.call_later(OPEN_AFTER, self._open_in_time)
        return self

    async def __aexit__(self, *raised: Any) -> bool:
        assert self._timer is not None
        self._timer.cancel()
        if self._timed is not None:
            self._timed.cancel()
            await asyncio.wait([self._timed])
        return self._exits is not None and bool(await self._exits.__aexit__(*raised))

    @cached_property
    def _opening(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def notify(self, text: JsonText) -> None:
        """Send one message."""
        stream = await self._open()
        event_id = self._call.event_id if self._revision.resumable else None
        await self._write(stream, event_bytes(text, event="message", id=event_id))

    async def quiet(self) -> None:
        """Send a comment if it is due."""
        stream = await self._open()
        if self._loop.time() - self._last >= self._interval:
            await stream.keep_alive()
            self._last = self._loop.time()

    async def is_open(self) -> bool:
        """Whether it is open, now that there is an answer. One that is just being opened is waited for."""
        if self._timer is not None:
            self._timer.cancel()
        if self._timed is not None:
            await asyncio.wait([self._timed])
        return self.opened is not None

    @property
    def unopened(self) -> web.Response:
        """The answer to a request that was over before its stream was open: a GET gets a stream that ends at once
        (2025-11-25, transports, "Listening for Messages from the Server": "The server MUST either return Content-Type:
        text/event-stream in response to this HTTP GET, or else return HTTP 405")."""
        if self._http.method == "GET":
            return web.Response(headers={**NO_STORE, "Content-Type": "text/event-stream"}, body=OVER)
        return web.Response(status=HTTPStatus.ACCEPTED)

    def answered(self) -> None:
        """The answer was sent. Its row is kept for a while, in case that it did not arrive."""
        self._call.end()

    async def _open(self) -> EventStream:
        """The open stream, primed if the revision has that. A drain ends one that can go on elsewhere at once."""
        if self.opened is not None:
            return self.opened
        async with self._opening:
            if self.opened is not None:
                return self.opened
            if not await self._begin():
                if asyncio.current_task() is not self._handler:
                    self._leave(b"")
                self.left = True
                raise _Over
            comes_back = self._call.resumable and self._revision >= Revision.NOVEMBER_2025
            # A stream that is opened while the pod drains would be ended before it could be primed.
            stays = not comes_back or self._http.app[READINESS].draining
            opened = self._http.app[STREAMS].open(self._http, survives_drain=stays)
            self._exits = AsyncExitStack()
            stream = await self._exits.enter_async_context(opened)
            stream.task = self._handler
            first = self._call.first_event_id
            if comes_back and first is not None:
                await self._write(stream, priming(first))
            self.opened = stream
            return stream

    def _open_in_time(self) -> None:
        self._timed = asyncio.create_task(self._opened_in_time(), name="stream of a call")

    async def _opened_in_time(self) -> None:
        # Where the client has left, the handler's own write finds that out.
        with suppress(ConnectionError):
            await self._open()

    async def _write(self, stream: EventStream, chunk: bytes) -> None:
        await stream.write(chunk)
        self._last = self._loop.time()

    def _leave(self, farewell: bytes) -> None:
        """End the stream, or the handler whose stream is not open yet."""
        if self.opened is not None:
            self.opened.end(farewell)
        elif not self.left and self._handler is not None:
            self.left = True
            self._handler.cancel()


async def stream_call(
    stream: SessionStream,
    held: HeldRequest[Result],
    settle: Settle[Result, Message],
    text: Callable[[Message], JsonText],
    document: Callable[[Message], web.StreamResponse],
) -> web.StreamResponse:
    """The notifications of a request in a session and its answer, or the answer alone if it came at once; `unopened` if
    the call was canceled before that, a stream without an answer if it was canceled later or goes on elsewhere.

    Raises ConnectionError if the client left before the stream was open.
    """
    settled = False
    try:
        async with stream:
            message = await settle(held.run(stream))
            settled = True
            if not await stream.is_open():
                return document(message)
            assert stream.opened is not None
            await stream.opened.send(text(message), event="message")
            stream.answered()
    except _Over:
        return stream.unopened
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not stream.left or task is None or task.uncancel() > 0:
            raise
        # It may have been opened after it was left and before its handler heard of that.
        return stream.unopened if stream.opened is None else stream.opened.response
    finally:
        if not settled:
            held.abandon()
    assert stream.opened is not None
    return stream.opened.response
