"""Tasks over MCP while the database is away, and while a replica ends: no handle is lost, no subscription misses the
end, and no client is made to call twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from servers.proxy import TcpProxy
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import TASKS_DECLARED, Actor, ask_old, open_post, start_mcp, stateless_body, stateless_headers
from tests.support.mcp_tasks import CAPABILITIES, ask_with, call_with, in_background, seen, started
from tests.support.waiting import until


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[tuple[TcpProxy, str]]:
    """A proxy before the test's database, and the URL that leads through it."""
    made, url = await TcpProxy.before(database_url)
    yield made, url
    await made.close()


@contextlib.asynccontextmanager
async def listening(gateway: Gateway, task_id: str) -> AsyncIterator[Reader]:
    """An acknowledged subscription to one task."""
    params = {"notifications": {"taskIds": [task_id]}}
    body = stateless_body("subscriptions/listen", params, **{CAPABILITIES: TASKS_DECLARED})
    async with open_post(gateway, body, stateless_headers(body)) as response:
        reader = Reader(response)
        event = await reader.next()
        assert event is not None
        assert event.data["params"]["notifications"] == {"taskIds": [task_id]}
        yield reader


async def finished(gateway: Gateway, task_id: str) -> bool:
    body = {"id": task_id, "status": "succeeded", "result": {"ok": 1}}
    return (await gateway.post(f"/mesh/{task_id}/final", body))[0] == 200


async def test_a_handle_that_falls_into_an_outage_is_given_after_it(proxy: tuple[TcpProxy, str]) -> None:
    """Without its handle the client would call again, and the work would be done twice."""
    network, url = proxy
    async with start_mcp(url, mcp_task_grace=0.3) as gateway, in_background(call_with(gateway, "anything")) as call:
        task_id, _ = await Actor(gateway).take()
        network.refuse()
        body = stateless_body("tasks/get", {"taskId": task_id}, **{CAPABILITIES: TASKS_DECLARED})
        async with open_post(gateway, body, stateless_headers(body)) as response:
            assert response.status == 503
        assert not call.done()
        network.accept()
        assert (await call)["taskId"] == task_id


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_request_during_an_outage_is_503_for_every_id(proxy: tuple[TcpProxy, str], method: str) -> None:
    network, url = proxy
    async with start_mcp(url) as gateway:
        task_id = await started(gateway)
        network.refuse()
        for each in (task_id, "none"):
            status, answer = await ask_with(gateway, method, {"taskId": each, "inputResponses": {}})
            assert (status, answer["error"]["code"]) == (503, -32603)
        network.accept()


async def test_a_subscription_outlives_an_outage_and_misses_nothing(proxy: tuple[TcpProxy, str]) -> None:
    network, url = proxy
    async with start_mcp(url) as gateway:
        task_id = await started(gateway)
        async with listening(gateway, task_id) as reader:
            network.refuse()
            assert not await finished(gateway, task_id)
            network.accept()
            await until(lambda: finished(gateway, task_id))
            event = await reader.next()
    assert event is not None
    assert (event.data["method"], event.data["params"]["status"]) == ("notifications/tasks", "completed")


async def test_a_replica_that_ends_sends_its_clients_to_another(database_url: str) -> None:
    """patterns/subscriptions, "Graceful Closure": a subscription ends with its result. tasks/result has no result yet,
    so its client is told to ask again; the task goes on."""
    async with start_mcp(database_url) as other:
        async with start_mcp(database_url, drain_timeout=2) as gateway:
            task_id = await started(gateway)
            waiting = ask_old(gateway, "tasks/result", {"taskId": task_id})
            async with listening(gateway, task_id) as reader, in_background(waiting) as result:
                await until(lambda: gateway.running.storage.feed.followers >= 2, what="both to follow")
                gateway.stop.set()
                event = await reader.next()
                assert event is not None
                assert event.data["result"]["resultType"] == "complete"
                _, answer = await result
                assert (answer["error"]["code"], "ask for the result again" in answer["error"]["message"]) == (
                    -32603,
                    True,
                )
        async with in_background(ask_old(other, "tasks/result", {"taskId": task_id})) as again:
            await finished(other, task_id)
            assert (await again)[1]["result"]["structuredContent"] == {"ok": 1}


async def test_answers_that_race_make_one_task_go_on_once(gateway: Gateway, actor: Actor) -> None:
    """Each request is acknowledged, whichever answer won ("A server SHOULD ignore any inputResponses mapped to a key
    that is not currently outstanding")."""
    task_id = await started(gateway)
    await actor.take()
    await actor.report(task_id, "processing")
    question = {"prompt": "?", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    await actor.report(task_id, "paused", pause_metadata=question)
    capabilities = {**TASKS_DECLARED, "elicitation": {}}
    (key,) = (await seen(gateway, task_id, capabilities))["inputRequests"]
    answers = [
        {"taskId": task_id, "inputResponses": {key: {"action": "accept", "content": {"n": n}}}} for n in range(8)
    ]
    done = await asyncio.gather(*(ask_with(gateway, "tasks/update", each, capabilities) for each in answers))
    assert [status for status, _ in done] == [200] * 8
    assert (await seen(gateway, task_id, capabilities))["status"] == "working"
    resumed = await gateway.running.storage.database.fetchval(
        "SELECT count(*) FROM task_updates WHERE task_id = $1 AND kind = 'resumed'", task_id
    )
    assert resumed == 1
