"""How much one caller may do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor
from tests.support.mcp_sessions import connect
from tests.support.principals import Tokens, bearer, closed

JSON = {"Accept": "application/json"}


async def start(url: str, **settings: Any) -> Any:
    return start_gateway(url, doors=closed(Tokens(alice="mcp:read mcp:invoke", bob="mcp:read mcp:invoke")), **settings)


@pytest.fixture
async def slow(database_url: str) -> AsyncIterator[Gateway]:
    async with await start(database_url, rate_per_principal=2) as made:
        yield made


async def statuses(gateway: Gateway, count: int, method: str, path: str, token: str, body: Any = None) -> list[int]:
    return [(await gateway.call(method, path, body, headers=bearer(token)))[0] for _ in range(count)]


async def test_a_caller_beyond_its_rate_gets_429_and_others_do_not(slow: Gateway) -> None:
    calls = await asyncio.gather(
        *(slow.post("/tools/call", {"name": "anything"}, headers=bearer("alice") | JSON) for _ in range(6))
    )
    assert sorted({status for status, _ in calls}) == [200, 429]
    [refused, *_] = [answer for status, answer in calls if status == 429]
    assert refused["error"]["code"] == "too_many_requests"
    assert await statuses(slow, 2, "POST", "/tools/call", "bob", {"name": "anything"}) == [200, 200]


async def test_lists_do_not_count(slow: Gateway) -> None:
    for path in ("/tasks", "/flows", "/openapi.json"):
        assert set(await statuses(slow, 5, "GET", path, "alice")) == {200}


async def test_messages_count_not_requests(slow: Gateway) -> None:
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "nothing"}}
    batch = [{**call, "id": number} for number in range(5)] + [{"jsonrpc": "2.0", "id": 9, "method": "tools/list"}]
    headers = {
        **bearer("alice"),
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-03-26",
    }
    status, answers = await slow.post("/mcp", batch, headers=headers)
    assert status == 200
    texts = [answer["error"]["message"] if "error" in answer else "" for answer in answers]
    assert sum("messages" in text for text in texts) >= 2
    assert sum("Unknown tool" in text for text in texts) >= 2
    assert texts[-1] == ""
    completion = {"ref": {"type": "ref/prompt", "name": "nothing"}, "argument": {"name": "a", "value": ""}}
    suggested = [{"jsonrpc": "2.0", "id": id, "method": "completion/complete", "params": completion} for id in range(5)]
    status, answers = await slow.post("/mcp", suggested, headers={**headers, **bearer("bob")})
    assert status == 200
    assert sum("messages" in answer["error"]["message"] for answer in answers) >= 2


CHANGES: dict[str, Any] = {
    "level": {"id": 1, "method": "logging/setLevel", "params": {"level": "info"}},
    "subscription": {"id": 1, "method": "resources/subscribe", "params": {"uri": "docs://a"}},
    "its end": {"id": 1, "method": "resources/unsubscribe", "params": {"uri": "docs://a"}},
    "tasks": {"id": 1, "method": "tasks/list", "params": {}},
    "cancellation": {"method": "notifications/cancelled", "params": {"requestId": 7}},
    "response": {"id": "0" * 24, "result": {}},
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_reads_or_changes_rows_of_a_session_counts(slow: Gateway, change: str) -> None:
    client = await connect(slow, headers=bearer("alice"))
    body = {"jsonrpc": "2.0", **CHANGES[change]}
    sent = await asyncio.gather(*(client.send(body) for _ in range(6)))
    statuses = {status for status, _ in sent}
    assert (429 in statuses, statuses <= {200, 202, 429}) == (True, True)
    # What changes nothing, and lists of what is offered, do not.
    for harmless in ({"method": "notifications/initialized"}, {"id": 1, "method": "ping"}, {"id": "x", "result": {}}):
        sent = await asyncio.gather(*(client.send({"jsonrpc": "2.0", **harmless}) for _ in range(6)))
        assert {status for status, _ in sent} <= {200, 202}


async def test_a_flow_beyond_its_rate_gets_429_whoever_calls_it(database_url: str) -> None:
    async with await start(database_url, rate_per_flow=2) as made:
        calls = await asyncio.gather(
            *(
                made.post("/tools/call", {"name": "anything"}, headers=bearer(token))
                for token in ("alice", "bob", "alice", "bob", "alice", "bob")
            )
        )
        assert 429 in {status for status, _ in calls}
        body = {"name": "shout", "arguments": {"text": "x"}}
        assert (await made.post("/tools/call", body, headers=bearer("alice")))[0] == 200


async def test_a_caller_has_a_bounded_number_of_open_requests(database_url: str) -> None:
    async with await start(database_url, max_streams_per_principal=1) as made:
        ids = []
        for token in ("alice", "bob"):
            await made.post("/tools/call", {"name": "anything"}, headers=bearer(token))
            page = (await made.get("/tasks", headers=bearer(token)))[1]
            ids.append(page["tasks"][0]["id"])
        async with made.stream(f"/stream/{ids[0]}", **bearer("alice")):
            status, answer = await made.get(f"/stream/{ids[0]}", headers=bearer("alice") | JSON)
            assert (status, answer["error"]["code"]) == (429, "too_many_requests")
            async with made.stream(f"/stream/{ids[1]}", **bearer("bob")):
                pass


async def test_a_refusal_says_when_to_come_again(slow: Gateway) -> None:
    for _ in range(4):
        async with slow.session.get(f"{slow.url}/tasks/none", headers=bearer("alice")) as response:
            if response.status == 429:
                assert response.headers["Retry-After"] == "1"
                return
    pytest.fail("no request was refused")


async def test_a_batch_beyond_the_open_requests_of_its_caller_is_answered_message_by_message(
    database_url: str,
) -> None:
    async with await start(database_url, max_streams_per_principal=1) as made:
        call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "shout", "arguments": {"text": "x"}}}
        headers = {**bearer("alice"), "Accept": "application/json", "MCP-Protocol-Version": "2025-03-26"}
        batch = asyncio.create_task(made.post("/mcp", [{**call, "id": 1}, {**call, "id": 2}], headers=headers))
        actor = Actor(made)
        await actor.serve({"n": 1})
        status, answers = await batch
        assert status == 200
        assert [answer["id"] for answer in answers if "result" in answer] == [1]
        [refused] = [answer["error"] for answer in answers if "error" in answer]
        assert "at most 1 requests" in refused["message"]
        assert len((await made.get("/tasks", headers=bearer("alice")))[1]["tasks"]) == 1
