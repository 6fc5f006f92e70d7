"""kill -9 of the replica that holds what a session waits for: a result of a task, a question before its flow starts, an
answer as one document; and the stream of a client of HTTP+SSE. What can go on goes on at another replica; what cannot
is asked for again there, and is done once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from servers.postgres import PostgresServer
from tests.faults.replicas import replicas_of
from tests.faults.world import CONFIRM, FLOWS, World, over_postgres
from tests.support.mcp import message
from tests.support.mcp_sessions import Stream, connect, open_sse
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


class AskingWorld(World):
    """With a flow that asks before it starts."""

    flows = FLOWS + CONFIRM


@pytest.fixture
async def world(tmp_path: Path, own_postgres: PostgresServer) -> AsyncIterator[AskingWorld]:
    async with over_postgres(AskingWorld, tmp_path, own_postgres) as made:
        yield made


async def answer_to(stream: Stream, id: str) -> Any:
    """The result of the request with this id."""
    while (found := await stream.message()).get("id") != id:
        pass
    return found["result"]


async def test_what_is_waited_for_at_a_dead_replica_comes_from_another_and_nothing_happens_twice(
    world: AskingWorld,
) -> None:
    api, api2 = replicas_of(world)
    client = await connect(api, api2)

    def work(n: int, **more: Any) -> dict[str, Any]:
        return {"name": "work", "arguments": {"n": n, "first_waits_for": str(world.gate)}, **more}

    def keyed(n: int) -> dict[str, Any]:
        return work(n, _meta={"sh.asya/idempotencyKey": f"call-{n}"})

    made = await client.ask("tools/call", work(100, task={"ttl": 600_000}), api)
    waits = message("tasks/result", {"taskId": made["task"]["taskId"]}, "result")
    confirms = message("tools/call", {"name": "confirm", "arguments": {"n": 101}}, "confirm")
    as_json = {"Accept": "application/json"}
    async with (
        client.post(waits, api) as waiting,
        client.post(confirms, api) as asking,
        open_sse([api, api2]) as sse,
    ):
        result, confirmation = Stream(waiting), Stream(asking)
        await result.next()
        asked = await confirmation.message()
        assert (asked["method"], asked["params"]["message"]) == ("elicitation/create", "Sure?")
        await sse.initialize("2025-11-25")
        assert await sse.post(message("tools/call", keyed(103), 7)) == 202
        document = asyncio.create_task(client.send(message("tools/call", keyed(102), 8), api, **as_json))
        begun = [f"first {n} begun" for n in (100, 102, 103)]
        await until(lambda: all(each in world.runs.read_text() for each in begun), 60, "three hops that wait")
        world.processes["api"].kill()
        for stream in (result, confirmation, sse.stream):
            with pytest.raises(aiohttp.ClientError):
                await stream.message()
        with pytest.raises(aiohttp.ClientError):
            await document
    # Nobody holds the question's stream when its answer comes.
    await client.respond(asked["id"], {"action": "accept", "content": {"sure": True}}, api2)
    world.gate.touch()
    async with asyncio.timeout(90):
        async with client.listen(api2, last=result.last_id) as stream:
            found = {100: await answer_to(stream, "result")}
        async with client.listen(api2, last=confirmation.last_id) as stream:
            found[101] = await answer_to(stream, "confirm")
        _, answer = await client.send(message("tools/call", keyed(102), 9), api2, **as_json)
        found[102] = answer["result"]
        async with open_sse([api2]) as sse:
            await sse.initialize("2025-11-25")
            found[103] = (await sse.ask("tools/call", keyed(103), 7))["result"]
    for n, each in found.items():
        assert (each["structuredContent"]["n"], each["structuredContent"]["done"]) == (n, True), each
    runs = world.runs.read_text().splitlines()
    for hop in (f"{actor} {n} begun" for actor in ("first", "second") for n in found):
        assert sum(line.startswith(hop) for line in runs) == 1, hop
