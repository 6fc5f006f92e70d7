"""Each route answers with and without its last slash, and the front page says what this is."""

import asyncio
import re
import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from prometheus_client import CollectorRegistry

from asya_actor.telemetry.probes import probes
from asya_crds.listening import dual_stack_socket
from asya_gateway.composition.program import Gateway
from asya_gateway.exposition.server import metrics_server
from asya_gateway.protocols.http.keys import READINESS
from asya_gateway.protocols.http.slashes import without_last_slash
from asya_operator.domain.health import Health
from asya_operator.metrics import OperatorMetrics
from asya_operator.probes import serve_probes
from tests.support.gateway import make_settings


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
    async with TestClient(TestServer(application())) as client:
        statuses = {
            path: (await client.request(method, path)).status
            for method, path in (
                ("GET", "/nothing/"), ("GET", "//"), ("GET", "/tasks//"), ("DELETE", "/health/"), ("GET", "/health/"),
            )
        }  # fmt: skip
    assert statuses == {"/nothing/": 503, "//": 503, "/tasks//": 503, "/health/": 200}


async def test_an_identifier_is_read_from_a_path_with_a_last_slash() -> None:
    app = application()
    async with TestClient(TestServer(app)) as client:
        app[READINESS].started = True
        for path in ("/tasks/%00/", "/stream/%00/", "/mesh/%00/active/", "/api/v1/mesh/%00/"):
            answer = await client.get(path)
            assert (answer.status, (await answer.text()).partition(":")[0]) == (400, "id"), path


async def test_a_browser_is_told_in_three_lines_what_this_is() -> None:
    app = application("api")
    async with TestClient(TestServer(app)) as client:
        app[READINESS].started = True
        answer = await client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
        assert (answer.status, answer.content_type) == (200, "text/plain")
        text = await answer.text()
    assert len(text.splitlines()) == 3
    assert "/mcp" in text
    assert "docs" in text


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_listening_to_every_address_takes_both_families() -> None:
    taken = dual_stack_socket("::", 0)
    assert taken is not None
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), sock=taken)
    try:
        for host in ("127.0.0.1", "::1"):
            _, writer = await asyncio.open_connection(host, taken.getsockname()[1])
            writer.close()
            await writer.wait_closed()
    finally:
        server.close()
        await server.wait_closed()
    assert dual_stack_socket("127.0.0.1", 0) is None


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/ready"])
async def test_a_workers_routes_answer_with_their_last_slash_too(path: str) -> None:
    async with probes("127.0.0.1", 0, lambda: True) as port:
        assert await statuses(port or 0, path) == [200, 200]


async def test_the_metrics_of_a_gateway_answer_with_their_last_slash_too() -> None:
    async with metrics_server(CollectorRegistry(), "127.0.0.1", 0) as port:
        assert await statuses(port, "/metrics") == [200, 200]


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_the_operators_routes_answer_with_their_last_slash_too(path: str) -> None:
    runner, port = await serve_probes(Health(), OperatorMetrics(), "127.0.0.1", 0)
    try:
        with_and_without = await statuses(port, path)
    finally:
        await runner.cleanup()
    assert with_and_without[0] == with_and_without[1] != 404


async def statuses(port: int, path: str) -> list[int]:
    """Of the path without and with its last slash."""
    async with aiohttp.ClientSession() as session:
        found = []
        for end in ("", "/"):
            async with session.get(f"http://127.0.0.1:{port}{path}{end}") as response:
                found.append(response.status)
        return found
