"""While the database is away: nothing half done, nothing lost, and no client is made to call twice."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.database import translated
from servers.proxy import TcpProxy
from tests.support.gateway import Gateway
from tests.support.mcp import LATEST, Actor, calling, start_mcp
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


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("cannot switch to state 12"), ConnectionResetError()])
def test_a_farewell_between_two_statements_is_an_outage_too(error: Exception) -> None:
    """The driver's own complaint, where the server closed the connection just before the statement."""
    with pytest.raises(Unavailable), translated():
        raise error
