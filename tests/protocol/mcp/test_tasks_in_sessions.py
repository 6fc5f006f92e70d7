"""Tasks of 2025-11-25 that a session has made, on its standalone stream: status, progress, and questions for which
nobody waits with tasks/result. The stream is at one replica, everything else at the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.protocols.http.keys import STREAMS
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS
from asya_gateway.protocols.mcp.tasks import standing_questions
from tests.support.gateway import Gateway
from tests.support.inputs import AT_A_URL, NAME, pause_body
from tests.support.mcp import Actor, conforms, message
from tests.support.mcp_sessions import Client, Stream, connect, events, replicas
from tests.support.waiting import until

VERSION = "2025-11-25"
RELATED = "io.modelcontextprotocol/related-task"
ADA = {"action": "accept", "content": {"name": "Ada"}}


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Gateway]]:
    async with replicas(database_url, keepalive_interval=0.2, public_url="https://gateway.example") as made:
        yield made


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are not left to tasks/result first."""
    monkeypatch.setattr(standing_questions, "ASK_AFTER", 0.0)


async def made(client: Client, actor: Actor, *, token: Any = None, name: str = "anything") -> str:
    """A task of this session, which runs."""
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    result = await client.ask("tools/call", {"name": name, "arguments": {}, "task": {}, **meta}, actor.gateway)
    task_id, _ = await actor.take()
    assert result["task"]["taskId"] == task_id
    return task_id


async def asks(actor: Actor, task_id: str) -> None:
    status, answer = await actor.gateway.post(
        f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": {"name": NAME}})
    )
    assert status == 200, answer


async def next_of(stream: Stream, method: str) -> dict[str, Any]:
    """The next message of this method; others are skipped."""
    while (found := await stream.message())["method"] != method:
        pass
    message: dict[str, Any] = found
    return message


async def goes_on(pair: list[Gateway]) -> None:
    """Wait until the only task's second envelope was handed over."""
    await until(lambda: sum(len(each.running.handed) for each in pair) == 2, what="the task to go on")


async def both_ask(gateway: Gateway) -> None:
    """Wait until both streams of the only session have asked the same question."""
    database = gateway.running.storage.database

    async def twice() -> bool:
        return bool(await database.fetchval("SELECT max(events) FROM mcp_sessions") == 2)

    await until(twice, what="both streams to ask")


@contextlib.asynccontextmanager
async def waiting(client: Client, task_id: str, at: Gateway) -> AsyncIterator[Stream]:
    """The stream of a tasks/result."""
    async with client.post(message("tasks/result", {"taskId": task_id}, client.new_id()), at) as response:
        assert response.status == 200
        yield Stream(response)


async def test_progress_goes_on_under_the_token_of_the_call_until_the_task_ends(pair: list[Gateway]) -> None:
    """utilities/progress: 'For task-augmented requests, the progressToken provided in the original request MUST
    continue to be used for progress notifications throughout the task's lifetime'."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        task_id = await made(client, actor, token="mine")
        values: list[float] = []
        for state in ("received", "processing"):
            await actor.report(task_id, state, message=state)
            told = await next_of(stream, "notifications/progress")
            conforms(told, "ProgressNotification", VERSION)
            assert told["params"]["progressToken"] == "mine"
            assert told["params"]["_meta"] == {RELATED: {"taskId": task_id}}
            values.append(told["params"]["progress"])
        last = stream.last_id
    # It rises also if the stream goes on at the other replica.
    async with client.listen(pair[0], last=last) as stream:
        await stream.next()

        reading = asyncio.create_task(next_of(stream, "notifications/progress"))

        async def heard() -> bool:
            await actor.report(task_id, "processing", message="again")
            return reading.done()

        # Only what is reported after the stream has begun to follow the task is told on it.
        await until(heard)
        values.append((await reading)["params"]["progress"])
        await actor.end(task_id, result=1)
        while (ended := await stream.message())["method"] == "notifications/progress":
            values.append(ended["params"]["progress"])
        assert (ended["method"], ended["params"]["status"]) == ("notifications/tasks/status", "completed")
    assert values == sorted(set(values))
    assert values[-1] < 100


async def test_each_change_of_status_is_told_once(pair: list[Gateway], at_once: None) -> None:
    """utilities/tasks, "Task Status Notification": 'When a task status changes, receivers MAY send a
    notifications/tasks/status notification'."""
    client, actor = await connect(*pair, capabilities={}), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        task_id = await made(client, actor)
        other = await made(await connect(*pair), actor)
        await actor.report(other, "received")
        await asks(actor, task_id)
        told = [await stream.message()]
        status, _ = await pair[1].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
        assert status == 200
        told.append(await stream.message())
        await actor.end(task_id, result={"isError": True, "content": [{"type": "text", "text": "no"}]})
        told.append(await stream.message())
    for each in told:
        conforms(each, "TaskStatusNotification", VERSION)
        assert RELATED not in each["params"].get("_meta", {})
    assert [each["params"]["taskId"] for each in told] == [task_id] * 3
    assert [each["params"]["status"] for each in told] == ["input_required", "working", "failed"]


async def test_a_client_that_only_polls_is_asked_on_its_standalone_stream(pair: list[Gateway], at_once: None) -> None:
    """utilities/tasks, "Related Task Metadata": 'All requests, notifications, and responses related to a task MUST
    include the io.modelcontextprotocol/related-task key'."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        task_id = await made(client, actor)
        await asks(actor, task_id)
        asked = await next_of(stream, "elicitation/create")
        conforms(asked, "ElicitRequest", VERSION)
        assert asked["params"]["_meta"][RELATED] == {"taskId": task_id}
        await client.respond(asked["id"], ADA, pair[0])
        # The replica that took the answer or the one that asked hands the task on, and only one of them.
        await goes_on(pair)
        await actor.end(task_id, result="done")
        while (told := await next_of(stream, "notifications/tasks/status"))["params"]["status"] != "completed":
            pass
        assert told["params"]["taskId"] == task_id


async def test_who_waits_for_the_result_is_asked_there_and_only_there(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """transports: 'The server MUST send each of its JSON-RPC messages on only one of the connected streams'."""
    monkeypatch.setattr(standing_questions, "ASK_AFTER", 3600.0)
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        task_id = await made(client, actor)
        async with waiting(client, task_id, pair[0]) as result:
            await asks(actor, task_id)
            asked = await next_of(result, "elicitation/create")
            monkeypatch.setattr(standing_questions, "ASK_AFTER", 0.0)
            await both_ask(pair[0])
            await client.respond(asked["id"], ADA, pair[1])
            await goes_on(pair)
            await actor.end(task_id, result="done")
            assert (await result.message())["result"]["content"][0]["text"] == "done"
        seen = [await stream.message()]
        while seen[-1]["params"].get("status") != "completed":
            seen.append(await stream.message())
    assert {each["method"] for each in seen} == {"notifications/tasks/status"}


async def test_a_question_moves_to_tasks_result_when_the_standalone_stream_ends(
    pair: list[Gateway], at_once: None
) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        task_id = await made(client, actor)
        await asks(actor, task_id)
        first = await next_of(stream, "elicitation/create")
        last = stream.last_id
        async with waiting(client, task_id, pair[0]) as result:
            await both_ask(pair[0])
            stream.response.close()
            # It was not asked twice while both were open: this is the first message.
            again = await result.message()
            assert (again["method"], again["id"]) == ("elicitation/create", first["id"])
            async with client.listen(pair[1], last=last) as back:
                await back.next()
                await client.respond(first["id"], ADA, pair[1])
                await goes_on(pair)
                await actor.end(task_id, result="done")
                assert (await result.message())["result"]["content"][0]["text"] == "done"
                while (told := await back.message())["params"].get("status") != "completed":
                    assert told["method"] == "notifications/tasks/status"


async def test_a_stream_that_comes_back_asks_what_had_not_arrived_and_withdraws_what_is_answered(
    pair: list[Gateway], at_once: None
) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        before = stream.last_id
        task_id = await made(client, actor)
        await asks(actor, task_id)
        first = await next_of(stream, "elicitation/create")
        last = stream.last_id
    async with client.listen(pair[0], last=before) as stream:
        assert (await next_of(stream, "elicitation/create"))["id"] == first["id"]
    async with client.listen(pair[1], last=last) as stream:
        # The question is known here, and answered elsewhere.
        assert (await next_of(stream, "notifications/tasks/status"))["params"]["status"] == "input_required"
        status, _ = await pair[0].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
        assert status == 200
        found = await next_of(stream, "notifications/cancelled")
        assert found["params"]["requestId"] == first["id"]


async def test_a_stream_that_comes_back_tells_what_was_answered_without_it(pair: list[Gateway], at_once: None) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        task_id = await made(client, actor)
        await asks(actor, task_id)
        asked = await next_of(stream, "elicitation/create")
        last = stream.last_id
    await until(lambda: len(pair[1].app[STREAMS]) == 0, what="the end of the stream")
    status, _ = await pair[0].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
    assert status == 200
    async with client.listen(pair[0], last=last) as stream:
        withdrawn = await next_of(stream, "notifications/cancelled")
        assert withdrawn["params"]["requestId"] == asked["id"]
        assert withdrawn["params"]["_meta"] == {RELATED: {"taskId": task_id}}


async def test_a_question_that_falls_into_an_outage_costs_no_other_one(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are due in one turn, and the database is away for the second."""
    monkeypatch.setattr(standing_questions, "ASK_AFTER", 3600.0)
    client, actor = await connect(*pair), Actor(pair[0])
    requests = pair[1].app[SESSIONS].requests
    ask, asked = requests.ask, list[None]()

    async def away_for_the_second(*arguments: Any) -> Any:
        asked.append(None)
        if len(asked) == 2:
            raise Unavailable("away")
        return await ask(*arguments)

    monkeypatch.setattr(requests, "ask", away_for_the_second)
    async with client.listen(pair[1]) as stream:
        await stream.next()
        tasks = [await made(client, actor) for _ in range(2)]
        for each in tasks:
            await asks(actor, each)
            assert (await next_of(stream, "notifications/tasks/status"))["params"]["status"] == "input_required"
        monkeypatch.setattr(standing_questions, "ASK_AFTER", 0.0)
        found = [await next_of(stream, "elicitation/create") for _ in tasks]
    assert {each["params"]["_meta"][RELATED]["taskId"] for each in found} == set(tasks)
    assert len(asked) == 3


async def test_a_wait_for_a_result_goes_on_at_another_replica(database_url: str) -> None:
    """transports, "Resumability and Redelivery": "The server MAY use this header to replay messages that would have
    been sent after the last event ID, on the stream that was disconnected, and to resume the stream from that
    point"."""
    async with replicas(database_url, mcp_progress_interval=0.05) as pair:
        client, actor = await connect(*pair), Actor(pair[0])
        task_id = await made(client, actor)
        body = message("tasks/result", {"taskId": task_id, "_meta": {"progressToken": "w"}}, "wait")
        values: list[float] = []
        async with client.post(body, pair[0]) as response:
            stream = Stream(response)
            first = await stream.next()
            assert first is not None
            assert (first.data, stream.retry) == (None, 1000)
            values.append((await next_of(stream, "notifications/progress"))["params"]["progress"])
            await asks(actor, task_id)
            asked = await next_of(stream, "elicitation/create")
            last = stream.last_id
        # Who had not seen the question gets it again, who had is told that it was answered elsewhere.
        async with client.listen(pair[1], last=first.id) as stream:
            assert (await next_of(stream, "elicitation/create"))["id"] == asked["id"]
        status, _ = await pair[0].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
        assert status == 200
        async with client.listen(pair[1], last=last) as stream:
            withdrawn = await next_of(stream, "notifications/cancelled")
            assert withdrawn["params"]["requestId"] == asked["id"]
            assert withdrawn["params"]["_meta"] == {RELATED: {"taskId": task_id}}
            values.append((await next_of(stream, "notifications/progress"))["params"]["progress"])
        await actor.end(task_id, result="done")
        for gateway in pair:
            async with client.listen(gateway, last=last) as stream:
                while "result" not in (answer := await stream.message()):
                    pass
            assert (answer["id"], answer["result"]["_meta"][RELATED]) == ("wait", {"taskId": task_id})
        assert values == sorted(set(values))


async def test_who_stops_to_wait_for_a_result_ends_no_task(pair: list[Gateway]) -> None:
    """A task is canceled by tasks/cancel, a request by its id."""
    client, actor = await connect(*pair), Actor(pair[0])
    task_id = await made(client, actor)
    async with client.post(message("tasks/result", {"taskId": task_id}, "wait"), pair[0]) as response:
        stream = Stream(response)
        await stream.next()
        await client.notify("cancelled", {"requestId": "wait"}, pair[1])
        assert [event.data async for event in events(stream)] == []
    async with client.listen(pair[1], last=stream.last_id, status=400):
        pass
    assert await actor.status(task_id) == "pending"
    await actor.end(task_id, result="done")
    assert (await client.ask("tasks/result", {"taskId": task_id}))["content"][0]["text"] == "done"


async def test_the_end_of_a_question_at_a_url_is_told(pair: list[Gateway], at_once: None) -> None:
    """client/elicitation, "Completion Notifications for URL Mode Elicitation"."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        task_id = await made(client, actor)
        status, _ = await pair[0].post(f"/mesh/{task_id}/progress", pause_body(task_id, AT_A_URL))
        assert status == 200
        asked = await next_of(stream, "elicitation/create")
        assert asked["params"]["url"] == AT_A_URL["url"]
        status, _ = await pair[0].post(f"/tasks/{task_id}/resume", {"answer": {"lines": []}})
        assert status == 200
        withdrawn = await next_of(stream, "notifications/cancelled")
        assert withdrawn["params"]["requestId"] == asked["id"]
        complete = await next_of(stream, "notifications/elicitation/complete")
        conforms(complete, "ElicitationCompleteNotification", VERSION)
        assert complete["params"]["elicitationId"] == asked["params"]["elicitationId"]
        for each in (asked, withdrawn, complete):
            assert each["params"]["_meta"] == {RELATED: {"taskId": task_id}}
