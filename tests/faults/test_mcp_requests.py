"""kill -9 of the replica that holds alone a blocking call, a retry that answers a running flow, an open round of inputs
and a subscription of MCP 2026-07-28: their clients go on at another one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from servers.postgres import PostgresServer
from tests.faults.world import CONFIRM, FLOWS, World, over_postgres
from tests.support.gateway import Event, Reader
from tests.support.mcp import TASKS_DECLARED, stateless_body, stateless_headers
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)

FORMS: dict[str, Any] = {"elicitation": {"form": {}}}


class AskingWorld(World):
    """With a flow that asks while it runs, and one that asks before it starts."""

    flows = f"""{FLOWS}
  - {{name: ask, entrypoint: asking, routeNext: [first, second], timeout: 10m, mcp: {{}}}}{CONFIRM}"""
    workers = ("first", "second", "asking")


@pytest.fixture
async def world(tmp_path: Path, own_postgres: PostgresServer) -> AsyncIterator[AskingWorld]:
    async with over_postgres(AskingWorld, tmp_path, own_postgres) as made:
        yield made


def call(name: str, n: int, capabilities: Any, *, gate: Path | None = None, key: str | None = None, **more: Any) -> Any:
    """A tools/call."""
    arguments = {"n": n} | ({} if gate is None else {"first_waits_for": str(gate)})
    meta = {"io.modelcontextprotocol/clientCapabilities": capabilities}
    keyed = {} if key is None else {"sh.asya/idempotencyKey": key}
    return stateless_body("tools/call", {"name": name, "arguments": arguments, **more, "_meta": {**meta, **keyed}})


@contextlib.asynccontextmanager
async def posted(world: World, replica: str, body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    url = f"{world.processes[replica].url}/mcp"
    headers = {"Content-Type": "application/json", **stateless_headers(body)}
    async with world.session.post(url, json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        yield response


async def result_of(world: World, replica: str, body: Any) -> dict[str, Any]:
    """The result of a request. Raises aiohttp.ClientError if its replica dies."""
    async with posted(world, replica, body) as response:
        if response.content_type == "text/event-stream":
            messages = [event.data async for event in _events(Reader(response))]
            if not messages or "result" not in messages[-1]:
                raise aiohttp.ClientPayloadError("the stream broke")
            answer = messages[-1]
        else:
            answer = await response.json()
    result: dict[str, Any] = answer["result"]
    return result


async def _events(reader: Reader) -> AsyncIterator[Event]:
    while (event := await reader.next()) is not None:
        yield event


def answering(body: Any, first: dict[str, Any], content: Any) -> Any:
    """The same call with an answer to the one input that it was asked."""
    assert first["resultType"] == "input_required", first
    [key] = first["inputRequests"]
    responses = {key: {"action": "accept", "content": content}}
    params = {**body["params"], "inputResponses": responses, "requestState": first["requestState"]}
    return {**body, "params": params}


async def test_clients_go_on_at_another_replica_and_nothing_happens_twice(world: AskingWorld) -> None:
    # What each client does at the replica that will die.
    blocking = call("work", 101, {}, gate=world.gate, key="call-101")
    running = call("ask", 100, FORMS, gate=world.gate)
    running = answering(running, await result_of(world, "api", running), {"name": "Ada"})
    confirm = call("confirm", 102, FORMS)
    confirm = answering(confirm, await result_of(world, "api", confirm), {"sure": True})
    task = (await result_of(world, "api", call("work", 103, TASKS_DECLARED, gate=world.gate)))["taskId"]
    meta = {"io.modelcontextprotocol/clientCapabilities": TASKS_DECLARED}
    listen = stateless_body("subscriptions/listen", {"notifications": {"taskIds": [task]}, "_meta": meta})
    held = [asyncio.create_task(result_of(world, "api", each)) for each in (blocking, running)]
    async with posted(world, "api", listen) as response:
        acknowledged = await Reader(response).next()
        assert acknowledged is not None
        assert acknowledged.data["params"]["notifications"] == {"taskIds": [task]}
        begun = [f"first {n} begun" for n in (100, 101, 103)]
        await until(lambda: all(each in world.runs.read_text() for each in begun), 60, "three hops that wait")
        world.processes["api"].kill()
    for each in held:
        with pytest.raises(aiohttp.ClientError):
            await each
    world.gate.touch()
    # Each of them asks again at the other one; what was asked twice there is one task, too.
    async with asyncio.timeout(90), posted(world, "api2", listen) as response:
        again = [blocking, running, confirm, confirm]
        results = await asyncio.gather(*(result_of(world, "api2", each) for each in again))
        told: Any = {}
        async for event in _events(Reader(response)):
            told = event.data["params"]
            if told.get("status") == "completed":
                break
    assert [each["structuredContent"]["n"] for each in results] == [101, 100, 102, 102]
    assert all(each["structuredContent"]["done"] for each in results)
    assert results[1]["structuredContent"]["who"]["content"] == {"name": "Ada"}
    assert (told["taskId"], told["result"]["structuredContent"]["n"]) == (task, 103)
    runs = world.runs.read_text().splitlines()
    for hop in ("asking 100", *(f"{actor} {n}" for actor in ("first", "second") for n in (100, 101, 102, 103))):
        assert sum(line.startswith(f"{hop} begun") for line in runs) == 1, hop
