"""Where the notifications of one request go, and the promise of what answers a request over time."""

import asyncio
from typing import Protocol

from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.sse import EventStream
from asya_gateway.protocols.mcp.results import Result


class Channel(Protocol):
    """The way to the client while its request is open."""

    async def notify(self, text: JsonText) -> None:
        """Send a notification that belongs to the request. Raises ConnectionError once the client is gone."""

    async def quiet(self) -> None:
        """Nothing happened for a moment: keep the connection alive where it has been silent for too long."""


class Held(Protocol):
    """A request that is answered later."""

    patient: bool
    """Whether a drain lets it go on: it carries the only answer to a call."""

    needs_stream: bool
    """Whether its notifications are all there is to it, so that one JSON document is no answer."""

    async def run(self, channel: Channel) -> Result:
        """Notify of what happens, and return the result in the end. Raises RpcError, GatewayError."""

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
