"""HTTP+SSE of 2024-11-05 (basic/transports, "HTTP with SSE"), with every message posted at the other replica."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from mcp import Client as SdkClient
from mcp.client.sse import sse_client

from asya_gateway.protocols.http.keys import HELD
from asya_gateway.protocols.mcp.tasks import standing_questions
from asya_gateway.protocols.mcp.transports import sse_stream
from asya_gateway.protocols.mcp.transports.http_sse import STREAMS
from asya_gateway.protocols.mcp.transports.sse_stream import SseStream
from tests.support.gateway import Gateway
from tests.support.inputs import NAME, pause_body
from tests.support.mcp import Actor, message
from tests.support.mcp_sessions import open_sse, replicas
from tests.support.waiting import until


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Gateway]]:
    async with replicas(database_url, keepalive_interval=0.2) as made:
        yield made


async def test_the_first_event_names_the_url_for_messages(pair: list[Gateway]) -> None:
    """'When a client connects, the server MUST send an endpoint event containing a URI for the client to use for
    sending messages.'"""
    async with open_sse(pair) as client:
        assert client.endpoint.startswith("/mcp/messages?session_id=")


@pytest.mark.parametrize("at", [0, 1])
async def test_answers_come_on_the_stream_whoever_takes_the_message(pair: list[Gateway], at: int) -> None:
    """'All subsequent client messages MUST be sent as HTTP POST requests to this endpoint. Server messages are sent as
    SSE message events'."""
    async with open_sse(pair) as client:
        client.at = pair[at]
        said = await client.initialize()
        assert said["protocolVersion"] == "2024-11-05"
        assert "completions" not in said["capabilities"]
        tools = (await client.ask("tools/list"))["result"]["tools"]
        assert not any("annotations" in tool for tool in tools)
        assert (await client.ask("nothing"))["error"]["code"] == -32601
        assert (await client.ask("ping", id="p"))["result"] == {}


async def test_a_call_is_answered_with_its_progress(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        await client.initialize("2025-06-18")
        params = {"name": "anything", "arguments": {}, "_meta": {"progressToken": "p"}}
        assert await client.post(message("tools/call", params, 4)) == 202
        await Actor(pair[0]).serve({"n": 1})
        seen = [await client.stream.message()]
        while "result" not in seen[-1]:
            seen.append(await client.stream.message())
        assert {each["method"] for each in seen[:-1]} == {"notifications/progress"}
        assert (seen[-1]["id"], seen[-1]["result"]["structuredContent"]) == (4, {"n": 1})


async def test_a_level_counts_for_the_call_that_follows_its_answer(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the word that the session has changed is lost."""
    monkeypatch.setattr(SseStream, "changed", lambda _stream, _session: None)
    async with open_sse(pair) as client:
        client.at = pair[0]
        await client.initialize("2025-06-18")
        assert (await client.ask("logging/setLevel", {"level": "info"}))["result"] == {}
        assert await client.post(message("tools/call", {"name": "anything"}, 4)) == 202
        actor = Actor(pair[0])
        task_id, _ = await actor.take()
        await until(lambda: pair[0].running.storage.feed.followers > 0, what="the call to be followed")
        await actor.fly(task_id, {"log": {"level": "info", "data": "said"}})
        told = await client.stream.message()
        assert (told["method"], told["params"]["data"]) == ("notifications/message", "said")
        await actor.end(task_id, result=1)
        assert (await client.stream.message())["id"] == 4


async def test_its_tasks_of_the_newest_handshake_are_told_of_and_ask_there(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_questions, "ASK_AFTER", 0.0)
    async with open_sse(pair) as client:
        await client.initialize("2025-11-25")
        params = {"name": "anything", "arguments": {}, "task": {}, "_meta": {"progressToken": "p"}}
        made = (await client.ask("tools/call", params, 4))["result"]["task"]
        actor = Actor(pair[1])
        handed = [each.running.handed for each in pair]
        await until(lambda: any(handed), what="the call")
        status, _ = await pair[1].post(
            f"/mesh/{made['taskId']}/progress", pause_body(made["taskId"], {"inputs": {"name": NAME}})
        )
        assert status == 200
        seen = [await client.stream.message()]
        while seen[-1]["method"] != "elicitation/create":
            seen.append(await client.stream.message())
        result = {"action": "accept", "content": {"name": "Ada"}}
        assert await client.post({"jsonrpc": "2.0", "id": seen[-1]["id"], "result": result}) == 202
        await until(lambda: sum(map(len, handed)) == 2, what="the task to go on")
        await actor.end(made["taskId"], result=1)
        while seen[-1]["params"].get("status") != "completed":
            seen.append(await client.stream.message())
    assert {each["method"] for each in seen} == {
        "notifications/progress",
        "notifications/tasks/status",
        "elicitation/create",
    }


async def test_a_call_is_canceled_from_the_other_replica(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        await client.initialize()
        assert await client.post(message("tools/call", {"name": "anything"}, 4)) == 202
        actor = Actor(pair[0])
        task_id, _ = await actor.take()
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}}

        async def canceled() -> bool:
            assert await client.post(cancel) == 202
            return await actor.status(task_id) == "canceled"

        await until(canceled)
        assert (await client.ask("ping", id=5))["id"] == 5


async def test_a_question_is_asked_and_answered_on_the_stream(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        await client.initialize("2025-11-25")
        assert await client.post(message("tools/call", {"name": "anything"}, 4)) == 202
        actor = Actor(pair[0])
        task_id, _ = await actor.take()
        await pair[0].post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": {"name": NAME}}))
        asked = await client.stream.message()
        assert asked["method"] == "elicitation/create"
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"name": "Ada"}}}
        assert await client.post(answer) == 202

        async def running() -> bool:
            return await actor.status(task_id) == "running"

        await until(running)
        await actor.end(task_id, result="done")
        assert (await client.stream.message())["result"]["content"][0]["text"] == "done"


async def test_the_session_ends_with_its_stream_and_its_calls_go_on(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        await client.initialize()
        assert await client.post(message("tools/call", {"name": "anything"}, 4)) == 202
        actor = Actor(pair[0])
        task_id, _ = await actor.take()

    async def gone() -> bool:
        return await client.post(message("ping")) == 404

    await until(gone)
    assert await actor.status(task_id) == "pending"


async def test_a_stream_takes_few_messages_at_once(pair: list[Gateway], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those that nobody answers, and which a client could send without end."""
    monkeypatch.setattr(sse_stream, "MOST_TAKEN", 2)
    async with open_sse(pair) as client:
        await client.initialize("2025-06-18")
        # What it said last waited at the other replica, and is done when what was said after it is answered.
        assert (await client.ask("ping", id=3))["result"] == {}
        (stream,) = pair[0].app[STREAMS].values()
        await until(lambda: not stream._messages, what="a stream that does nothing")
        actor = Actor(pair[0])
        for id in (4, 5):
            assert await client.post(message("tools/call", {"name": "anything"}, id), pair[0]) == 202
        tasks = [(await actor.take())[0] for _ in range(2)]
        assert await client.post({"jsonrpc": "2.0", "method": "notifications/x"}, pair[0]) == 503
        # What another replica took waits for its turn.
        assert await client.post(message("ping", id=6), pair[1]) == 202
        await actor.end(tasks[0], result=1)
        answered = {(await client.stream.message())["id"] for _ in range(2)}
        assert 6 in answered
        await actor.end(tasks[1], result=1)
        assert answered | {(await client.stream.message())["id"]} == {4, 5, 6}


@pytest.mark.parametrize("at", [0, 1])
async def test_a_batch_of_its_revision_is_answered_message_by_message(pair: list[Gateway], at: int) -> None:
    """2025-03-26, "Batching": 'Implementations MAY support sending JSON-RPC batches, but MUST support receiving
    JSON-RPC batches.'"""
    async with open_sse(pair) as client:
        client.at = pair[at]
        await client.initialize("2025-03-26")
        call = message("tools/call", {"name": "anything"}, 4)
        hello = message("initialize", {"protocolVersion": "2025-03-26"}, 6)
        batch = [call, {"jsonrpc": "2.0", "method": "notifications/x"}, message("ping", id=5), hello, {"id": 7}]
        assert await client.post(batch) == 202
        await Actor(pair[0]).serve({"n": 1})
        answers = {answer["id"]: answer for answer in [await client.stream.message() for _ in range(4)]}
    assert answers[4]["result"]["content"][0]["text"] == '{"n":1}'
    assert answers[5]["result"] == {}
    assert {id: answers[id]["error"]["code"] for id in (6, 7)} == {6: -32600, 7: -32600}


@pytest.mark.parametrize("version", [None, "2024-11-05", "2025-06-18"])
async def test_a_batch_is_no_message_of_another_revision(pair: list[Gateway], version: str | None) -> None:
    async with open_sse(pair) as client:
        if version is not None:
            await client.initialize(version)
        for gateway in pair:
            assert await client.post([message("ping")], gateway) == 400


async def test_a_batch_has_few_messages_and_no_key(pair: list[Gateway], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_stream, "MOST_TAKEN", 3)
    async with open_sse(pair) as client:
        await client.initialize("2025-03-26")
        for batch in ([], [message("ping", id=n) for n in range(51)]):
            assert await client.post(batch) == 400
        assert await client.post([message("ping")], pair[0], **{"Idempotency-Key": "one"}) == 400
        for at in pair:
            assert await client.post([message("ping", id=n) for n in range(5)], at) == 202
            assert {(await client.stream.message())["id"] for _ in range(5)} == set(range(5))


async def test_calls_on_a_stream_count_as_held_requests_too(database_url: str) -> None:
    async with replicas(database_url, 1, max_streams=3) as (only,), open_sse([only]) as client:
        await client.initialize("2025-06-18")
        actor = Actor(only)
        tasks = []
        for id in (4, 5):
            assert await client.post(message("tools/call", {"name": "anything"}, id)) == 202
            # Taken before the next one is sent, since both are answered before they are stored.
            tasks.append((await actor.take())[0])
        assert len(only.app[HELD]) == 3
        refused = await client.ask("tools/call", {"name": "anything"}, 6)
        assert "at most 3 requests" in refused["error"]["message"]
        # What is answered at once is not held.
        assert (await client.ask("ping", id=7))["result"] == {}
        await actor.end(tasks[0], result=1)
        assert (await client.stream.message())["id"] == 4
        assert await client.post(message("tools/call", {"name": "anything"}, 8)) == 202
        tasks.append((await actor.take())[0])
        assert await only.stored() == 3
    await until(lambda: len(only.app[HELD]) == 0)


async def test_behind_a_proxy_with_a_path_the_url_has_it(database_url: str) -> None:
    async with replicas(database_url, 1, public_url="https://gateway.example/base/") as made, open_sse(made) as client:
        assert client.endpoint.startswith("/base/mcp/messages?session_id=")


async def test_what_is_no_message_is_400_and_an_unknown_session_404(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        for gateway in pair:
            async with gateway.session.post(gateway.url + client.endpoint, data=b"{", headers=JSON) as response:
                assert response.status == 400
            for body in ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, [message("ping")], 7, {}):
                assert await client.post(body, gateway) == 400
            for query, status in (
                ("", 400),
                ("?session_id=", 400),
                ("?session_id=x", 404),
                ("?session_id=a&session_id=b", 400),
            ):
                async with gateway.session.post(f"{gateway.url}/mcp/messages{query}", json=message("ping")) as response:
                    assert response.status == status
    async with pair[0].session.post(pair[0].url + "/mcp/sse", json=message("ping")) as response:
        assert response.status in (404, 405)


JSON = {"Content-Type": "application/json"}


async def test_a_session_of_one_transport_is_unknown_in_the_other(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        headers = {"Mcp-Session-Id": client.endpoint.rsplit("=", 1)[1], "Accept": "application/json"}
        async with pair[0].session.post(pair[0].url + "/mcp", json=message("ping"), headers=headers) as response:
            assert response.status == 404


async def test_the_official_client_calls_a_tool(pair: list[Gateway]) -> None:
    actor = Actor(pair[0])
    async with SdkClient(sse_client(f"{pair[0].url}/mcp/sse"), mode="legacy") as client:
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"anything", "shout"}
        serving = asyncio.create_task(actor.serve({"n": 2}))
        result = await client.call_tool("anything", {})
        await serving
    assert result.structured_content == {"n": 2}


async def test_a_stream_ends_if_its_gateway_drains(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        pair[0].stop.set()
        with contextlib.suppress(aiohttp.ClientError):
            assert await client.stream.next() is None


async def test_a_key_in_the_headers_of_a_message_names_one_task(pair: list[Gateway]) -> None:
    async with open_sse(pair) as client:
        await client.initialize("2025-06-18")
        call = message("tools/call", {"name": "anything", "arguments": {}}, 4)
        for at in pair:
            assert await client.post(call, at, **{"Idempotency-Key": "once"}) == 202
        task_id = await Actor(pair[0]).serve({"n": 1})
        answers = [await client.stream.message() for _ in range(2)]
        assert [answer["result"]["structuredContent"] for answer in answers] == [{"n": 1}] * 2
        assert await pair[0].stored() == 1
        assert task_id
        other = message("tools/call", {"name": "anything", "_meta": {"sh.asya/idempotencyKey": "two"}}, 5)
        assert await client.post(other, pair[0], **{"Idempotency-Key": "once"}) == 400
