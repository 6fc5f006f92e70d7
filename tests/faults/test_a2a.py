"""kill -9 of the replica that streams a task of A2A, and of the one that waits for it: nothing is lost at another."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from servers.postgres import PostgresServer
from tests.faults.world import FLOWS, World, over_postgres
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)

ENDED = "TASK_STATE_COMPLETED"
Events = list[tuple[str, Any]]
"""The results of a stream's events with their ids."""


class AgentWorld(World):
    """Whose flows are skills, one of which asks."""

    flows = FLOWS.replace("mcp: {}", "mcp: {}, a2a: {}") + (
        "  - {name: ask, entrypoint: asking, routeNext: [second], timeout: 10m, mcp: {}, a2a: {}}\n"
    )
    workers = ("first", "second", "asking")

    async def rpc(self, process: str, method: str, params: Any, **headers: str) -> Any:
        """The result of a request to a replica."""
        async with self.post(process, method, params, **headers) as response:
            answer = await response.json()
        assert "result" in answer, answer
        return answer["result"]

    def post(self, process: str, method: str, params: Any, **headers: str) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        url = f"{self.processes[process].url}/a2a/"
        return self.session.post(url, json=body, headers={"A2A-Version": "1.0", **headers})

    def has_begun(self, hop: str) -> bool:
        """Whether an actor runs, or has run, this hop."""
        return self.runs.exists() and f"{hop} begun" in self.runs.read_text()

    async def state(self, process: str, task_id: str) -> str:
        return str((await self.rpc(process, "GetTask", {"id": task_id}))["status"]["state"])


@pytest.fixture
async def world(tmp_path: Path, own_postgres: PostgresServer) -> AsyncIterator[AgentWorld]:
    async with over_postgres(AgentWorld, tmp_path, own_postgres) as made:
        yield made


def message(data: Any, skill: str = "", **more: Any) -> dict[str, Any]:
    said = {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": [{"data": data}], **more}
    return {"message": said, **({"metadata": {"skill": skill}} if skill else {})}


async def read(response: aiohttp.ClientResponse, seen: Events) -> None:
    """Add the events of a stream until it ends or is cut."""
    id, data = "", ""
    with contextlib.suppress(aiohttp.ClientError):
        async for raw in response.content:
            key, _, value = raw.decode().rstrip("\n").partition(": ")
            if key == "id":
                id = value
            elif key == "data":
                data = value
            elif not key and data:
                seen.append((id, json.loads(data)["result"]))
                id, data = "", ""


def states(seen: Events) -> list[str]:
    return [each["statusUpdate"]["status"]["state"] for _, each in seen if "statusUpdate" in each]


async def test_a_stream_goes_on_at_another_replica_after_the_last_event_that_came(world: AgentWorld) -> None:
    seen: Events = []
    data = {"n": 200, "first_waits_for": str(world.gate), "tokens": 5}
    async with world.post("api", "SendStreamingMessage", message(data, "work")) as response:
        reading = asyncio.create_task(read(response, seen))
        await until(lambda: seen and world.has_begun("first 200"), 60, "the hop that waits")
        world.processes["api"].kill()
        await reading
    task_id = seen[0][1]["task"]["id"]
    last = [id for id, _ in seen if id][-1]
    async with world.post("api2", "SubscribeToTask", {"id": task_id}, **{"Last-Event-ID": last}) as response:
        reading = asyncio.create_task(read(response, seen))
        world.gate.touch()
        await asyncio.wait_for(reading, 60)
    # Every entry of the log once, in its order; the durable result after the live events.
    entries = [int(id.partition(".")[0]) for id, _ in seen if id]
    assert list(dict.fromkeys(entries)) == list(range(entries[0], entries[-1] + 1))
    assert len([id for id, _ in seen if id]) == len({id for id, _ in seen if id})
    artifacts = [each["artifactUpdate"] for _, each in seen if "artifactUpdate" in each]
    assert artifacts[-1]["lastChunk"] is True
    assert artifacts[-1]["artifact"]["parts"][0]["data"]["done"] is True
    assert states(seen)[-1] == ENDED
    found = await world.rpc("api2", "GetTask", {"id": task_id})
    assert found["artifacts"][0]["parts"] == artifacts[-1]["artifact"]["parts"]


async def test_a_message_whose_replica_dies_while_it_waits_is_sent_again_and_makes_no_second_task(
    world: AgentWorld,
) -> None:
    sent = message({"n": 201, "first_waits_for": str(world.gate)}, "work")
    key = {"Idempotency-Key": "once"}
    waiting = asyncio.create_task(world.rpc("api", "SendMessage", sent, **key))
    await until(lambda: world.has_begun("first 201"), 60, "the hop that waits")
    world.processes["api"].kill()
    with pytest.raises(aiohttp.ClientError):
        await waiting
    again = asyncio.create_task(world.rpc("api2", "SendMessage", sent, **key))
    await lasts(0.5)
    assert not again.done()
    world.gate.touch()
    task = (await asyncio.wait_for(again, 60))["task"]
    assert task["status"]["state"] == ENDED
    runs = world.runs.read_text().splitlines()
    assert sum(line.startswith("first 201 begun") for line in runs) == 1
    page = await world.rpc("api2", "ListTasks", {"pageSize": 100})
    assert [each["id"] for each in page["tasks"]].count(task["id"]) == 1
    assert page["totalSize"] == await world.query_value("SELECT count(*) FROM tasks")


async def test_a_question_outlives_the_replica_that_asked_it(world: AgentWorld) -> None:
    asked = (await world.rpc("api", "SendMessage", message({"n": 202}, "ask")))["task"]
    assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    world.processes["api"].kill()
    assert await world.state("api2", asked["id"]) == "TASK_STATE_INPUT_REQUIRED"
    text = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "Ada"}], "taskId": asked["id"]}
    task = (await world.rpc("api2", "SendMessage", {"message": text}))["task"]
    assert task["status"]["state"] == ENDED
    assert task["artifacts"][0]["parts"][0]["data"]["who"]["content"] == {"name": "Ada"}
    assert [each["role"] for each in task["history"]] == ["ROLE_USER", "ROLE_USER"]
    # The replica comes back, and shows the same.
    world.processes["api"].start()
    await world.ready("api")
    assert await world.rpc("api", "GetTask", {"id": asked["id"]}) == task
