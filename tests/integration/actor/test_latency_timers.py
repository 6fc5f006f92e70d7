"""A call on an idle system passes door, queue, worker and back without waiting for any timer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from asya_gateway.composition.program import Gateway
from asya_gateway.composition.web import serve
from asya_gateway.settings import Mode, Settings
from asya_gateway.storage.log import bell
from servers.ports import free_port
from tests.support import frozen_clock as frozen
from tests.support.actors import start_mesh
from tests.support.frozen_clock import frozen_clock
from tests.support.waiting import until

FLOWS = """
flows:
  - {name: one, entrypoint: exclaim, mcp: {}}
  - {name: two, entrypoint: upper, routeNext: [exclaim], mcp: {}}
"""


class Doors(NamedTuple):
    """Where calls come in: at the process that takes the workers' reports, and at another one."""

    together: str
    apart: str
    session: aiohttp.ClientSession


@pytest.fixture(params=["postgres", "rabbitmq"])
async def doors(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> AsyncIterator[Doors]:
    """Warm: every connection is open, and the crew has said that it has no hooks."""
    (tmp_path / "flows.yaml").write_text(FLOWS)
    more: dict[str, Any] = {"config_path": str(tmp_path / "flows.yaml")}
    if request.param == "rabbitmq":
        more |= {"transport": "rabbitmq", "rabbitmq_url": request.getfixturevalue("rabbitmq_vhost_url")}
    async with (
        start_mesh(database_url, life="batched", poll_interval=600, **more) as mesh,
        api(mesh.gateway.settings, free_port()) as (gateway, url),
    ):
        flows = (mesh.gateway.flows, gateway.flows)
        await until(lambda: all(len(each.table.flows) == 2 for each in flows), what="the flows")
        await mesh.run(mesh.worker("upper", "upper"), mesh.worker("exclaim", "exclaim"))
        for door in (mesh.url, url):
            for call in (rest, mcp, mcp_with_progress):
                await asyncio.gather(*(call(mesh.session, door, "two") for _ in range(4)))
        yield Doors(mesh.url, url, mesh.session)


@contextlib.asynccontextmanager
async def api(settings: Settings, port: int) -> AsyncIterator[tuple[Gateway, str]]:
    """A process of its own for calls, as far as anything but memory tells."""
    gateway = Gateway(settings.model_copy(update={"gateway_mode": Mode.API, "gateway_port": port}))
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    served = asyncio.create_task(serve(gateway.web(), gateway.running(), stop, listening.set_result))
    async with asyncio.timeout(20):
        await listening
    try:
        yield gateway, f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await served


async def rest(session: aiohttp.ClientSession, door: str, flow: str) -> str:
    body = {"name": flow, "arguments": {"text": "hi"}}
    async with session.post(f"{door}/tools/call", json=body, headers={"Prefer": "wait=60"}) as response:
        assert response.status == 200
        return await response.text()


async def mcp(session: aiohttp.ClientSession, door: str, flow: str, **meta: Any) -> str:
    params = {"name": flow, "arguments": {"text": "hi"}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"MCP-Protocol-Version": "2025-06-18", "Accept": "application/json, text/event-stream"}
    async with session.post(f"{door}/mcp", json=body, headers=headers) as response:
        assert response.status == 200
        return await response.text()


async def mcp_with_progress(session: aiohttp.ClientSession, door: str, flow: str) -> str:
    return await mcp(session, door, flow, progressToken="p")


@pytest.mark.parametrize("place", ["together", "apart"])
async def test_a_call_waits_for_no_timer(doors: Doors, place: str) -> None:
    """Neither for one of its own, nor for one that calls before it have left behind."""
    door = getattr(doors, place)
    with frozen_clock() as clock:
        for call in (rest, mcp, mcp_with_progress):
            for flow, said in (("one", "hi!"), ("two", "HI!"), ("one", "hi!")):
                assert said in await call(doors.session, door, flow)
        for said in await asyncio.gather(*(rest(doors.session, door, "two") for _ in range(4))):
            assert "HI!" in said
    assert not clock.moved, clock.timers


async def test_the_clock_stops_a_call_that_waits_for_the_bells_pause(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would show if a quiet bell did not ring at once."""
    monkeypatch.setattr(frozen, "LONGEST", 0.5)
    monkeypatch.setattr(bell, "BUSY", 0)
    with frozen_clock() as clock:
        for _ in range(2):
            assert "hi!" in await rest(doors.session, doors.apart, "one")
    assert clock.moved
