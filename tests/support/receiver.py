"""A receiver of push notifications: it records what arrives, and answers as it is told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from tests.support.waiting import until

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: Any

    @property
    def seq(self) -> str:
        """What follows the task in the event's id."""
        return self.headers["X-Asya-Event-Id"].partition("/")[2]


@dataclass
class Receiver:
    """`answers` are statuses or replies for the next requests, `then` for all later ones. `most`: the most requests
    that were open at once."""

    url: str = ""
    answers: list[int | Reply] = field(default_factory=list)
    then: int | Reply = 204
    received: list[Received] = field(default_factory=list)
    open: int = 0
    most: int = 0
    arrived: Callable[[Received], None] = lambda _: None

    def of(self, path: str) -> list[str]:
        """The entries that arrived at a path."""
        return [each.seq for each in self.received if each.path == path]

    async def got(self, number: int) -> list[Received]:
        """Wait until so many have arrived."""
        await until(lambda: len(self.received) >= number, what=f"{number} notifications")
        return self.received

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = jsontext.loads(await request.text() or "null")
        received = Received(request.path, dict(request.headers), body)
        self.received.append(received)
        self.arrived(received)
        answer = self.answers.pop(0) if self.answers else self.then
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            return web.Response(status=answer) if isinstance(answer, int) else await answer(request)
        finally:
            self.open -= 1


@asynccontextmanager
async def receiving(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Receiver]:
    """A running receiver. At the end its open requests are cut."""
    receiver = Receiver()
    app = web.Application(client_max_size=2**28)
    app.router.add_post("/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    assert runner.addresses
    receiver.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def hangs(_request: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")
