"""MCP clients while pods of the version before, which have no sessions, serve beside new ones."""

import pytest
from mcp import Client

from servers.ports import free_port
from tests.protocol.mcp.fixture.round_robin import RoundRobin
from tests.rollout.mixed import MixedWorld
from tests.support.mcp import message

pytestmark = pytest.mark.timeout(600)


async def tools_at(world: MixedWorld, name: str, path: str) -> list[str]:
    headers = {"Accept": "application/json", "MCP-Protocol-Version": "2025-06-18"}
    url = world.processes[name].url + path
    async with world.session.post(url, json=message("tools/list"), headers=headers) as response:
        assert response.status == 200, await response.text()
        return [tool["name"] for tool in (await response.json())["result"]["tools"]]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_is_served_whichever_pod_gets_its_messages(world: MixedWorld, mode: str) -> None:
    """A session that a new pod opened is unknown to an old one, which serves its messages as it serves all; one that
    an old pod did not open is none to a new one. Tool sets, which it does not know, are nothing to it."""
    world.of_previous.add("before")
    world.flows += "sets: {mine: [work]}\n"
    world.migrate_by_previous()
    world.migrate()
    for name, kind in (("mesh", "mesh"), ("before", "api"), ("api", "api")):
        world.gateway(name, kind)
    world.worker("first")
    world.worker("second")
    world.crew()
    for name in ("mesh", "before", "api"):
        await world.ready(name)
    # Whichever of them has read the file first, the new one has the set, and the old one every tool.
    assert await tools_at(world, "api", "/mcp/mine") == ["work"]
    assert await tools_at(world, "api", "/mcp") == await tools_at(world, "before", "/mcp") == ["ask", "work"]
    front, port = RoundRobin([world.processes[name].url for name in ("api", "before")]), free_port()
    await front.start(port)
    try:
        # Two clients, so that each kind of pod has the first message of one.
        for number in range(2):
            async with Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as client:
                assert "work" in {tool.name for tool in (await client.list_tools()).tools}
                for call in range(4):
                    result = await client.call_tool("work", {"n": f"{number}-{call}"})
                    assert not result.is_error
    finally:
        await front.stop()
    rows = await world.query("SELECT status, count(*) AS n FROM tasks GROUP BY status")
    assert [(row["status"], row["n"]) for row in rows] == [("succeeded", 8)]
