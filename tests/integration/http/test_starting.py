"""The port is open before the database is there: alive, not ready, and saying so."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from asya_gateway.composition.web import build_app, serve
from asya_gateway.domain.calls import TaskRules
from asya_gateway.domain.tasks import Tasks
from asya_gateway.settings import Mode
from asya_schemas.compiling import compile_schema
from tests.support.gateway import make_flows, make_settings
from tests.support.storage import make_storage


def _application(mode: str, **settings: Any) -> aiohttp.web.Application:
    storage = make_storage("postgresql://127.0.0.1:1/nowhere").storage
    tasks = Tasks(storage.tasks, storage.feed, storage.fly, TaskRules("http://mesh"), compile_schema)
    return build_app(make_settings(gateway_mode=mode, **settings), tasks, make_flows())


async def test_a_starting_gateway_is_alive_and_not_ready() -> None:
    """`/health` 200 `OK`, always. `/health/ready` fails before start has finished."""
    stop, connect = asyncio.Event(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def parts() -> AsyncGenerator[None]:
        await connect.wait()
        yield

    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    served = asyncio.create_task(serve(_application("testing"), parts(), stop, port.set_result))
    url = f"http://127.0.0.1:{await port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(url + "/health") as response:
            assert (response.status, await response.text()) == (200, "OK")
        async with session.get(url + "/health/ready") as response:
            assert (response.status, await response.text()) == (503, "starting")
        async with session.get(url + "/tasks/x") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
        connect.set()
        async with asyncio.timeout(5):
            while True:
                async with session.get(url + "/health/ready") as response:
                    if response.status == 200:
                        break
    stop.set()
    await served


async def test_a_start_that_fails_closes_the_port() -> None:
    @contextlib.asynccontextmanager
    async def parts() -> AsyncGenerator[None]:
        raise ConnectionRefusedError("no database")
        yield

    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    with pytest.raises(ConnectionRefusedError):
        await serve(_application("api"), parts(), asyncio.Event(), port.set_result)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{await port}/health")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::", "[::]"])
async def test_a_gateway_that_listens_to_every_address_answers_both_families(host: str) -> None:
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    app = _application("testing", gateway_host=host)
    served = asyncio.create_task(serve(app, contextlib.nullcontext(), stop, port.set_result))
    async with aiohttp.ClientSession() as session:
        for reached in ("127.0.0.1", "[::1]"):
            async with session.get(f"http://{reached}:{await port}/health") as response:
                assert response.status == 200, reached
    stop.set()
    await served


def _routes(mode: Mode) -> set[tuple[str, str]]:
    routes = _application(mode).router.routes()
    return {(route.method, route.resource.canonical) for route in routes if route.resource is not None}


def test_each_mode_serves_its_own_routes() -> None:
    """docs/architecture.md, "Processes": api is external-facing, mesh internal-only, testing has all routes."""
    api, mesh, both = _routes(Mode.API), _routes(Mode.MESH), _routes(Mode.TESTING)
    assert ("POST", "/tools/call") in api - mesh
    assert ("POST", "/mesh/{id}/progress") in mesh - api
    assert ("POST", "/tasks") in mesh - api
    assert ("GET", "/tasks") in api - mesh
    assert both == api | mesh
