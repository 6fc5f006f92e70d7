"""While the database is away: nothing half done, nothing lost, and no client is made to call twice."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.outages import wait_again
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp import session_asking
from asya_gateway.storage.database import translated
from servers.proxy import TcpProxy
from tests.support.gateway import Gateway
from tests.support.inputs import NAME, pause_body
from tests.support.mcp import LATEST, Actor, calling, message, start_mcp
from tests.support.mcp_sessions import Client, Stream, connect
from tests.support.waiting import until

VERSIONS = ["2025-11-25", LATEST]


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[tuple[TcpProxy, str]]:
    """A proxy before the test's database, and the URL that leads through it."""
    made, url = await TcpProxy.before(database_url)
    yield made, url
    await made.close()


async def _reachable(gateway: Gateway) -> bool:
    return (await gateway.get("/tasks"))[0] == 200


async def finished(gateway: Gateway, task_id: str) -> bool:
    body = {"id": task_id, "status": "succeeded", "result": {"ok": 1}}
    return (await gateway.post(f"/mesh/{task_id}/final", body))[0] == 200


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_call_during_an_outage_is_503_and_stores_nothing(proxy: tuple[TcpProxy, str], version: str) -> None:
    network, url = proxy
    async with start_mcp(url) as gateway:
        network.refuse()
        async with calling(gateway, "anything", version=version) as call:
            status, events = await call
        network.accept()
        answer = events[-1].data
        assert (status, answer["id"], answer["error"]["code"]) == (503, 1, -32603)
        await until(lambda: _reachable(gateway))
        assert await gateway.stored() == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_call_outlives_an_outage(proxy: tuple[TcpProxy, str], version: str) -> None:
    network, url = proxy
    async with start_mcp(url) as gateway:
        actor = Actor(gateway)
        async with calling(gateway, "anything", version=version, token=1) as call:
            task_id, _ = await actor.take()
            network.refuse()
            assert not await finished(gateway, task_id)
            network.accept()
            await until(lambda: finished(gateway, task_id))
            answer = (await call)[1][-1].data
    assert answer["result"]["structuredContent"] == {"ok": 1}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wait_that_ends_during_an_outage_is_answered_all_the_same(
    proxy: tuple[TcpProxy, str], version: str
) -> None:
    network, url = proxy
    async with start_mcp(url, mcp_max_wait=1.5) as gateway:
        actor = Actor(gateway)
        async with calling(gateway, "anything", version=version) as call:
            task_id, _ = await actor.take()
            network.refuse()
            answer = (await call)[1][-1].data
            network.accept()
    assert task_id in answer["result"]["content"][0]["text"]


class Question(NamedTuple):
    """A request of 2025-11-25 in a session, whose task asks."""

    stream: Stream
    task_id: str
    asked: Any


@contextlib.asynccontextmanager
async def question(gateway: Gateway, client: Client, kind: str) -> AsyncIterator[Question]:
    actor = Actor(gateway)
    if kind == "tasks/result":
        params = {"name": "anything", "arguments": {}, "task": {}}
        created = await client.ask("tools/call", params)
        body = message("tasks/result", {"taskId": created["task"]["taskId"]}, "held")
    else:
        body = message("tools/call", {"name": "anything", "arguments": {}}, "held")
    async with client.post(body) as response:
        task_id, _ = await actor.take()
        pause = pause_body(task_id, {"inputs": {"name": NAME}})
        assert (await gateway.post(f"/mesh/{task_id}/progress", pause))[0] == 200
        stream = Stream(response)
        yield Question(stream, task_id, await stream.message())


@pytest.mark.parametrize("kind", ["tools/call", "tasks/result"])
async def test_an_open_question_outlives_an_outage(
    proxy: tuple[TcpProxy, str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    network, url = proxy
    waits: list[None] = []

    async def noted(channel: ClientConnection, limit: WaitLimit) -> None:
        waits.append(None)
        await wait_again(channel, limit)

    monkeypatch.setattr(session_asking, "wait_again", noted)
    async with start_mcp(url) as gateway:
        client = await connect(gateway)
        async with question(gateway, client, kind) as (stream, task_id, asked):
            network.refuse()
            # Whoever waits for the answer has found out, and asks again.
            await until(lambda: len(waits) > 2, what="the database to be missed")
            network.accept()
            answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"name": "Ada"}}}

            async def taken() -> bool:
                return (await client.send(answer))[0] == 202

            await until(taken, what="the answer to be taken")
            await until(lambda: len(gateway.running.handed) == 2, what="the task to go on")
            await until(lambda: finished(gateway, task_id))
            # Neither asked again nor withdrawn.
            last = await stream.message()
    assert (last["id"], last["result"]["structuredContent"]) == ("held", {"ok": 1})


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("cannot switch to state 12"), ConnectionResetError()])
def test_a_farewell_between_two_statements_is_an_outage_too(error: Exception) -> None:
    """The driver's own complaint, where the server closed the connection just before the statement."""
    with pytest.raises(Unavailable), translated():
        raise error
