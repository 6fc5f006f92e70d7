"""Requests of MCP clients as the benchmarks send them."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

from bench.rows import ARGUMENTS

NEWEST, HANDSHAKE = "2026-07-28", "2025-11-25"
PREFIX = "io.modelcontextprotocol/"
META = {
    f"{PREFIX}protocolVersion": NEWEST,
    f"{PREFIX}clientInfo": {"name": "bench", "version": "1"},
    f"{PREFIX}clientCapabilities": {},
}
ACCEPT = "Accept: application/json, text/event-stream"
TOOL = "one"


@dataclass(frozen=True, slots=True)
class McpRequest:
    """A body, and the lines of its head beyond those of every request."""

    body: str
    lines: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The lines as they stand in a head."""
        return "\r\n".join([ACCEPT, *self.lines])


def newest(method: str, params: dict[str, Any] | None = None) -> McpRequest:
    """A request of 2026-07-28."""
    params = params or {}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    lines = [f"MCP-Protocol-Version: {NEWEST}", f"Mcp-Method: {method}"]
    name = params.get("name")
    return McpRequest(json.dumps(body), [*lines, *([f"Mcp-Name: {name}"] if name else [])])


def after_handshake(method: str, params: dict[str, Any], session: str = "") -> McpRequest:
    """A request of 2025-11-25, in a session or without one."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    lines = [f"MCP-Protocol-Version: {HANDSHAKE}", *([f"Mcp-Session-Id: {session}"] if session else [])]
    return McpRequest(json.dumps(body), lines)


LIST = newest("tools/list")
CALL = newest("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
LISTEN = newest("subscriptions/listen", {"notifications": {"toolsListChanged": True}})


def old_call(session: str = "") -> McpRequest:
    """The same call after a handshake."""
    return after_handshake("tools/call", {"name": TOOL, "arguments": ARGUMENTS}, session)


def open_session(port: int, *lines: str) -> str:
    """The id of a new session; `lines` are further ones of the head."""
    client = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    request = after_handshake("initialize", client)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = dict(line.split(": ", 1) for line in [ACCEPT, *request.lines, *lines])
        connection.request("POST", "/mcp", request.body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        answer.read()
        session = answer.headers["Mcp-Session-Id"]
        if answer.status != 200 or not session:
            raise RuntimeError(f"no session: {answer.status}")
        return str(session)
    finally:
        connection.close()
