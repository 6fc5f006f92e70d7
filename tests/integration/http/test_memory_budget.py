"""The memory budget at the edge: calls without room are refused, reports wait unread, streams leave it in the log."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from asya_gateway.domain import budget as budgets
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.protocols.http.bodies import WEIGHT
from asya_gateway.protocols.http.keys import BUDGET
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import post, stateless_body, stateless_headers
from tests.support.waiting import until

TOTAL = 4 * 1024 * 1024
LARGE = "x" * 500_000


@pytest.fixture
async def small(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A gateway with a budget of 4 MiB, whose callers wait for room only for a moment."""
    monkeypatch.setattr(budgets, "PATIENCE", 0.05)
    async with start_gateway(database_url, budget=Budget(TOTAL)) as gateway:
        yield gateway


def fill(gateway: Gateway, share: Share) -> int:
    """Take all the room of a share; what was taken."""
    budget = gateway.app[BUDGET]
    size = budget.room(share)
    budget.charge(share, size)
    return size


async def test_a_call_without_room_is_refused_with_503_and_stores_nothing(small: Gateway) -> None:
    fill(small, Share.CALLS)
    body = {"name": "anything", "arguments": {"text": LARGE}}
    async with small.session.post(small.url + "/tools/call", json=body) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert (await response.json())["error"]["code"] == "no_memory"
    message = stateless_body("tools/call", body)
    assert (await post(small, message, stateless_headers(message)))[0] == 503
    assert await small.stored() == 0


async def test_a_final_without_room_waits_in_its_socket_and_is_stored_when_there_is_some(small: Gateway) -> None:
    task_id = await small.submit()
    taken = fill(small, Share.REPORTS)
    ending = asyncio.create_task(small.finish(task_id, LARGE))
    budget = small.app[BUDGET]
    await until(lambda: budget.waiting()["reports"] == 1, what="a final that waits")
    assert (await small.get("/health"))[0] == 200
    budget.give_back(Share.REPORTS, taken)
    await ending
    assert (await small.get(f"/tasks/{task_id}"))[1]["result"] == LARGE


async def test_a_body_larger_than_its_share_fits_where_nobody_else_is_served(small: Gateway) -> None:
    size = 900_000
    assert WEIGHT * size > TOTAL
    task_id = await small.submit("anything", {"text": "x" * size})
    assert len((await small.get(f"/tasks/{task_id}"))[1]["payload"]["text"]) == size
    await small.finish(task_id, "r" * size)
    async with small.stream(f"/stream/{task_id}") as reader:
        assert len((await reader.all())[-1].data["result"]) == size


async def test_everything_that_was_counted_is_given_back(small: Gateway) -> None:
    budget = small.app[BUDGET]
    task_id = await small.submit("anything", {"text": LARGE})
    async with small.stream(f"/stream/{task_id}") as reader:
        await reader.next()
        assert budget.held()["held"] > 0
        waiting = asyncio.create_task(
            small.post("/tools/call", {"name": "anything", "arguments": {"t": LARGE}}, headers={"Prefer": "wait=30"})
        )
        await until(lambda: len(small.running.handed) == 2, what="the second call")
        await until(lambda: budget.held()["calls"] == 0, what="what a stored call held")
        await small.post(f"/mesh/{task_id}/fly", {"payload": {"token": LARGE[:20_000]}})
        await small.finish(small.running.handed[1].task_id, LARGE)
        assert (await waiting)[0] == 200
        await small.finish(task_id, LARGE)
        assert len(await reader.all()) == 2
    assert (await small.post("/tools/call", "{" + LARGE))[0] == 400
    assert (await small.post("/tools/call", {"name": "anything"}, headers={"Prefer": "wait=0"}))[0] == 202
    await until(lambda: not any(budget.held().values()), what=f"an empty budget, not {budget.held()}")


async def test_a_body_of_unknown_length_is_counted_as_large_as_it_may_become_until_it_is_read(small: Gateway) -> None:
    """Nobody knows its size before, and a few kilobytes may become megabytes."""
    budget = small.app[BUDGET]

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"name": "anything", '
        await until(lambda: budget.held()["calls"] >= TOTAL, what="a body of unknown size")
        yield b'"arguments": {}}'

    headers = {"Content-Type": "application/json"}
    async with small.session.post(small.url + "/tools/call", data=pieces(), headers=headers) as response:
        assert response.status == 200
    await until(lambda: not any(budget.held().values()), what="an empty budget")


async def test_updates_without_room_stay_in_the_log_and_come_later(small: Gateway) -> None:
    task_id = await small.submit()
    budget = small.app[BUDGET]
    async with small.stream(f"/stream/{task_id}") as reader:
        await reader.next()
        budget.charge(Share.WAITING, TOTAL)
        await small.finish(task_id, "done")
        budget.give_back(Share.WAITING, TOTAL)
        assert [event.id for event in await reader.all()] == ["2"]


async def test_too_many_held_requests_for_the_budget_are_refused(database_url: str) -> None:
    async with start_gateway(database_url, budget=Budget(400_000)) as gateway:
        task_id = await gateway.submit()
        async with gateway.stream(f"/stream/{task_id}"), gateway.stream(f"/stream/{task_id}"):
            status, answer = await gateway.get(f"/stream/{task_id}", headers={"Accept": "application/json"})
            assert (status, answer["error"]["code"]) == (503, "no_memory")


async def test_what_was_done_before_there_was_no_room_to_tell_of_it_is_not_said_to_be_undone(small: Gateway) -> None:
    task_id = await small.submit("anything", {"text": LARGE})
    fill(small, Share.READERS)
    small.app[BUDGET].charge(Share.READERS, 1)
    status, answer = await small.post(f"/tasks/{task_id}/cancel", {"reason": "enough"})
    assert (status, answer["error"]["outcome"]) == (503, "unknown")
    assert await small.running.storage.database.fetchval("SELECT status FROM tasks") == "canceled"
