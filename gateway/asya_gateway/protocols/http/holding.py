"""Requests that are held open until they are answered: their interface, and the two forms of response.

A protocol provides a Held, whose `run` returns the answer in the protocol's own form, and renders that answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from aiohttp import web

from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.keys import SETTINGS, STREAMS
from asya_gateway.protocols.http.sse import EventStream

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")
Message = TypeVar("Message")


class Channel(Protocol):
    """The connection to the client while its request is open."""

    async def notify(self, text: JsonText) -> None:
        """Send a notification that belongs to the request. Raises ConnectionError once the client is gone."""

    async def quiet(self) -> None:
        """Called when nothing has happened for a moment. Keeps the connection alive if it has been silent for too
        long."""


class Held(Protocol[Result_co]):
    """A request that will be answered later."""

    survives_drain: bool
    """Whether it continues during a drain, because it carries the only answer to a call."""

    needs_stream: bool
    """Whether it consists of notifications only, so that a single JSON document cannot answer it."""

    async def run(self, channel: Channel) -> Result_co:
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


async def hold(held: Held[Result], settle: Settle[Result, Message]) -> Message:
    """The answer of a request without notifications."""
    settled = False
    try:
        message = await settle(held.run(Silent()))
        settled = True
        return message
    finally:
        if not settled:
            held.abandon()


async def stream(
    http: web.Request, held: Held[Result], settle: Settle[Result, Message], text: Callable[[Message], JsonText]
) -> web.StreamResponse:
    """An event stream of the request's notifications that ends with its answer, as `text` renders it.

    Raises ConnectionError if the client left before the stream was open. The request is then abandoned.
    """
    settled = False
    interval = http.app[SETTINGS].keepalive_interval
    try:
        async with http.app[STREAMS].open(http, survives_drain=held.survives_drain) as opened:
            message = await settle(held.run(Streamed(opened, interval)))
            settled = True
            await opened.send(text(message), event="message")
    finally:
        if not settled:
            held.abandon()
    return opened.response
