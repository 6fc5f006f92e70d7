"""What the specification says of a request before its method looks at its own parameters: written from the documents,
and not from the gateway's code, so that the two can be compared."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from tests.protocol.mcp.fuzz.conversations import HANDSHAKE, SET
from tests.support.fuzzing import Sent
from tests.support.mcp import LATEST

VERSION = "MCP-Protocol-Version"
SESSION = "Mcp-Session-Id"
META = "io.modelcontextprotocol/"
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
STATELESS_METHODS = {
    "server/discover", "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list",
    "resources/templates/list", "resources/read", "completion/complete", "subscriptions/listen",
    "tasks/get", "tasks/update", "tasks/cancel",
}  # fmt: skip
"""Base protocol of 2026-07-28 and the extension for tasks."""
REMOVED = {
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/result",
    "tasks/list",
}
"""Methods of earlier revisions, which 2026-07-28 has not."""
DEEPEST = 100
MOST_NAMES = 100
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
"""Of a flow, and how many a URL may name."""
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


@dataclass(frozen=True)
class Refusal:
    """An error with this code and HTTP status."""

    code: int
    status: int = 400


@dataclass(frozen=True)
class Open:
    """The method decides. `stateless`: by the rules of 2026-07-28, else of the revisions with a handshake; `message` is
    the JSON that was sent."""

    stateless: bool
    message: Any


Verdict = Refusal | Open | None
"""None: this model does not know."""
Sessions = Mapping[str, str]
"""Revisions of living sessions by their ids."""


def refused_url(path: str) -> Refusal | None:
    """What a POST gets at a URL that names no tool set, or what is no name of a flow; None if the URL is none of these.
    What a set is, the gateway defines itself (docs/protocols/mcp.md)."""
    where, _, query = path.partition("?")
    if where not in ("/mcp", f"/mcp/{SET}"):
        return Refusal(-32600, 404)
    lists = [value for key, value in parse_qsl(query, keep_blank_values=True, errors="replace") if key == "flows"]
    names = [name for value in lists for name in value.split(",")]
    good = len(names) <= MOST_NAMES and all(NAME.fullmatch(name) for name in names)
    return None if good else Refusal(-32600)


def status_of_get(sent: Sent, sessions: Sessions) -> set[int] | None:
    """The statuses that a GET may have (2025-11-25, transports); None: this model does not know."""
    ids, versions = sent.all(SESSION), sent.all(VERSION)
    if sent.all("Content-Type") or sent.all("Content-Encoding"):
        return None
    if not ids or any(version not in {*HANDSHAKE, "2024-11-05"} for version in versions):
        return {405}
    if len(ids) > 1 or ids[0] not in sessions:
        return {404}
    if len(versions) > 1:
        return {400}
    if sent.all("Accept") != ["text/event-stream"]:
        return None
    return {200, 400} if sent.all("Last-Event-ID") else {200}


def verdict(sent: Sent, raw: bytes, sessions: Sessions) -> Verdict:
    """The verdict about a POST to the endpoint."""
    if sent.verb != "POST" or any(sent.all(name) for name in ("Content-Type", "Content-Encoding")):
        return None
    if sent.all("Accept") != ["application/json, text/event-stream"]:
        return None
    try:
        value = _loads(raw)
    except ValueError:
        return Refusal(-32700)
    if isinstance(value, list):
        return _batch(sent, value)
    return _message(sent, value, sessions)


def _batch(sent: Sent, value: list[Any]) -> Verdict:
    """Only 2025-03-26 has batches; a client of that revision may leave its header out."""
    versions = sent.all(VERSION)
    if sent.all(SESSION):
        return None
    if versions in ([], ["2025-03-26"]):
        return Open(False, value) if value else Refusal(-32600)
    return Refusal(-32600) if versions and set(versions) <= {LATEST, *HANDSHAKE} and len(versions) == 1 else None


def _message(sent: Sent, value: Any, sessions: Sessions) -> Verdict:
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0" or not _id_is_good(value):
        return Refusal(-32600)
    if "method" not in value and ("result" in value or "error" in value):
        return None
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(method, str) or not 1 <= len(method) <= 128 or not method.isprintable():
        return Refusal(-32600)
    if not isinstance(params, dict):
        return Refusal(-32600)
    versions = sent.all(VERSION)
    if len(versions) > 1:
        return Refusal(-32020)
    header, meta = versions[0] if versions else None, params.get("_meta", {})
    handshake = {*HANDSHAKE, "2024-11-05"}
    if not isinstance(meta, dict):
        # After a handshake a refused request has 200, a notification has not.
        return Refusal(-32602, 200 if "id" in value and (header is None or header in handshake) else 400)
    declared = meta.get(META + "protocolVersion")
    if declared is None and (header is None or header in handshake):
        return _after_handshake(sent, value, method, sessions)
    if header in handshake and declared == header:
        return Refusal(-32022)
    return _stateless(sent, value, method, params, meta) if "id" in value else None


def _after_handshake(sent: Sent, value: dict[str, Any], method: str, sessions: Sessions) -> Verdict:
    ids = sent.all(SESSION)
    if "id" not in value:
        return None
    if method != "initialize" and ids and (len(ids) > 1 or ids[0] not in sessions):
        return Refusal(-32600, 404)
    if method in STATELESS_METHODS | REMOVED:
        return Open(False, value)
    return Refusal(-32601, 200)


def _stateless(sent: Sent, value: dict[str, Any], method: str, params: dict[str, Any], meta: dict[str, Any]) -> Verdict:
    version, capabilities = meta.get(META + "protocolVersion"), meta.get(META + "clientCapabilities")
    client, level = meta.get(META + "clientInfo"), meta.get(META + "logLevel")
    if not isinstance(version, str) or not isinstance(capabilities, dict):
        return Refusal(-32602)
    if client is not None and not isinstance(client, dict):
        return Refusal(-32602)
    if level is not None and level not in LEVELS:
        return Refusal(-32602)
    if sent.all(VERSION) != [version] or sent.all("Mcp-Method") != [method]:
        return Refusal(-32020)
    if version != LATEST:
        return Refusal(-32022)
    if method not in STATELESS_METHODS:
        return Refusal(-32601, 404)
    name = params.get(NAMED.get(method, ""))
    if isinstance(name, str) and name.isascii() and name.isprintable() and name == name.strip():
        if not name.startswith("=?base64?") and not sent.all("Mcp-Name"):
            return Refusal(-32020)
        if all("?" not in each for each in sent.all("Mcp-Name")) and sent.all("Mcp-Name") != [name]:
            return Refusal(-32020)
    return Open(True, value)


def _id_is_good(value: dict[str, Any]) -> bool:
    id = value.get("id")
    if "id" not in value or ("method" not in value and id is None):
        return True
    if isinstance(id, str):
        return len(id) <= 255
    return isinstance(id, int) and not isinstance(id, bool) and -(2**63) <= id < 2**63


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(digits)
    return number


def _loads(raw: bytes) -> Any:
    """RFC 8259, with the gateway's limits of depth and digits. Raises ValueError."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("too deep") from None
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [child for node in level if isinstance(node, dict | list) for child in _children(node)]
        level = [child for child in level if isinstance(child, dict | list)]
        if not level:
            return value
    raise ValueError("too deep")


def _children(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else node
