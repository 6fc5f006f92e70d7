"""2025-03-26, 2025-06-18 and 2025-11-25: clients that shake hands, served without a session."""

import asyncio
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.http.keys import STREAMS
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import (
    BOTH,
    HANDSHAKE_VERSIONS,
    LATEST,
    Actor,
    ask_old,
    calling,
    conforms,
    message,
    open_post,
    post,
    start_mcp,
)
from tests.support.waiting import until

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_version_that_is_served_is_agreed_on(gateway: Gateway, version: str) -> None:
    """lifecycle, "Version Negotiation": 'If the server supports the requested protocol version, it MUST respond with
    the same version'."""
    status, answer = await ask_old(gateway, "initialize", {**HELLO, "protocolVersion": version}, None)
    assert (status, answer["result"]["protocolVersion"]) == (200, version)
    conforms(answer["result"], "InitializeResult", version)
    assert ("title" in answer["result"]["serverInfo"]) == (version >= "2025-06-18")


@pytest.mark.parametrize("version", ["2024-11-05", "2026-07-28", "2099-01-01", "x" * 5000])
async def test_any_other_version_is_answered_with_the_latest_that_shakes_hands(gateway: Gateway, version: str) -> None:
    """Same place: 'Otherwise, the server MUST respond with another protocol version it supports. This SHOULD be the
    latest version supported by the server.'"""
    _, answer = await ask_old(gateway, "initialize", {**HELLO, "protocolVersion": version}, None)
    assert answer["result"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("header", ["2025-11-25", "2024-11-05"])
async def test_initialize_may_carry_a_version_header(gateway: Gateway, header: str) -> None:
    """Some clients send the header from the first request on."""
    status, answer = await ask_old(gateway, "initialize", HELLO, header)
    assert (status, answer["result"]["protocolVersion"]) == (200, "2025-11-25")


@pytest.mark.parametrize("key", ["protocolVersion", "capabilities", "clientInfo"])
async def test_a_handshake_without_a_required_part_is_invalid(gateway: Gateway, key: str) -> None:
    broken = {name: value for name, value in HELLO.items() if name != key}
    _, answer = await ask_old(gateway, "initialize", broken, None)
    assert (answer["error"]["code"], key in answer["error"]["message"]) == (-32602, True)


async def test_no_session_is_opened(gateway: Gateway) -> None:
    """transports, "Session Management": 'A server ... MAY assign a session ID'; without one any replica answers."""
    async with open_post(gateway, message("initialize", HELLO), {"Accept": BOTH}) as response:
        assert response.status == 200
        assert "Mcp-Session-Id" not in response.headers


@pytest.mark.parametrize("version", [None, *HANDSHAKE_VERSIONS])
@pytest.mark.parametrize("name", ["initialized", "cancelled", "progress", "roots/list_changed"])
async def test_notifications_are_202_without_a_body(gateway: Gateway, version: str | None, name: str) -> None:
    """transports: 'If the server accepts the input, the server MUST return HTTP status code 202 Accepted with no
    body.'"""
    body = {"jsonrpc": "2.0", "method": f"notifications/{name}", "params": {"requestId": 1}}
    headers = {"Accept": BOTH, **({} if version is None else {"MCP-Protocol-Version": version})}
    assert await post(gateway, body, headers) == (202, None)


async def test_a_late_response_is_202(gateway: Gateway) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert await post(gateway, body, {"Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}) == (202, None)


@pytest.mark.parametrize("version", ["2024-11-05", "1999-01-01"])
@pytest.mark.parametrize("body", [message("tools/list"), {"jsonrpc": "2.0", "method": "notifications/initialized"}])
async def test_a_version_header_that_is_not_served_is_400(gateway: Gateway, version: str, body: Any) -> None:
    """transports, "Protocol Version Header": 'If the server receives a request with an invalid or unsupported
    MCP-Protocol-Version, it MUST respond with 400 Bad Request.'"""
    status, _ = await post(gateway, body, {"Accept": BOTH, "MCP-Protocol-Version": version})
    assert status == 400


@pytest.mark.parametrize("version", [None, *HANDSHAKE_VERSIONS])
async def test_ping_is_answered_with_an_empty_object(gateway: Gateway, version: str | None) -> None:
    """utilities/ping: 'The receiver MUST respond promptly with an empty response'."""
    assert await ask_old(gateway, "ping", None, version) == (200, {"jsonrpc": "2.0", "id": 1, "result": {}})


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
@pytest.mark.parametrize(
    ("method", "definition"),
    [
        ("tools/list", "ListToolsResult"),
        ("prompts/list", "ListPromptsResult"),
        ("resources/list", "ListResourcesResult"),
        ("resources/templates/list", "ListResourceTemplatesResult"),
    ],
)
async def test_lists_keep_to_what_the_revision_knows(
    gateway: Gateway, version: str, method: str, definition: str
) -> None:
    status, answer = await ask_old(gateway, method, None, version)
    assert status == 200
    conforms(answer["result"], definition, version)
    assert not {"resultType", "ttlMs", "cacheScope", "_meta"} & set(answer["result"])


async def test_tools_lose_what_a_revision_does_not_know(gateway: Gateway) -> None:
    """outputSchema came with 2025-06-18, its root an object until 2026-07-28; title came with it."""
    shown = {}
    for version in HANDSHAKE_VERSIONS:
        _, answer = await ask_old(gateway, "tools/list", None, version)
        tools = {tool["name"]: tool for tool in answer["result"]["tools"]}
        shown[version] = (*("outputSchema" in tools[name] for name in ("typed", "listing")), "title" in tools["shout"])
    assert shown == {
        "2025-03-26": (False, False, False),
        "2025-06-18": (True, False, True),
        "2025-11-25": (True, False, True),
    }


async def test_without_a_version_header_the_oldest_revision_is_spoken(gateway: Gateway) -> None:
    """transports, "Protocol Version Header": 'the server SHOULD assume protocol version 2025-03-26'."""
    _, answer = await ask_old(gateway, "tools/list", None, None)
    assert not any("outputSchema" in tool for tool in answer["result"]["tools"])


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "tasks/list", "nothing"])
async def test_an_unknown_method_is_an_error_in_a_200(gateway: Gateway, method: str) -> None:
    """Clients of this era take a status above 299 for a broken transport."""
    status, answer = await ask_old(gateway, method)
    assert (status, answer["error"]["code"], answer["id"]) == (200, -32601, 1)
    conforms(answer, "JSONRPCErrorResponse", "2025-11-25")


async def test_an_unknown_tool_is_an_error_in_a_200(gateway: Gateway) -> None:
    """server/tools, "Error Handling": '-32602 ... Unknown tool: invalid_tool_name'."""
    status, answer = await ask_old(gateway, "tools/call", {"name": "nothing"})
    assert (status, answer["error"]) == (200, {"code": -32602, "message": "Unknown tool: nothing"})


async def test_an_unknown_resource_has_the_code_of_its_time(gateway: Gateway) -> None:
    """server/resources, "Error Handling": 'Resource not found: -32002'."""
    _, answer = await ask_old(gateway, "resources/read", {"uri": "test://nothing"})
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32002, {"uri": "test://nothing"})


@pytest.mark.parametrize(
    ("version", "value", "structured"),
    [
        ("2025-03-26", {"n": 1}, None),
        ("2025-06-18", {"n": 1}, {"n": 1}),
        ("2025-11-25", {"n": 2**60}, {"n": 2**60}),
        ("2025-03-26", [1], None),
        ("2025-06-18", [1], {"result": [1]}),
        ("2025-11-25", "text", {"result": "text"}),
    ],
)
async def test_structured_content_is_an_object_where_there_is_any(
    gateway: Gateway, actor: Actor, version: str, value: Any, structured: Any
) -> None:
    """server/tools, "Structured Content": 'returned as a JSON object in the structuredContent field'."""
    async with calling(gateway, "anything", version=version) as call:
        await actor.serve(value)
        answer = (await call)[1][-1].data
    conforms(answer["result"], "CallToolResult", version)
    assert answer["result"].get("structuredContent") == structured
    assert "resultType" not in answer["result"]


async def test_content_blocks_that_a_revision_lacks_come_as_text(gateway: Gateway, actor: Actor) -> None:
    """resource_link came with 2025-06-18."""
    result = {"content": [{"type": "resource_link", "uri": "test://y", "name": "y"}]}
    kinds = []
    for version in HANDSHAKE_VERSIONS:
        async with calling(gateway, "anything", version=version) as call:
            await actor.serve(result)
            answer = (await call)[1][-1].data
        conforms(answer["result"], "CallToolResult", version)
        kinds.append(answer["result"]["content"][0]["type"])
    assert kinds == ["text", "resource_link", "resource_link"]


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_progress_travels_on_the_calls_own_stream(gateway: Gateway, actor: Actor, version: str) -> None:
    body = message("tools/call", {"name": "anything", "arguments": {}, "_meta": {"progressToken": 7}})
    async with open_post(gateway, body, {"Accept": BOTH, "MCP-Protocol-Version": version}) as response:
        await actor.serve({})
        events = await Reader(response).all()
    assert len(events) == 5
    for event in events[:-1]:
        conforms(event.data, "ProgressNotification", version)
    conforms(events[-1].data["result"], "CallToolResult", version)
    assert all(event.id is None for event in events)


async def test_leaving_is_not_canceling(gateway: Gateway, actor: Actor) -> None:
    """transports: 'Disconnection ... SHOULD NOT be interpreted as the client cancelling its request'."""
    async with calling(gateway, "anything", version="2025-11-25") as call:
        task_id, _ = await actor.take()
        call.cancel()
    await until(lambda: len(gateway.app[STREAMS]) == 0)
    await actor.report(task_id, "received")
    assert await actor.status(task_id) == "running"
    await actor.end(task_id, result=1)
    assert await actor.status(task_id) == "succeeded"


async def test_a_cancel_by_request_id_reaches_no_other_client(gateway: Gateway, actor: Actor) -> None:
    """utilities/cancellation: ids are unique within a session; without one they say nothing about whose call it is."""
    async with calling(gateway, "anything", version="2025-11-25") as call:
        task_id, _ = await actor.take()
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await post(gateway, body, {"Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}))[0] == 202
        await actor.end(task_id, result=1)
        assert "result" in (await call)[1][-1].data


@pytest.mark.parametrize("version", [None, "2025-03-26"])
async def test_a_batch_is_answered_in_one_array(gateway: Gateway, actor: Actor, version: str | None) -> None:
    """2025-03-26, basic, "Batching": 'MCP implementations ... MUST support receiving JSON-RPC batches'."""
    batch = [
        message("ping", id="a"),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        message("tools/call", {"name": "anything"}, id=2),
        message("nothing", id=3),
        message("initialize", HELLO, id=4),
        {"jsonrpc": "2.0", "id": 5},
        7,
    ]
    headers = {"Accept": BOTH, "Content-Type": "application/json"}
    if version is not None:
        headers["MCP-Protocol-Version"] = version
    data = jsontext.dumps(batch)
    serving = asyncio.create_task(actor.serve({"ok": True}))
    async with gateway.session.post(gateway.url + "/mcp", data=data, headers=headers) as response:
        await serving
        assert response.status == 200
        answers = jsontext.loads(await response.text())
    assert [answer.get("id") for answer in answers] == ["a", 2, 3, 4, 5, None]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, None, -32601, -32600, -32600, -32600]


async def test_a_batch_of_notifications_is_202(gateway: Gateway) -> None:
    batch = [{"jsonrpc": "2.0", "method": "notifications/initialized"}] * 2
    assert await post(gateway, batch, {"Accept": BOTH}) == (202, None)


@pytest.mark.parametrize("batch", [[], [message("ping")] * 51])
async def test_a_batch_of_none_or_too_many_is_invalid(gateway: Gateway, batch: Any) -> None:
    status, answer = await post(gateway, batch, {"Accept": BOTH})
    assert (status, answer["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", LATEST])
async def test_later_revisions_have_no_batches(gateway: Gateway, version: str) -> None:
    """2025-06-18, key changes: 'Remove support for JSON-RPC batching'."""
    status, answer = await post(gateway, [message("ping")], {"Accept": BOTH, "MCP-Protocol-Version": version})
    assert (status, answer["error"]["code"]) == (400, -32600)


async def test_a_stateless_request_without_its_header_is_told_so(gateway: Gateway) -> None:
    """2026-07-28, versioning: the body tells the era, so the client learns what is missing."""
    params = {"_meta": {"io.modelcontextprotocol/protocolVersion": LATEST}}
    status, answer = await post(gateway, message("tools/list", params), {"Accept": BOTH, "Mcp-Method": "tools/list"})
    assert (status, answer["error"]["code"]) == (400, -32602)
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {}  # type: ignore[assignment]
    status, answer = await post(gateway, message("tools/list", params), {"Accept": BOTH, "Mcp-Method": "tools/list"})
    assert (status, answer["error"]["code"]) == (400, -32020)


async def test_a_call_goes_on_while_the_database_restarts_its_connections(database_url: str) -> None:
    """The task is safe; a client that were told otherwise would call again."""
    async with start_mcp(database_url) as gateway:
        actor = Actor(gateway)
        async with calling(gateway, "anything", version="2025-11-25", token=1) as call:
            task_id, _ = await actor.take()
            database = gateway.running.storage.database
            await database.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

            async def ended() -> bool:
                body = {"id": task_id, "status": "succeeded", "result": {"ok": 1}}
                return (await gateway.post(f"/mesh/{task_id}/final", body))[0] == 200

            await until(ended)
            answer = (await call)[1][-1].data
    assert answer["result"]["structuredContent"] == {"ok": 1}
