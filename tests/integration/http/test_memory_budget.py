"""The memory budget at the edge: calls without room are refused, reports wait unread, streams leave it in the log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asya_crds import jsontext
from asya_gateway.domain import budget as budgets
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.protocols.http import arriving
from asya_gateway.protocols.http.bodies import WEIGHT
from asya_gateway.protocols.http.keys import BUDGET
from asya_gateway.protocols.mcp.transports.http_sse import STREAMS
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import message, post, stateless_body, stateless_headers
from tests.support.mcp_sessions import connect, open_sse
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


async def test_a_body_larger_than_its_share_fits_if_no_other_is_served(small: Gateway) -> None:
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
        await reader.next()
        await small.finish(small.running.handed[1].task_id, LARGE)
        assert (await waiting)[0] == 200
        await small.finish(task_id, LARGE)
        assert len(await reader.all()) == 1
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


async def test_a_finished_log_without_room_is_streamed_when_there_is_some(small: Gateway) -> None:
    task_id = await small.submit()
    await small.finish(task_id, "done")
    taken = fill(small, Share.LOGS)
    async with small.stream(f"/stream/{task_id}") as reader:
        small.app[BUDGET].give_back(Share.LOGS, taken)
        assert [event.id for event in await reader.all()] == ["1", "2"]
    assert small.app[BUDGET].holds(Share.LOGS) == 0
    async with small.session.get(f"{small.url}/stream/{task_id}", headers={"Last-Event-ID": "2"}) as response:
        assert response.status == 204


async def test_a_message_of_http_sse_is_counted_until_it_is_answered(small: Gateway) -> None:
    """Its POST was answered long ago, and its answer waits for a client that does not read."""
    budget = small.app[BUDGET]
    async with open_sse([small]) as client:
        await client.initialize()
        await until(lambda: budget.holds(Share.CALLS) == 0, what="messages that are done")
        (stream,) = small.app[STREAMS].values()
        async with stream._writing:
            assert await client.post(message("ping", {"pad": LARGE[:250_000]})) == 202
            assert budget.holds(Share.CALLS) >= WEIGHT * 250_000
            assert await client.post(message("ping", {"pad": LARGE[:250_000]})) == 503
        assert (await client.stream.message())["result"] == {}
        await until(lambda: budget.holds(Share.CALLS) == 0, what="an answer that was sent")
        # Of a call nothing is held once it is stored.
        call = {"name": "anything", "arguments": {"text": LARGE[:250_000]}}
        assert await client.post(message("tools/call", call, 2)) == 202
        await until(small.stored)
        await until(lambda: budget.holds(Share.CALLS) == 0, what="a call that is stored")
    await until(lambda: not any(budget.held().values()), what=f"an empty budget, not {budget.held()}")


async def test_messages_of_http_sse_from_another_replica_stay_in_their_rows_until_there_is_room(
    database_url: str,
) -> None:
    async with (
        start_gateway(database_url, budget=Budget(TOTAL)) as here,
        start_gateway(database_url) as there,
        open_sse([here, there]) as client,
    ):
        taken = fill(here, Share.CALLS)
        for id in (1, 2, 3):
            assert await client.post(message("ping", {"pad": LARGE[:150_000]}, id)) == 202
        budget = here.app[BUDGET]
        await until(lambda: budget.waiting()["calls"] == 1, what="a message that waits for room")
        count = "SELECT count(*) FROM mcp_inbox"
        assert await here.running.storage.database.fetchval(count) == 3
        budget.give_back(Share.CALLS, taken)
        assert [(await client.stream.message())["id"] for _ in range(3)] == [1, 2, 3]
        await until(lambda: budget.holds(Share.CALLS) == 0, what="messages that are answered")
        assert await here.running.storage.database.fetchval(count) == 0
    await until(lambda: not any(budget.held().values()), what=f"an empty budget, not {budget.held()}")


async def test_what_a_session_has_said_is_counted_with_its_stream(small: Gateway) -> None:
    budget = small.app[BUDGET]
    client = await connect(small)
    uris = [f"test://{number}/{'x' * 1_000}" for number in range(40)]
    async with client.listen(small) as stream:
        await stream.next()
        before = budget.holds(Share.HELD)
        for uri in uris:
            await client.ask("resources/subscribe", {"uri": uri})
        await until(lambda: budget.holds(Share.HELD) - before > 40_000, what="the URIs")
        for uri in uris:
            await client.ask("resources/unsubscribe", {"uri": uri})
        await until(lambda: budget.holds(Share.HELD) == before, what="the URIs to be forgotten")
        await client.ask("resources/subscribe", {"uri": uris[0]})
    await until(lambda: budget.holds(Share.HELD) == 0, what="a closed stream")


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


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


CALL = '{"name": "anything", "arguments": {"text": "'
FINAL = '{"status": "succeeded", "result": "'


@asynccontextmanager
async def trickled(
    gateway: Gateway, size: int, arrived: int, path: str = "/tools/call", begins: str = CALL
) -> AsyncIterator[Connection]:
    """A call whose body begins and does not go on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    writer.write(f"{head}{begins}{'x' * arrived}".encode())
    await writer.drain()
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class TestABodyThatDoesNotArrive:
    async def test_holds_room_for_what_has_arrived_alone(self, small: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arriving, "SLOW_AFTER", 0.05)
        budget = small.app[BUDGET]
        size = 900_000
        assert WEIGHT * size > budget.ceiling(Share.CALLS)
        async with trickled(small, size, 1_000):
            await until(lambda: 0 < budget.holds(Share.CALLS) < WEIGHT * 2_000, what="room that was given back")
            await small.submit("anything", {"text": "y" * 200_000})
        await until(lambda: budget.holds(Share.CALLS) == 0, what="room that the closed one held")

    async def test_continues_with_the_room_of_each_part(self, small: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        """Alone it may grow beyond its share, as one that arrives at once."""
        monkeypatch.setattr(arriving, "SLOW_AFTER", 0.02)
        budget = small.app[BUDGET]
        text = "x" * 900_000
        body = jsontext.dumps({"name": "anything", "arguments": {"text": text}}).encode()

        async def slowly() -> AsyncIterator[bytes]:
            yield body[:1_000]
            await until(lambda: budget.holds(Share.CALLS) == WEIGHT * 1_000, what="a slow body")
            for start in range(1_000, len(body), 100_000):
                yield body[start : start + 100_000]

        headers = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        async with small.session.post(small.url + "/tools/call", data=slowly(), headers=headers) as response:
            assert response.status == 200
        assert budget.holds(Share.CALLS) == 0

    async def test_two_that_wait_for_each_other_are_parted(
        self, small: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arriving, "SLOW_AFTER", 0.02)
        budget = small.app[BUDGET]
        size = budget.ceiling(Share.CALLS) * 6 // 10 // WEIGHT
        async with trickled(small, size, 70_000) as first, trickled(small, size, 70_000) as second:
            await until(lambda: WEIGHT * 140_000 < budget.holds(Share.CALLS) < WEIGHT * 144_000, what="two slow bodies")
            for _, writer in (first, second):
                writer.write(b"x" * (size - 71_000))
            answers = [await reader.readline() for reader, _ in (first, second)]
            assert any(b"503" in line for line in answers), answers
        await until(lambda: budget.holds(Share.CALLS) == 0, what="room that both held")

    async def test_is_given_up_after_a_time_that_its_size_sets(
        self, small: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arriving, "SHORTEST_LIMIT", 0.1)
        monkeypatch.setattr(arriving, "LEAST_RATE", 10_000_000)
        async with trickled(small, 100_000, 1_000) as (reader, _):
            assert b"408" in await reader.readline()


class TestAReportThatDoesNotArrive:
    @pytest.fixture(autouse=True)
    def soon_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arriving, "SLOW_AFTER", 0.05)

    async def test_holds_room_for_what_has_arrived_alone(self, small: Gateway) -> None:
        task_id, size = await small.submit(), 900_000
        budget = small.app[BUDGET]
        assert WEIGHT * size > TOTAL
        async with trickled(small, size, 1_000, f"/mesh/{task_id}/final", FINAL):
            await until(lambda: 0 < budget.holds(Share.REPORTS) < WEIGHT * 2_000, what="room that was given back")
            await small.finish(await small.submit("anything", {"text": LARGE[:200_000]}), LARGE[:200_000])
        await until(lambda: budget.holds(Share.REPORTS) == 0, what="room that the closed one held")

    async def test_is_taken_where_two_would_wait_for_each_other(self, small: Gateway) -> None:
        budget, size = small.app[BUDGET], 350_000
        assert WEIGHT * 2 * size > TOTAL
        paths = [f"/mesh/{await small.submit()}/final" for _ in range(2)]
        async with (
            trickled(small, size, 70_000, paths[0], FINAL) as first,
            trickled(small, size, 70_000, paths[1], FINAL) as second,
        ):
            arrived = 2 * (70_000 + len(FINAL))
            await until(lambda: budget.holds(Share.REPORTS) == WEIGHT * arrived, what="two slow reports")
            # Beside them there is room for neither.
            taken = fill(small, Share.REPORTS)
            for _, writer in (first, second):
                writer.write(b"x" * (size - 70_000 - len(FINAL) - 2) + b'"}')
            for reader, _ in (first, second):
                async with asyncio.timeout(20):
                    assert b" 200 " in await reader.readline()
        budget.give_back(Share.REPORTS, taken)
        await until(lambda: not any(budget.held().values()), what="an empty budget")

    async def test_has_no_less_time_because_it_waited_for_room(
        self, small: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        budget, size = small.app[BUDGET], 350_000
        monkeypatch.setattr(arriving, "BODY_SECONDS", 1.0)
        monkeypatch.setattr(arriving, "TURN_ASKED_EVERY", 0.8)
        first_id, second_id = await small.submit(), await small.submit()
        async with trickled(small, size, 70_000, f"/mesh/{first_id}/final", FINAL) as (stuck, _):
            await until(lambda: 0 < budget.holds(Share.REPORTS) < WEIGHT * size, what="the first slow report")
            async with trickled(small, size, 70_000, f"/mesh/{second_id}/final", FINAL) as (reader, writer):
                arrived = 2 * (70_000 + len(FINAL))
                await until(lambda: budget.holds(Share.REPORTS) == WEIGHT * arrived, what="the second slow report")
                budget.charge(Share.CALLS, TOTAL)
                writer.write(b"x" * (size - 70_000 - len(FINAL) - 2) + b'"}')
                async with asyncio.timeout(20):
                    assert b" 408 " in await stuck.readline()
                    assert b" 200 " in await reader.readline()


def test_a_body_has_time_by_its_size() -> None:
    assert arriving.seconds_for(Share.CALLS, 1_000) == pytest.approx(10, abs=0.1)
    assert 40 < arriving.seconds_for(Share.CALLS, 9_500_000) < arriving.BODY_SECONDS
    assert arriving.seconds_for(Share.CALLS, 10**9) == arriving.BODY_SECONDS
    assert arriving.seconds_for(Share.CALLS, None) == arriving.BODY_SECONDS
    assert arriving.seconds_for(Share.REPORTS, 1_000) == arriving.BODY_SECONDS
