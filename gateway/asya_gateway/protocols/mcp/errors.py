"""The errors of MCP, and the table from the domain's errors to them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from asya_gateway.domain.budget import NoRoom
from asya_gateway.domain.errors import (
    Conflict,
    FlowNotFound,
    GatewayError,
    InvalidArguments,
    InvalidInput,
    KeyReused,
    Overloaded,
    QueueFull,
    TaskNotFound,
    TooLarge,
    TooManyTasks,
    Unavailable,
)
from asya_gateway.domain.identity.faults import AmbiguousCredentials, Denied, TooManyRequests, Unauthenticated
from asya_gateway.protocols.http.errors import (
    STATUS_OF,
    BodyTimeout,
    HostRefused,
    MeshAccessDenied,
    NotAcceptable,
    OriginRefused,
    Starting,
    StreamsExhausted,
    UnsupportedMediaType,
    code_and_field,
)
from asya_gateway.protocols.http.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    InvalidRpcMessage,
    RpcError,
)
from asya_gateway.protocols.mcp.versions import STATELESS, Revision

LONGEST_MESSAGE = 4000
"""Characters of an error's message."""

HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
RESOURCE_NOT_FOUND_BEFORE_2026 = -32002
LONGEST_SHOWN_URI = 2048
LONGEST_VERSION = 8190
"""Characters of a version that is named again as it was given: as many as a header may have."""

CODE_OF: dict[type[GatewayError], int] = {
    InvalidInput: INVALID_PARAMS,
    InvalidArguments: INVALID_PARAMS,
    TooLarge: INVALID_REQUEST,
    FlowNotFound: INVALID_PARAMS,
    TaskNotFound: INVALID_PARAMS,
    Conflict: INVALID_REQUEST,
    KeyReused: INVALID_PARAMS,
    TooManyTasks: INTERNAL_ERROR,
    Unavailable: INTERNAL_ERROR,
    Overloaded: INTERNAL_ERROR,
    QueueFull: INTERNAL_ERROR,
    StreamsExhausted: INTERNAL_ERROR,
    Starting: INTERNAL_ERROR,
    NoRoom: INTERNAL_ERROR,
    Unauthenticated: INVALID_REQUEST,
    AmbiguousCredentials: INVALID_REQUEST,
    Denied: INVALID_REQUEST,
    TooManyRequests: INTERNAL_ERROR,
    MeshAccessDenied: INVALID_REQUEST,
    OriginRefused: INVALID_REQUEST,
    HostRefused: INVALID_REQUEST,
    BodyTimeout: INVALID_REQUEST,
    NotAcceptable: INVALID_REQUEST,
    UnsupportedMediaType: INVALID_REQUEST,
}
"""Each error class has its own row (a test checks all of them). Arguments that break a tool's schema are not here: the
specification requires them in the tool's result, so that a model can correct itself (server/tools, "Error
Handling")."""

_HTTP_OF = {
    PARSE_ERROR: HTTPStatus.BAD_REQUEST,
    INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    INVALID_PARAMS: HTTPStatus.BAD_REQUEST,
    HEADER_MISMATCH: HTTPStatus.BAD_REQUEST,
    MISSING_CAPABILITY: HTTPStatus.BAD_REQUEST,
    UNSUPPORTED_VERSION: HTTPStatus.BAD_REQUEST,
}
"""Statuses of the stateless revision (basic, "Error Codes"). Where it defines none, the status is 200."""

_TRANSPORT_TELLS = frozenset(
    {
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    }
)
"""Statuses that proxies and clients act on regardless of the body, so they are kept in every revision."""


class HttpRefusal(RpcError):
    """An error with an explicit HTTP status, not derived from its JSON-RPC code."""

    def __init__(self, status: HTTPStatus, message: str, code: int = INVALID_REQUEST) -> None:
        super().__init__(code, message)
        self.status = status


class MethodNotFound(RpcError):
    """This revision has no such method."""

    def __init__(self, method: str) -> None:
        super().__init__(METHOD_NOT_FOUND, f"Method not found: {method}")


class InvalidParams(RpcError):
    """The method's parameters are invalid."""

    def __init__(self, message: str) -> None:
        super().__init__(INVALID_PARAMS, message)


class ResourceNotFound(RpcError):
    """There is no such resource, or the caller may not see it: -32602 (SEP-2164), before 2026-07-28 -32002."""

    def __init__(self, uri: str, revision: Revision, message: str = "Resource not found") -> None:
        code = INVALID_PARAMS if revision.stateless else RESOURCE_NOT_FOUND_BEFORE_2026
        super().__init__(code, message, {"uri": shown(uri, LONGEST_SHOWN_URI)})


class HeaderMismatch(RpcError):
    """A header contradicts the body or is missing (streamable HTTP, "Server Validation")."""

    def __init__(self, message: str) -> None:
        super().__init__(HEADER_MISMATCH, message)


class MissingCapability(RpcError):
    """The request needs what its client has not declared (2026-07-28, basic, "Error Codes"). `required` is a
    ClientCapabilities object, such as {"sampling": {}}."""

    def __init__(self, required: Mapping[str, Any]) -> None:
        super().__init__(MISSING_CAPABILITY, "Missing required client capability", {"requiredCapabilities": required})


class UnsupportedVersion(RpcError):
    """No revision with this name is served without a handshake."""

    def __init__(self, requested: str) -> None:
        named = bounded(requested, LONGEST_VERSION)
        data = {"supported": [str(revision) for revision in STATELESS], "requested": named}
        super().__init__(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


class Unanswerable(RpcError):
    """A domain error in MCP's form. `status` is the HTTP status, if it matters to proxies and clients."""

    def __init__(self, error: GatewayError) -> None:
        code = CODE_OF.get(type(error), INTERNAL_ERROR)
        outcome = {"outcome": error.outcome} if isinstance(error, Unavailable) else {}
        data = {**outcome, **error.data, **code_and_field(error)}
        super().__init__(code, bounded(error.text, LONGEST_MESSAGE), data or None)
        self.cause = error
        status = STATUS_OF.get(type(error))
        self.status = status if status in _TRANSPORT_TELLS else None
        self.retry_after = error.retry_after


def status_of(error: RpcError, *, stateless: bool) -> HTTPStatus:
    """The HTTP status of a response with this error, if no stream has begun.

    Clients with a handshake treat a status above 299 as a broken transport, so for them errors of the request are 200.
    """
    if isinstance(error, HttpRefusal):
        return error.status
    if isinstance(error, Unanswerable) and error.status is not None:
        return error.status
    if isinstance(error, InvalidRpcMessage):
        return HTTPStatus.BAD_REQUEST
    if not stateless and error.code != PARSE_ERROR:
        return HTTPStatus.OK
    return _HTTP_OF.get(error.code, HTTPStatus.OK)


def shown(text: str, longest: int = 64) -> str:
    """Caller input for use in an error: shortened, and without control characters."""
    return "".join(character if character.isprintable() else "\ufffd" for character in bounded(text, longest))


def bounded(text: str, longest: int) -> str:
    """A text of ours or of an actor, shortened."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
