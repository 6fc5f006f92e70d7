"""The official client of Python after a handshake, behind a round robin over two replicas: what needs a session."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp import Client, types

from asya_gateway.protocols.http.keys import STREAMS
from servers.ports import free_port
from tests.protocol.mcp.fixture.round_robin import RoundRobin
from tests.support.gateway import Gateway
from tests.support.inputs import FOLDERS, NAME, SUMMARY, pause_body
from tests.support.mcp import Actor
from tests.support.mcp_sessions import replicas
from tests.support.waiting import until


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[tuple[list[Gateway], str]]:
    async with replicas(database_url, keepalive_interval=0.2) as made:
        front, port = RoundRobin([each.url for each in made]), free_port()
        await front.start(port)
        try:
            yield made, f"http://127.0.0.1:{port}/mcp"
        finally:
            await front.stop()


class Person:
    """What stands behind a client."""

    def __init__(self) -> None:
        self.logged: list[Any] = []
        self.asked: list[str] = []

    async def elicit(self, context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params.message)
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def sample(self, context: Any, params: Any) -> types.CreateMessageResult:
        self.asked.append("sampling")
        content = types.TextContent(type="text", text="short")
        return types.CreateMessageResult(role="assistant", content=content, model="m")

    async def roots(self, context: Any) -> types.ListRootsResult:
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri="file:///home/ada")])

    async def log(self, params: Any) -> None:
        self.logged.append((params.level, params.data))

    def client(self, url: str) -> Client:
        return Client(
            url,
            mode="legacy",
            elicitation_callback=self.elicit,
            sampling_callback=self.sample,
            list_roots_callback=self.roots,
            logging_callback=self.log,
        )


class Anywhere:
    """Takes the calls of all replicas."""

    def __init__(self, pair: list[Gateway]) -> None:
        self.pair = pair
        self._taken = 0

    async def take(self) -> str:
        def handed() -> list[str]:
            return [entry.task_id for each in self.pair for entry in each.running.handed]

        await until(lambda: len(handed()) > self._taken, what="a call")
        self._taken += 1
        return handed()[-1]


async def test_a_client_is_asked_everything_that_a_task_waits_for(pair: tuple[list[Gateway], str]) -> None:
    gateways, url = pair
    person, anywhere, actor = Person(), Anywhere(gateways), Actor(gateways[0])
    async with person.client(url) as client:

        async def work() -> None:
            task_id = await anywhere.take()
            question = {"inputs": {"name": NAME, "summary": SUMMARY, "folders": FOLDERS}}
            await gateways[0].post(f"/mesh/{task_id}/progress", pause_body(task_id, question))

            async def running() -> bool:
                return await actor.status(task_id) == "running"

            await until(running)
            await actor.end(task_id, result="done")

        working = asyncio.create_task(work())
        result = await client.call_tool("anything", {})
        await working
    assert result.content[0].text == "done"  # type: ignore[union-attr]
    assert sorted(person.asked) == ["Who are you?", "roots", "sampling"]


async def test_a_client_that_cancels_ends_its_task(pair: tuple[list[Gateway], str]) -> None:
    gateways, url = pair
    anywhere, actor = Anywhere(gateways), Actor(gateways[0])
    async with Person().client(url) as client:
        calling = asyncio.create_task(client.call_tool("anything", {}))
        task_id = await anywhere.take()
        calling.cancel()
        await asyncio.wait([calling])

        async def canceled() -> bool:
            return await actor.status(task_id) == "canceled"

        await until(canceled)
        assert (await client.list_tools()).tools


@pytest.mark.filterwarnings("ignore:The logging capability is deprecated")
async def test_a_client_sets_its_level_and_gets_messages(pair: tuple[list[Gateway], str]) -> None:
    gateways, url = pair
    person, anywhere, actor = Person(), Anywhere(gateways), Actor(gateways[0])
    async with person.client(url) as client:
        await client.set_logging_level("warning")  # type: ignore[deprecated, unused-ignore]
        calling = asyncio.create_task(client.call_tool("anything", {}))
        task_id = await anywhere.take()

        async def logged() -> bool:
            await actor.fly(task_id, {"log": {"level": "info", "data": "quiet"}})
            await actor.fly(task_id, {"log": {"level": "error", "data": "loud"}})
            return bool(person.logged)

        await until(logged)
        await actor.end(task_id, result=1)
        await calling
    assert set(person.logged) == {("error", "loud")}


async def test_a_call_goes_on_when_its_replica_stops(pair: tuple[list[Gateway], str]) -> None:
    """transports, "Resumability and Redelivery": the client comes back with the id of the last event."""
    gateways, url = pair
    anywhere = Anywhere(gateways)
    async with Person().client(url) as client:
        calling = asyncio.create_task(client.call_tool("anything", {}))
        task_id = await anywhere.take()
        holder = next(each for each in gateways if each.running.handed)
        other = next(each for each in gateways if each is not holder)
        await until(lambda: len(holder.app[STREAMS]) > 0)
        # A drain closes the stream; every second attempt to come back reaches the replica that is gone.
        holder.stop.set()
        await holder.served
        await Actor(other).end(task_id, result="done")
        result = await calling
    assert result.content[0].text == "done"  # type: ignore[union-attr]
