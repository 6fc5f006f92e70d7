"""Each route answers with and without its last slash, and the front page says what this is."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from prometheus_client import CollectorRegistry

from asya_actor.telemetry.probes import probes
from asya_gateway.composition.program import Gateway
from asya_gateway.exposition.server import metrics_server
from asya_gateway.protocols.http.keys import READINESS
from asya_gateway.protocols.http.slashes import without_last_slash
from asya_operator.domain.health import Health
from asya_operator.metrics import OperatorMetrics
from asya_operator.probes import serve_probes
from tests.support.gateway import make_settings

ROOT = Path(__file__).parents[3]


def application(mode: str = "testing") -> web.Application:
    return Gateway(make_settings(gateway_mode=mode, database_url="postgresql://127.0.0.1:1/nowhere")).web()


@pytest.mark.parametrize("mode", ["api", "mesh", "testing"])
async def test_every_route_is_found_with_a_last_slash_too(mode: str) -> None:
    app = application(mode)
    for route in app.router.routes():
        if route.resource is None or route.method == "*" or route.resource.canonical == "/":
            continue
        path = re.sub(r"\{[^}]*\}", "x", route.resource.canonical.replace("{colon}", ":"))
        request = make_mocked_request(route.method, path + "/?a=b", app=app)
        unmatched = await app.router.resolve(request)
        unmatched.add_app(app)
        request._match_info = unmatched
        if unmatched.http_exception is None:
            # Served with its slash already, for clients of older gateways.
            assert unmatched.handler is route.handler
            continue
        handler = await without_last_slash(request, unmatched.handler)
        assert handler is route.handler, path
        assert request.match_info.route is route


async def test_an_unknown_route_stays_unknown_and_a_wrong_method_is_reported() -> None:
    expected = {
        ("GET", "/nothing/"): 404, ("GET", "/health//"): 404, ("GET", "/mcp//"): 404,
        ("DELETE", "/health/"): 405, ("GET", "/health/"): 200,
    }  # fmt: skip
    app = application()
    async with TestClient(TestServer(app)) as client:
        app[READINESS].started = True
        statuses = {(method, path): (await client.request(method, path)).status for method, path in expected}
    assert statuses == expected


async def test_an_identifier_is_read_from_a_path_with_a_last_slash() -> None:
    app = application()
    async with TestClient(TestServer(app)) as client:
        app[READINESS].started = True
        for path in ("/tasks/%00/", "/stream/%00/", "/mesh/%00/active/", "/api/v1/mesh/%00/"):
            answer = await client.get(path)
            assert (answer.status, (await answer.text()).partition(":")[0]) == (400, "id"), path


@asynccontextmanager
async def gateway_in(mode: str) -> AsyncIterator[int]:
    app = application(mode)
    async with TestServer(app) as server:
        app[READINESS].started = True
        assert server.port
        yield server.port


@asynccontextmanager
async def operators_probes() -> AsyncIterator[int]:
    runner, port = await serve_probes(Health(), OperatorMetrics(), "127.0.0.1", 0)
    try:
        yield port
    finally:
        await runner.cleanup()


SERVERS: dict[str, tuple[Callable[[], AbstractAsyncContextManager[int | None]], set[str]]] = {
    "api": (lambda: gateway_in("api"), {"/mcp", "/openapi.json", "/health/flows"}),
    "testing": (lambda: gateway_in("testing"), {"/mcp", "/openapi.json", "/health/flows"}),
    "mesh": (lambda: gateway_in("mesh"), {"/openapi.json", "/health/flows"}),
    "metrics of a gateway": (lambda: metrics_server(CollectorRegistry(), "127.0.0.1", 0), {"/metrics"}),
    "worker": (lambda: probes("127.0.0.1", 0, lambda: True), {"/health", "/health/ready", "/metrics"}),
    "operator": (operators_probes, {"/healthz", "/readyz", "/metrics"}),
}


@pytest.mark.parametrize("name", SERVERS)
async def test_a_browser_is_told_in_three_lines_what_this_is(name: str) -> None:
    serving, routes = SERVERS[name]
    html = {"Accept": "text/html,*/*;q=0.8"}
    async with serving() as port, aiohttp.request("GET", f"http://127.0.0.1:{port}/", headers=html) as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
        what, which, where = (await answer.text()).splitlines()
    assert "asya" in what
    assert set(re.findall(r"(?<![\w.])/[a-z./]+[a-z]", which)) == routes
    pages = re.findall(r"docs(?:/[\w.]+)+", where)
    assert pages
    assert all((ROOT / page.rstrip(".")).exists() for page in pages)


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/ready"])
async def test_a_workers_routes_answer_with_their_last_slash_too(path: str) -> None:
    async with probes("127.0.0.1", 0, lambda: True) as port:
        assert await statuses(port or 0, path) == [200, 200]


async def test_the_metrics_of_a_gateway_answer_with_their_last_slash_too() -> None:
    async with metrics_server(CollectorRegistry(), "127.0.0.1", 0) as port:
        assert await statuses(port, "/metrics") == [200, 200]


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_the_operators_routes_answer_with_their_last_slash_too(path: str) -> None:
    async with operators_probes() as port:
        with_and_without = await statuses(port, path)
    assert with_and_without[0] == with_and_without[1] != 404


async def statuses(port: int, path: str) -> list[int]:
    """Of the path without and with its last slash."""
    async with aiohttp.ClientSession() as session:
        found = []
        for end in ("", "/"):
            async with session.get(f"http://127.0.0.1:{port}{path}{end}") as response:
                found.append(response.status)
        return found
