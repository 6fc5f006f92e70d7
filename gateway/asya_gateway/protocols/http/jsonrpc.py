"""JSON-RPC 2.0 as MCP and A2A use it: one message in, one message out. Results are JSON text and are not re-encoded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.rendering import with_verbatim

Id = str | int
"""MCP forbids null and fractions (base protocol, "Requests"); JSON-RPC 2.0 only discourages them."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

LONGEST_ID = 255
LONGEST_METHOD = 128
LARGEST_ID = 2**63
"""Ids are repeated in every answer, so their size is limited."""


class RpcError(Exception):
    """A request that is answered with an error object: {code, message, data?}."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class InvalidRpcMessage(RpcError):
    """The value is not a JSON-RPC message. `id` is the request's, if it could be read."""

    def __init__(self, message: str, id: Id | None = None) -> None:
        super().__init__(INVALID_REQUEST, message)
        self.id = id


@dataclass(frozen=True, slots=True)
class Request:
    """A request; its sender expects a response with this id."""

    id: Id
    method: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notification:
    """A message without a response."""

    method: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request of ours: `body` is {result} or {error}, of any JSON type."""

    id: Id | None
    body: Mapping[str, Any] = field(default_factory=dict)


Message = Request | Notification | Response


def parse_message(value: Any) -> Message:
    """One decoded JSON-RPC message. Raises InvalidRpcMessage."""
    if not isinstance(value, dict):
        raise InvalidRpcMessage("expected a JSON-RPC message: an object")
    id = read_id(value)
    if value.get("jsonrpc") != "2.0":
        raise InvalidRpcMessage('jsonrpc: expected "2.0"', id)
    if "method" not in value and ("result" in value or "error" in value):
        member = "result" if "result" in value else "error"
        return Response(id, {member: value[member]})
    method, params = _method(value, id), _params(value, id)
    return Notification(method, params) if "id" not in value else Request(_required(id), method, params)


def read_id(value: Mapping[str, Any]) -> Id | None:
    """The message's id; None if there is none, or if it is null in a response. Raises InvalidRpcMessage."""
    id = value.get("id")
    match id:
        case None if "id" not in value or "method" not in value:
            return None
        case str() if len(id) <= LONGEST_ID:
            return id
        case int() if not isinstance(id, bool) and -LARGEST_ID <= id < LARGEST_ID:
            return id
        case _:
            raise InvalidRpcMessage(f"id: expected an integer, or a string of at most {LONGEST_ID} characters")


def _required(id: Id | None) -> Id:
    assert id is not None  # read_id refuses null in anything that has a method
    return id


def _method(value: Mapping[str, Any], id: Id | None) -> str:
    method = value.get("method")
    if not isinstance(method, str) or not 1 <= len(method) <= LONGEST_METHOD or not method.isprintable():
        raise InvalidRpcMessage(f"method: expected a string of 1 to {LONGEST_METHOD} printable characters", id)
    return method


def _params(value: Mapping[str, Any], id: Id | None) -> dict[str, Any]:
    params = value.get("params", {})
    if not isinstance(params, dict):
        raise InvalidRpcMessage("params: expected an object", id)
    return params


def result_text(id: Id, result: JsonText) -> JsonText:
    """The response to a successful request; `result` is the JSON of the result object."""
    return f'{{"jsonrpc":"2.0","id":{jsontext.dumps(id)},"result":{result}}}'


def error_text(error: RpcError, id: Id | None) -> JsonText:
    """The response to a failed request. Without an id if none could be read (MCP requires it to be absent, not
    null)."""
    inside: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        inside["data"] = error.data
    head: dict[str, Any] = {"jsonrpc": "2.0"} if id is None else {"jsonrpc": "2.0", "id": id}
    return jsontext.dumps({**head, "error": inside})


def request_text(id: Id, method: str, params: Mapping[str, Any]) -> JsonText:
    """A request of ours."""
    return jsontext.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def notification_text(
    method: str, params: Mapping[str, Any], verbatim: Mapping[str, JsonText | None] = MappingProxyType({})
) -> JsonText:
    """A notification: a message without a response. `verbatim` are further params that are already JSON text."""
    if not verbatim:
        return jsontext.dumps({"jsonrpc": "2.0", "method": method, "params": params})
    head = {"jsonrpc": "2.0", "method": method}
    return with_verbatim(head, {"params": with_verbatim(params, dict(verbatim))})
