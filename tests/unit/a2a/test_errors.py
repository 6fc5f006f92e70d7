"""The table of errors: every error of the domain has a row in each dialect and in each binding."""

import json

import pytest

from asya_gateway.domain.errors import GatewayError
from asya_gateway.protocols.a2a import errors
from asya_gateway.protocols.a2a.envelopes import error_text
from asya_gateway.protocols.a2a.errors import KIND_OF, A2aError, ErrorKind
from asya_gateway.protocols.a2a.http_json.refusing import status_of

NINE = {
    "TASK_NOT_FOUND": (-32001, 404, "NOT_FOUND"),
    "TASK_NOT_CANCELABLE": (-32002, 400, "FAILED_PRECONDITION"),
    "PUSH_NOTIFICATION_NOT_SUPPORTED": (-32003, 400, "FAILED_PRECONDITION"),
    "UNSUPPORTED_OPERATION": (-32004, 400, "FAILED_PRECONDITION"),
    "CONTENT_TYPE_NOT_SUPPORTED": (-32005, 400, "INVALID_ARGUMENT"),
    "INVALID_AGENT_RESPONSE": (-32006, 500, "INTERNAL"),
    "EXTENDED_AGENT_CARD_NOT_CONFIGURED": (-32007, 400, "FAILED_PRECONDITION"),
    "EXTENSION_SUPPORT_REQUIRED": (-32008, 400, "FAILED_PRECONDITION"),
    "VERSION_NOT_SUPPORTED": (-32009, 400, "FAILED_PRECONDITION"),
}
"""Section 5.4 of 1.0.1."""
STANDARD = {-32700, -32600, -32601, -32602, -32603}
GRPC = {
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "NOT_FOUND",
    "INTERNAL",
    "UNAVAILABLE",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
}
"""Names of google.rpc.Code."""
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, ErrorKind)}


def _tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _tree(child))]


def test_every_error_of_the_domain_has_a_row() -> None:
    known = {kind for kind in _tree(GatewayError) if kind.__module__.startswith("asya_gateway")} - {GatewayError}
    assert known - set(KIND_OF) == set()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_row_says_what_each_dialect_and_each_binding_answers(kind: ErrorKind) -> None:
    error = A2aError(kind, "what is wrong", fields=[("message", "expected a message")], details={"taskId": "t"})
    newest, older = [json.loads(error_text(1, error, newest=newest))["error"] for newest in (True, False)]
    if kind.reason in NINE:
        assert (kind.code, kind.status, kind.grpc) == NINE[kind.reason]
    else:
        assert kind.code in STANDARD
    assert newest["code"] == kind.code
    assert {each["@type"].rpartition(".")[2] for each in newest["data"]} == {"BadRequest", "ErrorInfo"}
    # 0.3 ends at -32007.
    assert older["code"] in {*STANDARD, *range(-32007, -32000)}
    assert (older["code"] == kind.code) is (kind.code not in (-32008, -32009))
    assert older["data"] == {"taskId": "t", "fields": [{"field": "message", "expected": "expected a message"}]}
    over_http = status_of(error)
    assert (over_http["code"], over_http["status"]) == (kind.status, kind.grpc)
    assert kind.grpc in GRPC
    assert 400 <= kind.status < 600
    info, *rest = over_http["details"]
    assert (info["reason"], info["metadata"]) == (kind.reason, {"taskId": "t"})
    assert [each["fieldViolations"][0]["field"] for each in rest] == ["message"]
