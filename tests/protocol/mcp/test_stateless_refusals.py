"""2026-07-28: the ladder of checks that a request passes before any work is done, one refusal after another."""

import base64
from typing import Any

import pytest

from asya_crds import jsontext
from tests.support.gateway import Gateway
from tests.support.mcp import (
    BOTH,
    LATEST,
    TOOLS,
    ask,
    conforms,
    message,
    post,
    serve_tools,
    stateless_body,
    stateless_headers,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"


def sent_as(body: dict[str, Any], **changes: str | None) -> dict[str, str]:
    return stateless_headers(body, **changes)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_other_methods_are_405(idle: Gateway, method: str) -> None:
    """transports/streamable-http: GET and DELETE are answered with 405 Method Not Allowed."""
    async with idle.session.request(method, idle.url + "/mcp", headers={"Accept": BOTH}) as response:
        assert response.status == 405
        assert "POST" in response.headers["Allow"]
        assert "Mcp-Session-Id" not in response.headers


async def test_a_page_of_a_foreign_origin_is_403(idle: Gateway) -> None:
    """transports/streamable-http, security: 'Servers MUST validate the Origin header on all incoming connections'."""
    status, _ = await ask(idle, "tools/list", Origin="https://evil.example")
    assert status == 403


async def test_an_unknown_host_is_refused(idle: Gateway) -> None:
    """Same place: 'to prevent DNS rebinding attacks'."""
    status, _ = await ask(idle, "tools/list", Host="evil.example")
    assert 400 <= status < 500


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, text/event-stream;q=0"])
async def test_a_client_that_takes_neither_form_is_406(idle: Gateway, accept: str) -> None:
    """transports/streamable-http: 'The client MUST include an Accept header, listing both'."""
    assert (await ask(idle, "tools/list", Accept=accept))[0] == 406


async def test_a_body_that_calls_itself_a_form_is_415(idle: Gateway) -> None:
    body = stateless_body("tools/list")
    headers = {**sent_as(body), "Content-Type": "text/plain"}
    assert (await post(idle, body, headers))[0] == 415


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b'{"a":NaN}', b"[" * 200 + b"]" * 200])
async def test_a_body_that_is_not_json_is_a_parse_error_without_an_id(idle: Gateway, body: bytes) -> None:
    """JSON-RPC 2.0, 5.1: -32700 is a parse error; basic, "Responses": an id that could not be read is left out."""
    status, answer = await post(idle, body, {"Accept": BOTH, "MCP-Protocol-Version": LATEST})
    assert (status, answer["error"]["code"], "id" in answer) == (400, -32700, False)
    conforms(answer, "JSONRPCErrorResponse")


@pytest.mark.parametrize(
    "body",
    [
        1,
        "text",
        [],
        [message("tools/list")],
        {"id": 1, "method": "tools/list"},
        {"jsonrpc": "1.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": None, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": True, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": {"a": 1}, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": "x" * 256, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 2**64, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "method": 7},
        {"jsonrpc": "2.0", "id": 1, "method": "m" * 129},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list\n"},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1},
    ],
)
async def test_an_invalid_request_is_refused(idle: Gateway, body: Any) -> None:
    """transports/streamable-http: 'The body of the HTTP POST MUST be a single JSON-RPC request or notification.'"""
    headers = {"Accept": BOTH, "MCP-Protocol-Version": LATEST, "Mcp-Method": "tools/list"}
    status, answer = await post(idle, body, headers)
    assert (status, answer["error"]["code"]) == (400, -32600)
    conforms(answer, "JSONRPCErrorResponse")


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {VERSION_KEY: LATEST},
        {CAPABILITIES_KEY: {}},
        {VERSION_KEY: 20260728, CAPABILITIES_KEY: {}},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: []},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: {}, "io.modelcontextprotocol/clientInfo": "me"},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: {}, "io.modelcontextprotocol/clientInfo": {"name": "me"}},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: {}, "io.modelcontextprotocol/clientInfo": {"name": "me", "version": 1}},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: {}, "io.modelcontextprotocol/logLevel": "loud"},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: {}, "io.modelcontextprotocol/logLevel": ["debug"]},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: {}, "progressToken": {"a": 1}},
        {VERSION_KEY: LATEST, CAPABILITIES_KEY: {}, "progressToken": "x" * 256},
        "text",
    ],
)
async def test_a_broken_envelope_is_400_invalid_params(idle: Gateway, meta: Any) -> None:
    """basic, "_meta": 'A request missing any required field is malformed; the server MUST reject it with JSON-RPC error
    code -32602 (Invalid params). On HTTP, the response status MUST be 400 Bad Request.'"""
    body = message("tools/list", None if meta is None else {"_meta": meta})
    headers = {"Accept": BOTH, "MCP-Protocol-Version": LATEST, "Mcp-Method": "tools/list"}
    status, answer = await post(idle, body, headers)
    assert (status, answer["error"]["code"], answer["id"]) == (400, -32602, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"MCP_Protocol_Version": None},
        {"MCP_Protocol_Version": "2025-11-25"},
        {"MCP_Protocol_Version": "2027-01-01"},
        {"Mcp_Method": None},
        {"Mcp_Method": "tools/list"},
        {"Mcp_Method": "Tools/Call"},
        {"Mcp_Name": None},
        {"Mcp_Name": "anything"},
        {"Mcp_Name": "SHOUT"},
        {"Mcp_Name": "=?base64?c2hvdXQ?="},
        {"Mcp_Name": "=?base64?c2h!dXQ=?="},
        {"Mcp_Name": "=?base64?c2hvdXR=?="},
        {"Mcp_Name": "=?base64?/w==?="},
        {"Mcp_Name": "=?base64?shout"},
        {"Mcp_Name": "shout?="},
    ],
)
async def test_headers_that_differ_from_the_body_are_a_mismatch(idle: Gateway, changes: dict[str, Any]) -> None:
    """transports/streamable-http, "Server Validation": 'MUST reject requests where the values ... do not match ...
    400 Bad Request ... -32020 (HeaderMismatch)'."""
    status, answer = await ask(idle, "tools/call", {"name": "shout", "arguments": {"text": "x"}}, **changes)
    assert (status, answer["error"]["code"], answer["id"]) == (400, -32020, 1)
    conforms(answer, "HeaderMismatchError")
    assert await idle.stored() == 0


REGIONAL = {
    "name": "regional-task",
    "entrypoint": "first",
    "mcp": {
        "inputSchema": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
        "task": "required",
    },
}


async def test_headers_are_checked_before_capabilities_and_after_the_method(idle: Gateway) -> None:
    """A request that contradicts itself is told so first, as long as there is such a method."""
    serve_tools(idle, [*TOOLS, REGIONAL])
    call = {"name": "regional-task", "arguments": {"region": "eu"}}
    for headers, code in (({}, -32020), ({"Mcp_Param_Region": "us"}, -32020), ({"Mcp_Param_Region": "eu"}, -32021)):
        status, answer = await ask(idle, "tools/call", call, **headers)
        assert (status, answer["error"]["code"]) == (400, code), headers
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        for name, code in (("another", -32020), ("none", -32021)):
            status, answer = await ask(idle, method, {"taskId": "none", "inputResponses": {}}, Mcp_Name=name)
            assert (status, answer["error"]["code"]) == (400, code), (method, name)
    for method in ("tasks/result", "tools/shout"):
        status, answer = await ask(idle, method, {"name": "shout", "taskId": "none"}, Mcp_Name="another")
        assert (status, answer["error"]["code"]) == (404, -32601), method
    assert await idle.stored() == 0


async def test_a_header_that_comes_twice_is_a_mismatch(idle: Gateway) -> None:
    """Two readers could take different ones, which is what the check is there to prevent."""
    body = stateless_body("tools/list")
    headers = [*sent_as(body).items(), ("Mcp-Method", "tools/call"), ("Content-Type", "application/json")]
    async with idle.session.post(idle.url + "/mcp", data=jsontext.dumps(body), headers=headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, -32020)


async def test_a_name_may_come_encoded(idle: Gateway) -> None:
    """ "Value Encoding": 'servers MUST decode an encoded Mcp-Name or Mcp-Param-{Name} value before comparing it'."""
    name = base64.b64encode(b"missing").decode()
    _, answer = await ask(idle, "tools/call", {"name": "missing"}, Mcp_Name=f"=?base64?{name}?=")
    assert answer["error"]["code"] == -32602


@pytest.mark.parametrize("version", ["2099-01-01", "draft", "v" * 5000])
async def test_a_version_that_is_not_served_is_refused_with_those_that_are(idle: Gateway, version: str) -> None:
    """transports/streamable-http: 'it MUST respond with 400 Bad Request and an UnsupportedProtocolVersionError
    listing its supported versions'."""
    asked: dict[str, Any] = {VERSION_KEY: version}
    body = stateless_body("tools/list", io__x=1, **asked)
    status, answer = await post(idle, body, sent_as(body, MCP_Protocol_Version=version))
    assert (status, answer["error"]["code"]) == (400, -32022)
    conforms(answer, "UnsupportedProtocolVersionError")
    assert answer["error"]["data"]["supported"] == [LATEST]
    # Whole, so that a client recognises it.
    assert answer["error"]["data"]["requested"] == version
    _, found = await ask(idle, "server/discover")
    assert set(answer["error"]["data"]["supported"]) <= set(found["result"]["supportedVersions"])


async def test_a_handshake_version_in_a_stateless_envelope_is_refused(idle: Gateway) -> None:
    asked: dict[str, Any] = {VERSION_KEY: "2025-11-25"}
    body = stateless_body("tools/list", **asked)
    status, answer = await post(idle, body, sent_as(body, MCP_Protocol_Version="2025-11-25"))
    assert (status, answer["error"]["code"]) == (400, -32022)


@pytest.mark.parametrize(
    "method",
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/result",
     "tasks/list", "tools/nothing", "m" * 128],
)  # fmt: skip
async def test_a_method_that_this_revision_lacks_is_404(idle: Gateway, method: str) -> None:
    """transports/streamable-http: 'it MUST respond with 404 Not Found and a JSON-RPC error with code -32601'."""
    status, answer = await ask(idle, method)
    assert (status, answer["error"]["code"], answer["id"]) == (404, -32601, 1)
    assert len(answer["error"]["message"]) < 100


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": 7},
        {"name": "shout", "arguments": [1]},
        {"name": "n" * 3000},
        {"nam": "anything"},
    ],
)
async def test_a_malformed_call_is_invalid_params(idle: Gateway, params: dict[str, Any]) -> None:
    """server/tools, "Error Handling": protocol errors are 'Unknown tool' and 'Malformed requests'."""
    status, answer = await ask(idle, "tools/call", params)
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert len(answer["error"]["message"]) < 120
    assert await idle.stored() == 0


async def test_members_of_later_revisions_are_no_reason_to_refuse_a_call(idle: Gateway) -> None:
    """schema.ts, CallToolRequestParams: an interface that leaves further members open."""
    _, answer = await ask(idle, "tools/call", {"name": "missing", "ofLaterRevisions": {}})
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32602, "Unknown tool: missing")


async def test_a_flow_that_is_no_tool_is_unknown(idle: Gateway) -> None:
    _, answer = await ask(idle, "tools/call", {"name": "skill"})
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32602, "Unknown tool: skill")
    assert "shout" in answer["error"]["data"]["available_agents"]


async def test_a_body_over_the_limit_is_413(idle: Gateway) -> None:
    body = stateless_body("tools/call", {"name": "anything", "arguments": {"x": "x" * (10 * 1024 * 1024)}})
    status, answer = await post(idle, body, sent_as(body))
    assert (status, answer["error"]["code"]) == (413, -32600)


@pytest.mark.parametrize("method", ["notifications/cancelled", "notifications/anything"])
async def test_a_notification_is_202_without_a_body(idle: Gateway, method: str) -> None:
    """transports/streamable-http: 'If the server accepts it, the server MUST return HTTP status code 202 Accepted
    with no body.'"""
    body = {"jsonrpc": "2.0", "method": method, "params": {"requestId": 1}}
    assert await post(idle, body, {"Accept": BOTH, "MCP-Protocol-Version": LATEST}) == (202, None)


async def test_a_notification_of_an_unknown_version_is_4xx(idle: Gateway) -> None:
    """Same place: 'If the server cannot accept it, it MUST return an HTTP error status code'."""
    body = {"jsonrpc": "2.0", "method": "notifications/x"}
    status, answer = await post(idle, body, {"Accept": BOTH, "MCP-Protocol-Version": "2099-01-01"})
    assert (status, answer["error"]["code"]) == (400, -32022)


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "eu"}, {}),
        ({"region": "eu"}, {"Mcp_Param_Region": "us"}),
        ({"region": "eu"}, {"Mcp_Param_Region": "=?base64?ZXU?="}),
        ({}, {"Mcp_Param_Region": "eu"}),
        ({"region": None}, {"Mcp_Param_Region": "eu"}),
        ({"region": "eu", "count": 42}, {"Mcp_Param_Region": "eu", "Mcp_Param_Count": "43"}),
        ({"count": 42}, {"Mcp_Param_Count": "forty-two"}),
    ],
)
async def test_parameter_headers_must_agree_with_the_arguments(
    idle: Gateway, arguments: dict[str, Any], headers: dict[str, str]
) -> None:
    """transports/streamable-http, "Custom Headers from Tool Parameters": mismatch, malformed or missing is -32020."""
    status, answer = await ask(idle, "tools/call", {"name": "regional", "arguments": arguments}, **headers)
    assert (status, answer["error"]["code"]) == (400, -32020)
    assert await idle.stored() == 0


@pytest.mark.parametrize("id", [0, -1, "", "a\nb \u2028 é", "\ud800", 2**63 - 1, "1"])
async def test_any_id_within_bounds_comes_back_as_it_was(idle: Gateway, id: Any) -> None:
    """basic, "Requests": ids are strings or integers; JSON-RPC 2.0, 5: the response's 'MUST be the same as the value of
    the id member in the Request Object'."""
    body = stateless_body("tools/list", id=id)
    _, answer = await post(idle, body, sent_as(body))
    assert answer["id"] == id
    assert type(answer["id"]) is type(id)


async def test_the_gateway_never_opens_a_session(idle: Gateway) -> None:
    """transports/streamable-http: sessions are gone; a session id that a client sends is ignored."""
    body = stateless_body("tools/list")
    headers = {**sent_as(body), "Content-Type": "application/json", "Mcp-Session-Id": "x", "Last-Event-ID": "7"}
    async with idle.session.post(idle.url + "/mcp", data=jsontext.dumps(body), headers=headers) as response:
        assert response.status == 200
        assert "Mcp-Session-Id" not in response.headers
