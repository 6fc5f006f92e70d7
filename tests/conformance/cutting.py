"""A proxy on which the stream of a call breaks, as connections do that a load balancer ends."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import aiohttp
from aiohttp import web
from typing_extensions import override

from tests.protocol.mcp.fixture.round_robin import RoundRobin

SAYS = b"notifications/progress"


class Cutting(RoundRobin):
    """Ends one stream, the first that has reported progress: of a call over HTTP, or of a client of HTTP+SSE. Streams
    of GET over HTTP are left alone, because clients resume there.

    `begun` is how many streams have begun, but for those that are left alone, `cuts` how many exchanges were ended,
    `resumptions` how many requests wanted to go on after an event, `methods` how often each method was sent in the
    newest revision.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(urls)
        self.cuts = self.resumptions = self.begun = 0
        self.methods: Counter[str] = Counter()
        # By identity: requests are mappings, which are equal while they are empty.
        self._open: dict[int, web.Request] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def cut(self) -> None:
        """End whatever is open now, whether or not its answer has begun. May be called from any thread."""
        assert self._loop is not None, "nothing has passed yet"
        self._loop.call_soon_threadsafe(self._end_open)

    def _end_open(self) -> None:
        for request in self._open.values():
            if not _spared(request) and request.transport is not None:
                self.cuts += 1
                request.transport.close()

    @override
    async def _answer(
        self, request: web.Request, headers: list[tuple[str, str]], body: bytes | None
    ) -> web.StreamResponse:
        self._loop = asyncio.get_running_loop()
        self._open[id(request)] = request
        try:
            return await super()._answer(request, headers, body)
        finally:
            del self._open[id(request)]

    @override
    async def _relay(self, request: web.Request, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        self.resumptions += "Last-Event-ID" in request.headers
        self.methods[request.headers.get("Mcp-Method", "")] += 1
        spared = _spared(request)
        said = b""
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
            if not said and not spared and answer.content_type == "text/event-stream":
                self.begun += 1
            said += chunk
            if not spared and not self.cuts and SAYS in said:
                self.cuts += 1
                assert request.transport is not None
                # What was written reaches the client; the end of the body does not.
                request.transport.close()
                raise ConnectionResetError


def _spared(request: web.Request) -> bool:
    return request.method == "GET" and not request.path.endswith("/sse")
