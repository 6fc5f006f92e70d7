"""2024-11-05, 2025-03-26, 2025-06-18 and 2025-11-25: clients that shake hands, served without a session."""

from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.mcp import (
    BOTH,
    HANDSHAKE_VERSIONS,
    LATEST,
    ask_old,
    conforms,
    message,
    post,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_a_version_that_is_served_is_agreed_on(idle: Gateway, version: str) -> None:
    """lifecycle, "Version Negotiation": 'If the server supports the requested protocol version, it MUST respond with
    the same version'."""
    status, answer = await ask_old(idle, "initialize", {**HELLO, "protocolVersion": version}, None)
    assert (status, answer["result"]["protocolVersion"]) == (200, version)
    conforms(answer["result"], "InitializeResult", version)
    assert ("title" in answer["result"]["serverInfo"]) == (version >= "2025-06-18")


@pytest.mark.parametrize("version", ["2026-07-28", "2099-01-01", "x" * 5000])
async def test_any_other_version_is_answered_with_the_latest_that_shakes_hands(idle: Gateway, version: str) -> None:
    """Same place: 'Otherwise, the server MUST respond with another protocol version it supports. This SHOULD be the
    latest version supported by the server.'"""
    _, answer = await ask_old(idle, "initialize", {**HELLO, "protocolVersion": version}, None)
    assert answer["result"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("header", ["2025-11-25", "2024-11-05"])
async def test_initialize_may_carry_a_version_header(idle: Gateway, header: str) -> None:
    """Some clients send the header from the first request on."""
    status, answer = await ask_old(idle, "initialize", HELLO, header)
    assert (status, answer["result"]["protocolVersion"]) == (200, "2025-11-25")


@pytest.mark.parametrize("key", ["protocolVersion", "capabilities", "clientInfo"])
async def test_a_handshake_without_a_required_part_is_invalid(idle: Gateway, key: str) -> None:
    broken = {name: value for name, value in HELLO.items() if name != key}
    _, answer = await ask_old(idle, "initialize", broken, None)
    assert (answer["error"]["code"], key in answer["error"]["message"]) == (-32602, True)


@pytest.mark.parametrize(
    "client", [None, "test", {}, {"name": "test"}, {"name": "test", "version": 1}, {"version": "1"}]
)
async def test_a_client_has_a_name_and_a_version(idle: Gateway, client: Any) -> None:
    """schema Implementation."""
    _, answer = await ask_old(idle, "initialize", {**HELLO, "clientInfo": client}, None)
    assert (answer["error"]["code"], "clientInfo" in answer["error"]["message"]) == (-32602, True)


@pytest.mark.parametrize("version", [None, *HANDSHAKE_VERSIONS])
@pytest.mark.parametrize("name", ["initialized", "cancelled", "progress", "roots/list_changed"])
async def test_notifications_are_202_without_a_body(idle: Gateway, version: str | None, name: str) -> None:
    """transports: 'If the server accepts the input, the server MUST return HTTP status code 202 Accepted with no
    body.'"""
    body = {"jsonrpc": "2.0", "method": f"notifications/{name}", "params": {"requestId": 1}}
    headers = {"Accept": BOTH, **({} if version is None else {"MCP-Protocol-Version": version})}
    assert await post(idle, body, headers) == (202, None)


async def test_a_late_response_is_202(idle: Gateway) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert await post(idle, body, {"Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}) == (202, None)


@pytest.mark.parametrize("version", ["2024-10-07", "1999-01-01"])
@pytest.mark.parametrize("body", [message("tools/list"), {"jsonrpc": "2.0", "method": "notifications/initialized"}])
async def test_a_version_header_that_is_not_served_is_400(idle: Gateway, version: str, body: Any) -> None:
    """transports, "Protocol Version Header": 'If the server receives a request with an invalid or unsupported
    MCP-Protocol-Version, it MUST respond with 400 Bad Request.'"""
    status, _ = await post(idle, body, {"Accept": BOTH, "MCP-Protocol-Version": version})
    assert status == 400


@pytest.mark.parametrize("version", [None, *HANDSHAKE_VERSIONS])
async def test_ping_is_answered_with_an_empty_object(idle: Gateway, version: str | None) -> None:
    """utilities/ping: 'The receiver MUST respond promptly with an empty response'."""
    assert await ask_old(idle, "ping", None, version) == (200, {"jsonrpc": "2.0", "id": 1, "result": {}})


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
async def test_lists_keep_to_what_the_revision_knows(idle: Gateway, version: str, method: str, definition: str) -> None:
    status, answer = await ask_old(idle, method, None, version)
    assert status == 200
    conforms(answer["result"], definition, version)
    assert not {"resultType", "ttlMs", "cacheScope", "_meta"} & set(answer["result"])


async def test_tools_lose_what_a_revision_does_not_know(idle: Gateway) -> None:
    """outputSchema came with 2025-06-18, its root an object until 2026-07-28; title came with it."""
    shown = {}
    for version in HANDSHAKE_VERSIONS:
        _, answer = await ask_old(idle, "tools/list", None, version)
        tools = {tool["name"]: tool for tool in answer["result"]["tools"]}
        shown[version] = (*("outputSchema" in tools[name] for name in ("typed", "listing")), "title" in tools["shout"])
    assert shown == {
        "2024-11-05": (False, False, False),
        "2025-03-26": (False, False, False),
        "2025-06-18": (True, False, True),
        "2025-11-25": (True, False, True),
    }


async def test_the_oldest_revision_has_no_annotations_and_no_completions(idle: Gateway) -> None:
    """Both came with 2025-03-26 (changelog)."""
    _, answer = await ask_old(idle, "tools/list", None, "2024-11-05")
    assert not any("annotations" in tool for tool in answer["result"]["tools"])
    _, answer = await ask_old(idle, "initialize", {**HELLO, "protocolVersion": "2024-11-05"}, None)
    assert "completions" not in answer["result"]["capabilities"]


async def test_without_a_version_header_the_oldest_revision_is_spoken(idle: Gateway) -> None:
    """transports, "Protocol Version Header": 'the server SHOULD assume protocol version 2025-03-26'."""
    _, answer = await ask_old(idle, "tools/list", None, None)
    assert not any("outputSchema" in tool for tool in answer["result"]["tools"])


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen", "tasks/list", "nothing"])
async def test_an_unknown_method_is_an_error_in_a_200(idle: Gateway, method: str) -> None:
    """Clients of this era take a status above 299 for a broken transport."""
    status, answer = await ask_old(idle, method)
    assert (status, answer["error"]["code"], answer["id"]) == (200, -32601, 1)
    conforms(answer, "JSONRPCErrorResponse", "2025-11-25")


async def test_an_unknown_tool_is_an_error_in_a_200(idle: Gateway) -> None:
    """server/tools, "Error Handling": '-32602 ... Unknown tool: invalid_tool_name'."""
    status, answer = await ask_old(idle, "tools/call", {"name": "nothing"})
    assert (status, answer["error"]["code"], answer["error"]["message"]) == (200, -32602, "Unknown tool: nothing")


async def test_an_unknown_resource_has_the_code_of_its_time(idle: Gateway) -> None:
    """server/resources, "Error Handling": 'Resource not found: -32002'."""
    _, answer = await ask_old(idle, "resources/read", {"uri": "test://nothing"})
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32002, {"uri": "test://nothing"})


async def test_a_batch_of_notifications_is_202(idle: Gateway) -> None:
    batch = [{"jsonrpc": "2.0", "method": "notifications/initialized"}] * 2
    assert await post(idle, batch, {"Accept": BOTH}) == (202, None)


@pytest.mark.parametrize("batch", [[], [message("ping")] * 51])
async def test_a_batch_of_none_or_too_many_is_invalid(idle: Gateway, batch: Any) -> None:
    status, answer = await post(idle, batch, {"Accept": BOTH})
    assert (status, answer["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", LATEST])
async def test_later_revisions_have_no_batches(idle: Gateway, version: str) -> None:
    """2025-06-18, key changes: 'Remove support for JSON-RPC batching'."""
    status, answer = await post(idle, [message("ping")], {"Accept": BOTH, "MCP-Protocol-Version": version})
    assert (status, answer["error"]["code"]) == (400, -32600)


async def test_a_stateless_request_without_its_header_is_told_so(idle: Gateway) -> None:
    """2026-07-28, versioning: the body tells the era, so the client learns what is missing."""
    params = {"_meta": {"io.modelcontextprotocol/protocolVersion": LATEST}}
    status, answer = await post(idle, message("tools/list", params), {"Accept": BOTH, "Mcp-Method": "tools/list"})
    assert (status, answer["error"]["code"]) == (400, -32602)
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {}  # type: ignore[assignment]
    status, answer = await post(idle, message("tools/list", params), {"Accept": BOTH, "Mcp-Method": "tools/list"})
    assert (status, answer["error"]["code"]) == (400, -32020)


async def test_a_malformed_meta_is_refused_in_the_era_of_its_header(idle: Gateway) -> None:
    sent = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": 5}}
    for header, expected in (("2025-06-18", 200), (None, 200), ("2026-07-28", 400)):
        headers = {"Accept": "application/json", **({"MCP-Protocol-Version": header} if header else {})}
        status, answer = await idle.post("/mcp", sent, headers=headers)
        assert (status, answer["error"]["code"]) == (expected, -32602), header
        # "If the server cannot accept the input, it MUST return an HTTP error status code": of a notification.
        notification = {name: value for name, value in sent.items() if name != "id"}
        assert (await idle.post("/mcp", notification, headers=headers))[0] == 400
