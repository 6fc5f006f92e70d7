"""kill -9 of the replica that holds a session of MCP, its standalone stream, a call's stream and an open question: the
official client goes on at another one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import Client, types

from servers.postgres import PostgresServer
from servers.proxy import TcpProxy
from tests.faults.replicas import replicas_of
from tests.faults.world import FLOWS, World, over_postgres
from tests.support.mcp_sessions import connect
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


class AskingWorld(World):
    """With a flow that asks its caller's person."""

    flows = FLOWS + "  - {name: ask, entrypoint: asking, routeNext: [second], timeout: 10m, mcp: {}}\n"
    workers = ("first", "second", "asking")


@pytest.fixture
async def world(tmp_path: Path, own_postgres: PostgresServer) -> AsyncIterator[AskingWorld]:
    async with over_postgres(AskingWorld, tmp_path, own_postgres) as made:
        yield made


class Person:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.progress = asyncio.Event()
        self.questions = 0

    async def told(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.set()

    async def elicit(self, context: Any, params: Any) -> types.ElicitResult:
        self.questions += 1
        self.asked.set()
        await self.may_answer.wait()
        return types.ElicitResult(action="accept", content={"name": "Ada"})


async def test_a_client_goes_on_at_another_replica_with_its_session_its_calls_and_its_question(
    world: AskingWorld,
) -> None:
    api, api2 = replicas_of(world)
    listener = await connect(api, api2)
    task_id = await world.call("api2", first_waits_for=str(world.gate))
    about = {"uri": f"asya://tasks/{task_id}"}
    await listener.ask("resources/subscribe", about, at=api)
    proxy, url = await TcpProxy.before(world.processes["api"].url)
    person = Person()
    try:
        async with (
            Client(f"{url}/mcp", mode="legacy", elicitation_callback=person.elicit) as client,
            listener.listen(api) as stream,
        ):
            # Once when the standalone stream begins to watch.
            assert (await stream.message())["params"] == about
            asking = asyncio.create_task(client.call_tool("ask", {"n": 100}))
            arguments = {"n": 101, "first_waits_for": str(world.gate)}
            waiting = asyncio.create_task(client.call_tool("work", arguments, progress_callback=person.told))
            async with asyncio.timeout(60):
                # Both calls have streams then, by which they go on.
                await person.asked.wait()
                await person.progress.wait()
            await until(lambda: "first 101 begun" in world.runs.read_text(), 60, "the hop that waits")
            proxy.lead_to(world.processes["api2"].url)
            world.processes["api"].kill()
            with pytest.raises(aiohttp.ClientError):
                await stream.message()
            async with listener.listen(api2, last=stream.last_id) as again:
                assert (await again.message())["params"] == about
                world.gate.touch()
                # It hears of the hops, and of the end.
                while (await world.query_value("SELECT status FROM tasks WHERE id = $1", task_id)) != "succeeded":
                    assert (await again.message())["params"] == about
            person.may_answer.set()
            async with asyncio.timeout(60):
                answered, worked = await asking, await waiting
            assert (await client.list_tools()).tools
    finally:
        await proxy.close()
    assert answered.structured_content is not None
    assert answered.structured_content["who"]["content"] == {"name": "Ada"}
    assert worked.structured_content is not None
    assert worked.structured_content["done"] is True
    # Nothing twice: one question, and each hop once.
    assert person.questions == 1
    runs = world.runs.read_text().splitlines()
    for hop in ("asking 100 begun", "second 100 begun", "first 101 begun", "second 101 begun"):
        assert sum(line.startswith(hop) for line in runs) == 1, hop
