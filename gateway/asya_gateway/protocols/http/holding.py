"""Requests that are answered over time: the promise they keep, and the two ways in which their client hears.

A protocol gives a Held, whose `run` returns the answer in whatever form the protocol has, and renders that answer.
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
    """The way to the client while its request is open."""

    async def notify(self, text: JsonText) -> None:
        """Send a notification that belongs to the request. Raises ConnectionError once the client is gone."""

    async def quiet(self) -> None:
        """Nothing happened for a moment: keep the connection alive where it has been silent for too long."""


class Held(Protocol[Result_co]):
    """A request that is answered later."""

    survives_drain: bool
    """Whether a drain lets it go on: it carries the only answer to a call."""

    needs_stream: bool
    """Whether its notifications are all there is to it, so that one JSON document is no answer."""

    async def run(self, channel: Channel) -> Result_co:
        """Notify of what happens, and return the result in the end. Raises the protocol's and the domain's errors."""

    def abandon(self) -> None:
        """The client is gone before the result was there."""


class Silent:
    """A client that takes one JSON document hears nothing before it."""

    async def notify(self, text: JsonText) -> None:
        """Dropped."""

    async def quiet(self) -> None:
        """Nothing to keep alive with."""


class Streamed:
    """An event stream; a comment every `interval` seconds of silence."""

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
        """Send a comment if it is time."""
        if self._loop.time() - self._last >= self._interval:
            await self._stream.keep_alive()
            self._last = self._loop.time()


Settle = Callable[[Awaitable[Result]], Awaitable[Message]]
"""Awaits a held request's result and makes it the protocol's message; an error becomes a message, too."""


async def hold(held: Held[Result], settle: Settle[Result, Message]) -> Message:
    """The answer of a request whose client hears nothing before it."""
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

    Raises ConnectionError where the client was gone before the stream was open; the request is abandoned then.
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
