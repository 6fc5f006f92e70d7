"""What every answer must be, whatever was sent."""

import json
from dataclasses import dataclass
from typing import Any

from asya_gateway.protocols.a2a.dialects.known import METHODS, Operation
from tests.support.a2a import conforms
from tests.support.fuzzing import Sent

STANDARD = {-32700, -32600, -32601, -32602}
OF_A2A = set(range(-32009, -32000))
STATUSES = {200, 400, 401, 403, 404, 405, 413, 415, 421}
REST_STATUSES = {200, 201, 304, 400, 404, 405, 413, 415}
LONGEST = 4_000


@dataclass(frozen=True)
class Got:
    """A response with its documents: one, or the first events of a stream."""

    status: int
    content_type: str
    documents: list[Any]
    version: str


def judge(sent: Sent, raw: bytes, got: Got) -> None:
    """Fails for an answer that no request may get."""
    assert got.status < 500, got
    for document in got.documents:
        if isinstance(document, list):
            # Lists of 0.3 have nothing around them.
            assert "/v1/" in sent.path, got
            continue
        assert isinstance(document, dict), got
        if "jsonrpc" in document:
            _check_response(sent, raw, got, document)
        elif "error" in document:
            _check_status(got, document["error"])


def _check_response(sent: Sent, raw: bytes, got: Got, answer: dict[str, Any]) -> None:
    assert answer["jsonrpc"] == "2.0"
    assert set(answer) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), answer
    assert got.status in STATUSES, got
    _check_id(raw, answer)
    if "error" in answer:
        error = answer["error"]
        assert set(error) <= {"code", "message", "data"}, error
        known = OF_A2A if got.version == "1.0" else {code for code in OF_A2A if code >= -32007} | {-32603}
        assert error["code"] in STANDARD | known, error
        _check_words(error["message"])
        if got.version == "1.0":
            assert all("@type" in detail for detail in error.get("data", [])), error
        else:
            assert isinstance(error.get("data", {}), dict), error
        return
    method = json.loads(raw)["method"]
    dialect, operation = METHODS[method]
    match operation:
        case Operation.SEND if dialect.newest:
            conforms(answer["result"], "SendMessageResponse")
        case Operation.SEND | Operation.GET | Operation.CANCEL:
            conforms(answer["result"], "Task", _spoken(answer["result"]))
        case Operation.STREAM | Operation.SUBSCRIBE if dialect.newest:
            conforms(answer["result"], "StreamResponse")
        case Operation.LIST if dialect.newest:
            conforms(answer["result"], "ListTasksResponse")


def _spoken(task: dict[str, Any]) -> str:
    """Names of methods that 0.3 and the oldest dialect share are answered in the task's own dialect."""
    if "kind" in task:
        return "0.3"
    return "0.1" if "sessionId" in task else "1.0"


def _check_status(got: Got, error: dict[str, Any]) -> None:
    """A google.rpc.Status (11.6), but where there is no route."""
    assert got.status in REST_STATUSES, got
    if isinstance(error["code"], str):
        assert got.status in (404, 405), got
        return
    assert (set(error), error["code"]) == ({"code", "status", "message", "details"}, got.status)
    assert all("@type" in detail for detail in error["details"]), error
    _check_words(error["message"])


def _check_words(message: str) -> None:
    assert message != "Internal error"
    assert "Traceback" not in message
    assert len(message) <= LONGEST


def _check_id(raw: bytes, answer: dict[str, Any]) -> None:
    """The id is the request's; null where it could not be read."""
    try:
        asked = json.loads(raw.decode())
    except (ValueError, RecursionError):
        asked = None
    id = asked.get("id") if isinstance(asked, dict) else None
    if answer["id"] is not None:
        assert (answer["id"], type(answer["id"])) == (id, type(id)), answer
