"""The JSON-RPC envelope of A2A. An invalid request is answered, too, with its id if that can be read."""

from dataclasses import dataclass, field
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a.errors import INVALID_REQUEST, A2aError
from asya_gateway.protocols.http.jsonrpc import LARGEST_ID, LONGEST_ID, LONGEST_METHOD

DOMAIN = "a2a-protocol.org"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

Id = str | int | None


class InvalidRpcRequest(A2aError):
    """The value is no request. `id` is the request's, if it could be read."""

    def __init__(self, message: str, id: Id = None) -> None:
        super().__init__(INVALID_REQUEST, message)
        self.id = id


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """A request: {jsonrpc, id, method, params}."""

    id: Id
    method: str
    params: dict[str, Any] = field(default_factory=dict)


def read_envelope(value: Any) -> RpcRequest:
    """Raises InvalidRpcRequest."""
    if isinstance(value, list):
        raise InvalidRpcRequest("Batches are not supported: expected one request")
    if not isinstance(value, dict):
        raise InvalidRpcRequest("expected a JSON-RPC request: an object")
    id = value.get("id")
    if not _is_id(id):
        raise InvalidRpcRequest(f"id: expected an integer, or a string of at most {LONGEST_ID} characters")
    if value.get("jsonrpc") != "2.0":
        raise InvalidRpcRequest('jsonrpc: expected "2.0"', id)
    method, params = value.get("method"), value.get("params", {})
    if not isinstance(method, str) or not 1 <= len(method) <= LONGEST_METHOD:
        raise InvalidRpcRequest(f"method: expected a string of 1 to {LONGEST_METHOD} characters", id)
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise InvalidRpcRequest("params: expected an object", id)
    return RpcRequest(id, method, params)


def _is_id(id: Any) -> bool:
    if id is None or (isinstance(id, str) and len(id) <= LONGEST_ID):
        return True
    return isinstance(id, int) and not isinstance(id, bool) and -LARGEST_ID <= id < LARGEST_ID


def before_result(id: Id) -> JsonText:
    """A response up to its result, after which a brace ends it."""
    return f'{{"jsonrpc":"2.0","id":{jsontext.dumps(id)},"result":'


def error_text(id: Id, error: A2aError, *, newest: bool) -> JsonText:
    """A response with an error: with typed details in 1.0 (section 9.5), with an object before."""
    found: dict[str, Any] = {"code": code_of(error, newest=newest), "message": error.message}
    data = details(error) if newest else _older_details(error)
    if data:
        found["data"] = data
    return jsontext.dumps({"jsonrpc": "2.0", "id": id, "error": found})


def code_of(error: A2aError, *, newest: bool) -> int:
    """The code. 0.3 ends at -32007."""
    code = error.kind.code
    return -32603 if not newest and -32099 <= code < -32007 else code


def details(error: A2aError) -> list[dict[str, Any]]:
    """What went wrong, as google.rpc messages."""
    tells = -32100 < error.kind.code < -32000 or bool(error.details)
    return [*violations_of(error), *([with_reason(error)] if tells else [])]


def violations_of(error: A2aError) -> list[dict[str, Any]]:
    """A BadRequest with the members that are wrong; nothing if none is."""
    violations = [{"field": name, "description": text} for name, text in error.fields]
    return [{"@type": BAD_REQUEST, "fieldViolations": violations}] if violations else []


def with_reason(error: A2aError) -> dict[str, Any]:
    """An ErrorInfo with the error's reason."""
    info: dict[str, Any] = {"@type": INFO, "reason": error.kind.reason, "domain": DOMAIN}
    return {**info, **({"metadata": error.details} if error.details else {})}


def _older_details(error: A2aError) -> dict[str, Any]:
    fields = {"fields": [{"field": name, "expected": text} for name, text in error.fields]} if error.fields else {}
    return {**error.details, **fields}
