"""What every answer must be, whatever was sent."""

import json
from dataclasses import dataclass
from typing import Any

from tests.protocol.mcp.fuzz.conversations import HANDSHAKE
from tests.protocol.mcp.fuzz.model import (
    SESSION,
    VERSION,
    Open,
    Refusal,
    Sessions,
    Verdict,
    refused_url,
    status_of_get,
    verdict,
)
from tests.protocol.mcp.fuzz.validating import Asked, check_valid, versions_of
from tests.support.fuzzing import Sent
from tests.support.mcp import LATEST

STATUS_OF = {
    -32700: {400}, -32600: {400, 403, 405, 406, 408, 413, 415, 421}, -32601: {404}, -32602: {400, 200}, -32020: {400},
    -32021: {400}, -32022: {400}, -32603: {200},
}  # fmt: skip
"""HTTP statuses of the stateless revision (basic, "Error Codes")."""


@dataclass(frozen=True)
class Got:
    """A response: its status, and every message in it. None: a stream that was left open on purpose."""

    status: int
    content_type: str
    messages: list[Any]


def judge(sent: Sent, raw: bytes, got: Got, sessions: Sessions, asked: Asked) -> None:
    """Fails for an answer that no request may get, and for one that this request must not get. `asked`: what was asked
    of the gateway so far."""
    assert got.status < 500, (got.status, got.messages)
    if sent.path.startswith("/mcp/messages"):
        # What is answered stands on the stream. A body that was taken is a message, whatever its method says of it.
        assert got.status in ({202, 400, 404, 413, 415} if sent.verb == "POST" else {200, 204, 404, 405}), got
        return
    if sent.verb == "GET" and (statuses := status_of_get(sent, sessions)) is not None:
        assert got.status in statuses | ({400, 404} if refused_url(sent.path) else set()), got
    # Other answers to other verbs have the form of HTTP's own errors.
    if sent.verb == "POST" or got.content_type == "text/event-stream":
        _check_messages(sent, raw, got, sessions, asked)
    if sent.verb == "POST":
        _check_verdict(sent, raw, got, refused_url(sent.path) or verdict(sent, raw, sessions))


def _check_messages(sent: Sent, raw: bytes, got: Got, sessions: Sessions, asked: Asked) -> None:
    versions = HANDSHAKE if sent.verb == "GET" else _versions(sent, raw, sessions)
    if sent.verb == "POST":
        asked = Asked()
        asked.note(_value(raw))
    for each in got.messages:
        for message in each if isinstance(each, list) else [each]:
            check_message(message, in_session=bool(sent.all(SESSION)))
            check_valid(message, asked, versions)


def _versions(sent: Sent, raw: bytes, sessions: Sessions) -> tuple[str, ...]:
    """The revisions of which the answer to a POST may be."""
    value, headers, id = _value(raw), sent.all(VERSION), sent.header(SESSION)
    params = value.get("params") if isinstance(value, dict) else None
    meta = params.get("_meta") if isinstance(params, dict) else None
    declares = isinstance(meta, dict) and meta.get("io.modelcontextprotocol/protocolVersion") is not None
    if declares or not set(headers) <= {*HANDSHAKE}:
        return (LATEST,)
    if isinstance(value, dict) and value.get("method") == "initialize":
        return HANDSHAKE
    return versions_of(headers, None if id is None else sessions.get(id))


def _value(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode())
    except (ValueError, RecursionError):
        return None


def _check_verdict(sent: Sent, raw: bytes, got: Got, expected: Verdict) -> None:
    if isinstance(expected, Refusal):
        assert got.messages, got
        error = got.messages[-1].get("error", {})
        assert (error.get("code"), got.status) == (expected.code, expected.status), got
        _check_id(raw, got.messages[-1])
    elif isinstance(expected, Open) and expected.stateless:
        _check_stateless(expected.message, got)
    elif isinstance(expected, Open):
        assert got.status in (200, 202, 400), got


def check_message(message: Any, *, in_session: bool) -> None:
    """Fails for a message that no client may get. Only sessions have requests to clients."""
    assert isinstance(message, dict), message
    assert message.get("jsonrpc") == "2.0"
    error = message.get("error")
    if error is not None:
        assert error["code"] not in (-32042,), message
        assert "Traceback" not in error["message"]
        assert error["message"] != "Internal error"
        assert len(error["message"]) <= 4000
    elif "method" in message and not message["method"].startswith("notifications/"):
        assert in_session, message


def _check_stateless(request: dict[str, Any], got: Got) -> None:
    if not got.messages:
        assert request["method"] == "subscriptions/listen", got
        return
    last = got.messages[-1]
    if "error" in last:
        assert last["error"]["code"] in STATUS_OF, last
        assert got.status in STATUS_OF[last["error"]["code"]], got
    elif "result" in last:
        assert got.status == 200
    if "method" not in last:
        assert last["id"] == request["id"]
        assert type(last["id"]) is type(request["id"])


def _check_id(raw: bytes, answer: dict[str, Any]) -> None:
    """basic, "Responses": the id is the request's, and is left out where it could not be read."""
    value = _value(raw)
    id = value.get("id") if isinstance(value, dict) else None
    if isinstance(id, str | int) and not isinstance(id, bool) and "id" in answer:
        assert answer["id"] == id
    else:
        assert "id" not in answer, answer
