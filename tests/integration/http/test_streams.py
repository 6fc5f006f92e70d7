"""Open streams: limited, closed if not read, ended by a drain so that readers connect elsewhere."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.protocols.http.keys import READINESS, STREAMS
from asya_gateway.storage.log.feed import Follower
from asya_gateway.storage.tasks.store import PostgresTasks
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import post, stateless_body, stateless_headers
from tests.support.storage import succeeded


async def _until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # these conditions are states of the server, which announces none
            await asyncio.sleep(0)


async def test_one_stream_too_many_is_503(database_url: str) -> None:
    async with start_gateway(database_url, max_streams=1) as gateway:
        task_id = await gateway.submit()
        async with gateway.stream(f"/stream/{task_id}"):
            status, answer = await gateway.get(f"/stream/{task_id}", headers={"Accept": "application/json"})
            assert (status, answer["error"]["code"]) == (503, "too_many_streams")
        await _until(lambda: len(gateway.app[STREAMS]) == 0)
        async with gateway.stream(f"/stream/{task_id}") as reader:
            assert await reader.next() is not None


async def test_a_reader_that_goes_away_gives_its_stream_back(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    async with gateway.stream(f"/stream/{task_id}") as reader:
        await reader.next()
        assert len(gateway.app[STREAMS]) == 1
    await _until(lambda: len(gateway.app[STREAMS]) == 0)
    await _until(lambda: gateway.running.storage.feed.followers == 0)


async def test_a_reader_that_stops_reading_is_cut_off(database_url: str) -> None:
    """'a stream write not drained in 30 s aborts the transport (a stopped reader otherwise holds
    its handler for ever (ran))'."""
    async with start_gateway(database_url, stream_write_timeout=0.3) as gateway:
        task_id = await gateway.submit()
        host, port = gateway.url.removeprefix("http://").split(":")
        _reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET /stream/{task_id} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await _until(lambda: len(gateway.app[STREAMS]) == 1)
        event = {"token": "x" * 500_000}
        async with asyncio.timeout(20):
            while len(gateway.app[STREAMS]):
                await gateway.post(f"/mesh/{task_id}/fly", event)
        writer.close()


async def test_a_drain_ends_streams_with_a_comment(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        async with gateway.stream(f"/stream/{task_id}") as reader:
            await reader.next()
            gateway.stop.set()
            assert await reader.all() == []
            assert reader.comments[-1] == "the gateway is restarting, connect again"
        await gateway.served


async def test_a_drain_waits_before_it_closes_the_port(database_url: str) -> None:
    """/health/ready is 503 from SIGTERM on, while requests are still accepted for drain_delay."""
    async with start_gateway(database_url, drain_delay=1.0) as gateway:
        gateway.stop.set()
        await _until(lambda: gateway.app[READINESS].draining)
        assert await gateway.get("/health/ready") == (503, "draining")
        assert await gateway.get("/health") == (200, "OK")
        task_id = await gateway.submit()
        assert (await gateway.get(f"/tasks/{task_id}"))[0] == 200
        await gateway.served
        with pytest.raises(aiohttp.ClientConnectorError):
            await gateway.get("/health")


async def test_requests_in_flight_finish_within_the_drain(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        headers = {"Prefer": "wait=30"}
        waiting = asyncio.create_task(gateway.post("/tools/call", {"name": "anything"}, headers=headers))
        await _until(lambda: bool(gateway.running.handed))
        gateway.stop.set()
        await _until(lambda: gateway.app[READINESS].draining)
        task_id = gateway.running.handed[0].task_id
        await gateway.running.tasks.finish(succeeded(task_id))
        status, task = await waiting
        assert (status, task["status"]) == (200, "succeeded")


async def test_a_waiter_whose_pod_ends_is_answered_202_with_its_task(database_url: str) -> None:
    async with start_gateway(database_url, drain_timeout=0.4) as gateway:
        headers = {"Prefer": "wait=30"}
        waiting = asyncio.create_task(gateway.post("/tools/call", {"name": "anything"}, headers=headers))
        await _until(lambda: bool(gateway.running.handed))
        gateway.stop.set()
        async with asyncio.timeout(5):
            await gateway.served
        status, answer = await waiting
        assert (status, gateway.running.handed[0].task_id in answer["content"][0]["text"]) == (202, True)


async def test_a_blocking_mcp_call_is_told_that_its_task_continues_when_its_pod_ends(database_url: str) -> None:
    async with start_gateway(database_url, drain_timeout=0.4) as gateway:
        message = stateless_body("tools/call", {"name": "anything"})
        headers = stateless_headers(message) | {"Accept": "application/json"}
        waiting = asyncio.create_task(post(gateway, message, headers))
        await _until(lambda: bool(gateway.running.handed))
        gateway.stop.set()
        async with asyncio.timeout(5):
            await gateway.served
        status, answer = await waiting
        told = answer["result"]["_meta"]["sh.asya/task"]
        assert (status, told["task_id"], told["status"]) == (200, gateway.running.handed[0].task_id, "running")


async def test_a_drain_ends_a_stream_after_a_whole_event_and_before_an_end_it_is_still_fetching(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        await gateway.finish(task_id, "r" * 200_000)
        fetching = asyncio.Event()

        async def slow(*_: object) -> None:
            fetching.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(PostgresTasks, "update", slow)
        async with gateway.stream(f"/stream/{task_id}") as reader:
            await fetching.wait()
            gateway.stop.set()
            assert [event.id for event in await reader.all()] == ["1"]
            assert reader.comments[-1] == "the gateway is restarting, connect again"
        await gateway.served


async def test_a_caller_that_goes_away_leaves_its_task(gateway: Gateway) -> None:
    """Disconnect cancels only where the protocol's revision says so."""
    headers = {"Prefer": "wait=30"}
    waiting = asyncio.create_task(gateway.post("/tools/call", {"name": "anything"}, headers=headers))
    await _until(lambda: bool(gateway.running.handed))
    waiting.cancel()
    task_id = gateway.running.handed[0].task_id
    await _until(lambda: gateway.running.storage.feed.followers == 0)
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["status"] == "pending"


async def test_a_stream_that_breaks_off_says_so(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_self: Follower, _wait: float) -> list[object]:
        raise Unavailable("the database is away")

    monkeypatch.setattr(Follower, "next", broken)
    task_id = await gateway.submit()
    async with gateway.stream(f"/stream/{task_id}") as reader:
        assert len(await reader.all()) == 1
        assert reader.comments[-1] == "the gateway cannot go on now, connect again"
