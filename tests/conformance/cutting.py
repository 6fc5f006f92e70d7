"""A proxy on which the stream of a call breaks, as connections do that a load balancer ends."""

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

    `cuts` is how many streams were ended, `resumptions` how many requests wanted to go on after an event, `methods` how
    often each method was sent in the newest revision.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(urls)
        self.cuts = self.resumptions = 0
        self.methods: Counter[str] = Counter()

    @override
    async def _relay(self, request: web.Request, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        self.resumptions += "Last-Event-ID" in request.headers
        self.methods[request.headers.get("Mcp-Method", "")] += 1
        spared = request.method == "GET" and not request.path.endswith("/sse")
        said = b""
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
            said += chunk
            if not spared and not self.cuts and SAYS in said:
                self.cuts += 1
                assert request.transport is not None
                # What was written reaches the client; the end of the body does not.
                request.transport.close()
                raise ConnectionResetError
