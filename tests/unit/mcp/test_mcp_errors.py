"""The table from the domain's errors to MCP's codes, and what errors may quote."""

import pytest

import asya_gateway.protocols.http.errors  # noqa: F401 # its errors belong to the tree
from asya_gateway.domain.errors import (
    FlowNotFound,
    GatewayError,
    InvalidInput,
    Overloaded,
    TooLarge,
    Unavailable,
)
from asya_gateway.protocols.http.jsonrpc import InvalidRpcMessage, RpcError
from asya_gateway.protocols.mcp.errors import (
    CODE_OF,
    HeaderMismatch,
    InvalidParams,
    MethodNotFound,
    MissingCapability,
    ResourceNotFound,
    Unanswerable,
    UnsupportedVersion,
    shown,
    status_of,
)
from asya_gateway.protocols.mcp.versions import Revision


def _tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _tree(child))]


@pytest.mark.parametrize("kind", _tree(GatewayError)[1:], ids=lambda kind: kind.__name__)
def test_every_domain_error_has_its_own_row(kind: type[GatewayError]) -> None:
    assert kind in CODE_OF


@pytest.mark.parametrize(
    ("error", "stateless", "after_handshake"),
    [
        (MethodNotFound("x"), 404, 200),
        (InvalidParams("x"), 400, 200),
        (HeaderMismatch("x"), 400, 200),
        (UnsupportedVersion("x"), 400, 200),
        (InvalidRpcMessage("x"), 400, 400),
        (RpcError(-32700, "x"), 400, 400),
        (RpcError(-32603, "x"), 200, 200),
        (Unanswerable(Unavailable("x")), 503, 503),
        (Unanswerable(Overloaded("x")), 503, 503),
        (Unanswerable(TooLarge("x")), 413, 413),
        (Unanswerable(FlowNotFound("x")), 400, 200),
        (Unanswerable(InvalidInput("x")), 400, 200),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_errors_have_the_status_of_their_era(error: RpcError, stateless: int, after_handshake: int) -> None:
    """2026-07-28, basic, "Error Codes": -32601 is 404, a bad envelope, -32020 and -32022 are 400."""
    assert (status_of(error, stateless=True), status_of(error, stateless=False)) == (stateless, after_handshake)


def test_codes_are_those_of_json_rpc_and_of_the_specification() -> None:
    """2026-07-28, basic, "Error Codes": 'Implementations MUST NOT emit any code from this sub-range that is not defined
    by this specification', and none of the codes of earlier revisions."""
    jsonrpc = {-32700, -32600, -32601, -32602, -32603}
    own = [
        HeaderMismatch("x"), InvalidParams("x"), MethodNotFound("x"), MissingCapability({}), UnsupportedVersion("x"),
        ResourceNotFound("x", Revision.JULY_2026),
    ]  # fmt: skip
    assert set(CODE_OF.values()) <= jsonrpc
    assert {error.code for error in own} == {-32602, -32601, -32020, -32021, -32022}


def test_an_outage_says_when_to_come_back() -> None:
    assert Unanswerable(Unavailable("away")).retry_after == 1


def test_a_quotation_is_cut_and_made_harmless() -> None:
    assert shown("a\x1b[31m\nb" + "x" * 100) == "a\ufffd[31m\ufffdb" + "x" * 55 + "…"


def test_a_message_is_bounded() -> None:
    assert len(Unanswerable(InvalidInput("x" * 10_000)).message) == 4000
