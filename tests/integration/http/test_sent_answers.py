"""What a connection keeps of an answer that its client has read, while it waits for the next request."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from asya_gateway.domain.budget import Budget, Share
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.answers import KEPT, json_response
from asya_gateway.protocols.http.edge import edge
from asya_gateway.protocols.http.guard import Guard
from asya_gateway.protocols.http.limiter import Limiter
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.http.sources import PROXIES, Proxies
from tests.support.gateway import make_settings
from tests.support.waiting import until

MEGABYTE = 1024 * 1024


class Answers:
    """An application with the gateway's middleware; `last` is the response that it made last."""

    def __init__(self) -> None:
        self.last: web.Response | None = None
        self.url = ""

    def kept(self) -> int:
        assert self.last is not None
        return len(self.last.body) if isinstance(self.last.body, bytes) else 0

    async def answer(self, request: web.Request) -> web.Response:
        await Budget.around().reserve(Share.READERS, int(request.query["counted"]))
        self.last = json_response('"' + "x" * int(request.query["size"]) + '"')
        return self.last


@pytest.fixture
async def answers() -> AsyncIterator[Answers]:
    made = Answers()
    middleware = edge(
        Guard(make_settings()), Readiness(started=True), Budget(64 * MEGABYTE), Admission(), {}, Limiter()
    )
    app = web.Application(middlewares=[middleware])
    app[PROXIES] = Proxies()
    app.router.add_get("/", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


@pytest.mark.parametrize(
    ("size", "counted"),
    [(3 * MEGABYTE, 0), (3 * MEGABYTE, 6 * MEGABYTE), (200_000, 0), (30_000, 0), (KEPT + 1, 0)],
)
async def test_a_body_that_was_sent_does_not_stay_with_its_connection(
    answers: Answers, size: int, counted: int
) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(answers.url, params={"size": size, "counted": counted}) as response:
                assert response.status == 200
                assert len(await response.read()) == size + 2
            await until(lambda: answers.kept() <= KEPT, 5, "the end of the body")


@pytest.mark.parametrize("counted", [0, 6 * MEGABYTE])
async def test_each_request_of_a_connection_gets_its_own_body(answers: Answers, counted: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        for size in (10, 100_000, 10, 5_000, MEGABYTE, 10):
            async with session.get(answers.url, params={"size": size, "counted": counted}) as response:
                assert len(await response.read()) == size + 2
