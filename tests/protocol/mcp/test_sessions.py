"""Sessions of 2024-11-05 to 2025-11-25 (2025-11-25, basic/transports, "Session Management"), on two replicas."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from asya_gateway.domain.sessions.ports import OpenCall
from asya_gateway.domain.sessions.session import SessionId
from asya_gateway.storage.sessions.calls import PostgresCalls
from tests.protocol.mcp.offers import GREETING, HANDBOOK
from tests.support.gateway import Gateway
from tests.support.mcp import HANDSHAKE_VERSIONS, TOOLS, Actor, message, serve_tools
from tests.support.mcp_sessions import HEADER, Client, connect, events, replicas
from tests.support.waiting import until


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Gateway]]:
    async with replicas(database_url, keepalive_interval=0.2) as made:
        yield made


async def status_of(client: Client, gateway: Gateway) -> int:
    return (await client.send(message("ping"), gateway))[0]


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_session_id_is_assigned_and_served_by_every_replica(pair: list[Gateway], version: str) -> None:
    """'A server using the Streamable HTTP transport MAY assign a session ID at initialization time ... The session ID
    MUST only contain visible ASCII characters (ranging from 0x21 to 0x7E).'"""
    client = await connect(*pair, version=version)
    assert re.fullmatch(r"[\x21-\x7e]{22,64}", client.id)
    for gateway in (*pair, *pair):
        assert await client.ask("ping", at=gateway) == {}


async def test_two_sessions_have_two_ids_and_the_database_has_neither(pair: list[Gateway]) -> None:
    """'The session ID SHOULD be globally unique and cryptographically secure'."""
    one, two = await connect(*pair), await connect(*pair)
    assert one.id != two.id
    rows = await pair[0].running.storage.database.fetch("SELECT * FROM mcp_sessions")
    assert len(rows) == 2
    assert not any(one.id in str(value) for row in rows for value in row.values())


async def test_an_ended_session_is_unknown_on_every_replica_at_once(pair: list[Gateway]) -> None:
    """'The server MAY terminate the session at any time, after which it MUST respond to requests containing that
    session ID with HTTP 404 Not Found.' 'Clients that no longer need a particular session ... SHOULD send an HTTP
    DELETE to the MCP endpoint with the Mcp-Session-Id header'."""
    client = await connect(*pair)
    assert [await status_of(client, gateway) for gateway in pair] == [200, 200]
    assert await client.delete(pair[1]) == 204
    assert [await status_of(client, gateway) for gateway in pair] == [404, 404]
    assert await client.delete(pair[0]) == 404
    async with client.listen(pair[0], status=404):
        pass


@pytest.mark.parametrize(
    "id", ["unknown", "x" * 64, "x" * 65, "x" * 4000, "é", " ", "a,b", str(SessionId.new())], ids=range(8)
)
async def test_an_unknown_id_is_404_in_every_method(pair: list[Gateway], id: str) -> None:
    client = await connect(*pair)
    client.id = id
    status, answer = await client.send(message("ping"))
    assert (status, answer["error"]["code"]) == (404, -32600)
    assert (await client.send({"jsonrpc": "2.0", "method": "notifications/initialized"}))[0] == 404
    assert (await client.send({"jsonrpc": "2.0", "id": "x", "result": {}}))[0] == 404
    assert await client.delete() == 404
    async with client.listen(status=404):
        pass


async def test_two_session_ids_in_one_request_name_none(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    headers = [("Accept", "application/json"), (HEADER, client.id), (HEADER, client.id)]
    async with pair[0].session.post(pair[0].url + "/mcp", json=message("ping"), headers=headers) as response:
        assert response.status == 404


async def test_a_session_goes_on_after_its_gateway_has_gone(database_url: str) -> None:
    async with replicas(database_url, 1) as first:
        client = await connect(*first)
    async with replicas(database_url, 1) as second:
        client.gateways = second
        assert await client.ask("ping", at=second[0]) == {}


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_request_may_name_another_version_than_its_session(pair: list[Gateway], version: str) -> None:
    """It is answered in its own version; an unknown one is 400 ('If the server receives a request with an invalid or
    unsupported MCP-Protocol-Version, it MUST respond with 400 Bad Request')."""
    client = await connect(*pair)
    client.version = version
    assert await client.ask("ping") == {}
    client.version = "1999-01-01"
    assert (await client.send(message("ping")))[0] == 400


async def test_a_request_without_a_version_has_that_of_its_session(pair: list[Gateway]) -> None:
    """'the server ... SHOULD assume ... the protocol version negotiated during initialization' (2025-11-25)."""
    client = await connect(*pair, version="2025-06-18")
    sent = {HEADER: client.id, "Accept": "application/json"}
    async with pair[1].session.post(pair[1].url + "/mcp", json=message("tools/list"), headers=sent) as response:
        tools = (await response.json())["result"]["tools"]
    assert any("outputSchema" in tool for tool in tools)


async def test_batches_belong_to_sessions_of_their_revision(pair: list[Gateway]) -> None:
    """2025-03-26, "Batching": receiving them MUST be supported; 2025-06-18 removed them."""
    old, new = await connect(*pair, version="2025-03-26"), await connect(*pair, version="2025-06-18")
    for client, expected in ((old, 200), (new, 400)):
        sent = {HEADER: client.id, "Accept": "application/json"}
        body = [message("ping", id=1), {"jsonrpc": "2.0", "method": "notifications/initialized"}, message("ping", id=2)]
        async with pair[1].session.post(pair[1].url + "/mcp", json=body, headers=sent) as response:
            assert response.status == expected
            answer = await response.json()
        if expected == 200:
            assert [each["id"] for each in answer] == [1, 2]


async def test_a_session_says_that_lists_change_and_messages_are_logged(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    said = (await client.ask("initialize", hello))["capabilities"]
    assert said["tools"] == {"listChanged": True}
    assert said["logging"] == {}
    assert said["resources"]["subscribe"] is True


async def test_what_a_session_declares_works_in_it(pair: list[Gateway]) -> None:
    """Lists with their changes, completions, log levels and subscriptions."""
    for gateway in pair:
        serve_tools(gateway, [*TOOLS, GREETING, HANDBOOK], generation=2)
    client = await connect(*pair)
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "tasks/get"):
        _, answer = await client.send(message(method, {"taskId": "none"}))
        assert ("result" in answer) or answer["error"]["code"] == -32602, method
    completion = {"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "language", "value": "e"}}
    assert (await client.ask("completion/complete", completion))["completion"]["values"] == ["english", "estonian"]
    assert await client.ask("logging/setLevel", {"level": "info"}) == {}
    assert await client.ask("resources/subscribe", {"uri": "docs://handbook"}) == {}
    async with client.listen(pair[0]) as stream:
        await stream.next()
        serve_tools(pair[0], TOOLS, generation=3)
        assert (await stream.message())["method"].endswith("/list_changed")


async def test_what_a_call_only_tells_is_in_no_table_of_sessions(pair: list[Gateway]) -> None:
    """It is rendered again when its stream goes on, or was for the moment."""
    client, actor = await connect(*pair), Actor(pair[0])
    await client.ask("logging/setLevel", {"level": "debug"})
    async with client.call("anything", at=pair[0], token="t") as stream:
        task_id, _ = await actor.take()
        await stream.next()
        await actor.report(task_id, "processing", message="said-in-a-report")
        await actor.fly(task_id, {"token": "said-live"})
        await actor.fly(task_id, {"log": {"level": "info", "data": "said-in-a-log"}})
        told = ""
        while not all(each in told for each in ("said-in-a-report", "said-live", "said-in-a-log")):
            told += str(await stream.message())
        await actor.end(task_id, result="said-at-the-end")
        while "said-at-the-end" not in told:
            told += str(await stream.message())
    database = pair[0].running.storage.database
    tables = [
        row["name"] for row in await database.fetch("SELECT tablename AS name FROM pg_tables") if "mcp_" in row[0]
    ]
    assert {"mcp_sessions", "mcp_calls", "mcp_server_requests", "mcp_session_tasks", "mcp_inbox"} <= set(tables)
    stored = {name: str([dict(row) for row in await database.fetch(f"SELECT * FROM {name}")]) for name in tables}
    assert task_id in stored["mcp_calls"]
    assert not [name for name, rows in stored.items() if "said-" in rows]
    # What is live is nowhere at all; reports and the end stand in the task's own log.
    updates = str([dict(row) for row in await database.fetch("SELECT detail FROM task_updates")])
    assert ("said-in-a-report" in updates, "said-live" in updates, "said-in-a-log" in updates) == (True, False, False)


async def test_a_cancellation_reaches_the_call_from_another_replica(pair: list[Gateway]) -> None:
    """utilities/cancellation: 'Receivers of cancellation notifications SHOULD: Stop processing the cancelled request
    ... Not send a response for the cancelled request'."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=7) as stream:
        task_id, _ = await actor.take()
        assert (await stream.next()) is not None
        await client.notify("cancelled", {"requestId": 7, "reason": "no longer needed"}, pair[1])
        assert [event.data async for event in events(stream)] == []
    _, task = await pair[1].get(f"/tasks/{task_id}")
    assert (task["status"], task["message"]) == ("canceled", "The client canceled its request: no longer needed")


@pytest.mark.parametrize("id", [None, True, 1.5, [], {}, 8, "7", "\x00"], ids=range(8))
async def test_a_cancellation_of_something_else_changes_nothing(pair: list[Gateway], id: object) -> None:
    """'invalid cancellation notifications SHOULD be ignored'. A number and its text are two ids."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=7) as stream:
        await actor.take()
        await client.notify("cancelled", {"requestId": id}, pair[1])
        other = await connect(*pair)
        await other.notify("cancelled", {"requestId": 7}, pair[1])
        handed = pair[0].running.handed[-1].task_id
        assert await actor.status(handed) == "pending"
        await actor.end(handed, result=1)
        assert (await stream.message())["id"] == 7


async def test_a_cancellation_that_comes_before_its_call_ends_it(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    await client.notify("cancelled", {"requestId": 7}, pair[1])
    async with client.post(message("tools/call", {"name": "anything"}, 7), pair[0]) as response:
        assert response.status == 202
    task_id, _ = await actor.take()

    async def canceled() -> bool:
        return await actor.status(task_id) == "canceled"

    await until(canceled)


async def test_calls_without_a_session_are_served_as_before(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    sent = {"Accept": "application/json", "MCP-Protocol-Version": "2025-11-25"}
    body = message("tools/call", {"name": "anything"}, 3)
    serving = asyncio.create_task(actor.serve(5))
    async with pair[0].session.post(pair[0].url + "/mcp", json=body, headers=sent) as response:
        assert (await response.json())["result"]["structuredContent"] == {"result": 5}
    await serving
    async with pair[0].session.post(
        pair[0].url + "/mcp", json=message("logging/setLevel", {"level": "info"}), headers=sent
    ) as response:
        assert (await response.json())["error"]["code"] == -32601
    for method in ("GET", "DELETE"):
        async with pair[0].session.request(method, pair[0].url + "/mcp", headers=sent) as response:
            assert response.status == 405
    # 2026-07-28, streamable-http: "Servers SHOULD respond with 405", whatever session is named.
    stateless = {HEADER: client.id, "MCP-Protocol-Version": "2026-07-28", "Accept": "text/event-stream"}
    for method in ("GET", "DELETE"):
        async with pair[0].session.request(method, pair[0].url + "/mcp", headers=stateless) as response:
            assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_a_doubled_version_of_a_stream_or_an_end_is_400(pair: list[Gateway], verb: str) -> None:
    """A refused GET must not look like an open stream, nor a refused DELETE like an ended session."""
    client = await connect(*pair)
    headers = [*client.all_headers.items(), ("MCP-Protocol-Version", client.version), ("Accept", "text/event-stream")]
    async with pair[0].session.request(verb, pair[0].url + "/mcp", headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == -32020
    assert (await client.ask("ping")) == {}


async def test_a_call_that_is_canceled_before_its_session_knows_it_ends(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that reads one document gets none for it, and the task does not run on."""
    client = await connect(*pair)
    client.headers["Accept"] = "application/json"
    register = PostgresCalls.register

    async def late(calls: PostgresCalls, call: OpenCall) -> bool:
        await calls.cancel(call.session, call.request)
        return await register(calls, call)

    monkeypatch.setattr(PostgresCalls, "register", late)
    status, body = await client.send(message("tools/call", {"name": "anything", "arguments": {}}, 7))
    assert (status, body) == (202, None)

    async def statuses() -> bool:
        return [task["status"] for task in (await pair[0].get("/tasks"))[1]["tasks"]] == ["canceled"]

    await until(statuses)
