"""Requests that are held open until they are answered: their interface, and the two forms of response.

A protocol provides a Held, whose `run` returns the answer in the protocol's own form, and renders that answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Protocol, Self, TypeVar

from aiohttp import web

from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.keys import SETTINGS, STREAMS
from asya_gateway.protocols.http.sse import EventStream

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")
Message = TypeVar("Message")


class ClientConnection(Protocol):
    """The connection to the client while its request is open."""

    async def notify(self, text: JsonText) -> None:
        """Send a notification that belongs to the request. Raises ConnectionError once the client is gone."""

    async def quiet(self) -> None:
        """Called when nothing has happened for a moment. Keeps the connection alive if it has been silent for too
        long."""


class HeldRequest(Protocol[Result_co]):
    """A request that will be answered later."""

    survives_drain: bool
    """Whether it continues during a drain, because it carries the only answer to a call."""

    needs_stream: bool
    """Whether it consists of notifications only, so that a single JSON document cannot answer it."""

    async def run(self, channel: ClientConnection) -> Result_co:
        """Send notifications, and return the result at the end. Raises the protocol's and the domain's errors."""

    def abandon(self) -> None:
        """Called if the client leaves before the result."""


class Silent:
    """The channel of a client that accepts one JSON document only."""

    async def notify(self, text: JsonText) -> None:
        """Drop the notification."""

    async def quiet(self) -> None:
        """Do nothing: there is no way to keep this connection alive."""


class Streamed:
    """An event stream, with a comment after every `interval` seconds of silence."""

    def __init__(self, stream: EventStream, interval: float) -> None:
        self._stream = stream
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    async def notify(self, text: JsonText) -> None:
        """Send one message."""
        await self._stream.send(text, event="message")
        self._last = self._loop.time()

    async def quiet(self) -> None:
        """Send a comment if it is due."""
        if self._loop.time() - self._last >= self._interval:
            await self._stream.keep_alive()
            self._last = self._loop.time()


Settle = Callable[[Awaitable[Result]], Awaitable[Message]]
"""Awaits a held request's result and turns it into the protocol's message. Errors also become messages."""


async def hold(held: HeldRequest[Result], settle: Settle[Result, Message]) -> Message:
    """The answer of a request without notifications."""
    settled = False
    try:
        message = await settle(held.run(Silent()))
        settled = True
        return message
    finally:
        if not settled:
            held.abandon()


class Opening:
    """An event stream that is opened when there is something to send, or when nothing has happened for a moment. A
    request that is answered before that needs no stream: one document costs half as much."""

    def __init__(self, open_stream: Callable[[], AbstractAsyncContextManager[EventStream]], interval: float) -> None:
        self._open = open_stream
        self._interval = interval
        self._opened_by: AbstractAsyncContextManager[EventStream] | None = None
        self._streamed: Streamed | None = None
        self.stream: EventStream | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: Any) -> bool:
        return self._opened_by is not None and bool(await self._opened_by.__aexit__(*raised))

    @property
    def response(self) -> web.StreamResponse:
        """That of the stream, which was opened."""
        assert self.stream is not None
        return self.stream.response

    async def notify(self, text: JsonText) -> None:
        """Send one message."""
        await (await self._opened()).notify(text)

    async def quiet(self) -> None:
        """Open the stream, or send a comment if it is due."""
        await (await self._opened()).quiet()

    async def _opened(self) -> Streamed:
        if self._streamed is None:
            opening = self._open()
            self.stream = await opening.__aenter__()
            self._opened_by = opening
            self._streamed = Streamed(self.stream, self._interval)
        return self._streamed


async def stream(
    http: web.Request,
    held: HeldRequest[Result],
    settle: Settle[Result, Message],
    text: Callable[[Message], JsonText],
    document: Callable[[Message], web.StreamResponse],
) -> web.StreamResponse:
    """The request's notifications and its answer as `text` renders it, as an event stream; or its answer alone as
    `document` renders it, if it came before anything else.

    Raises ConnectionError if the client left before the stream was open. The request is then abandoned.
    """
    settled = False
    interval = http.app[SETTINGS].keepalive_interval
    open_stream = partial(http.app[STREAMS].open, http, survives_drain=held.survives_drain)
    opening = Opening(open_stream, interval)
    try:
        async with opening:
            message = await settle(held.run(opening))
            if opening.stream is None:
                settled = True
                return document(message)
            await opening.stream.send(text(message), event="message")
            settled = True
    finally:
        if not settled:
            held.abandon()
    return opening.response
