"""The errors of A2A, and the table from the domain's errors to them (specification, section 5.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from asya_crds.violation import Violation
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


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """A kind of error: its JSON-RPC code, its `reason`, and its HTTP status in the REST binding with that status's gRPC
    name (1.0.1, section 5.4)."""

    code: int
    reason: str
    status: HTTPStatus
    grpc: str


BAD, GONE = HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND
AWAY = HTTPStatus.SERVICE_UNAVAILABLE

PARSE_ERROR = ErrorKind(-32700, "PARSE_ERROR", BAD, "INVALID_ARGUMENT")
INVALID_REQUEST = ErrorKind(-32600, "INVALID_REQUEST", BAD, "INVALID_ARGUMENT")
METHOD_NOT_FOUND = ErrorKind(-32601, "METHOD_NOT_FOUND", GONE, "UNIMPLEMENTED")
INVALID_PARAMS = ErrorKind(-32602, "INVALID_PARAMS", BAD, "INVALID_ARGUMENT")
INTERNAL = ErrorKind(-32603, "INTERNAL", HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL")
UNAVAILABLE = ErrorKind(-32603, "UNAVAILABLE", AWAY, "UNAVAILABLE")
TOO_LARGE = ErrorKind(-32600, "TOO_LARGE", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "INVALID_ARGUMENT")
TOO_MANY = ErrorKind(-32603, "RESOURCE_EXHAUSTED", HTTPStatus.TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED")
UNAUTHENTICATED = ErrorKind(-32600, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED")
DENIED = ErrorKind(-32600, "PERMISSION_DENIED", HTTPStatus.FORBIDDEN, "PERMISSION_DENIED")
TIMED_OUT = ErrorKind(-32600, "REQUEST_TIMEOUT", HTTPStatus.REQUEST_TIMEOUT, "DEADLINE_EXCEEDED")
MISDIRECTED = ErrorKind(-32600, "MISDIRECTED", HTTPStatus.MISDIRECTED_REQUEST, "INVALID_ARGUMENT")
UNACCEPTABLE = ErrorKind(-32600, "NOT_ACCEPTABLE", HTTPStatus.NOT_ACCEPTABLE, "INVALID_ARGUMENT")

TASK_NOT_FOUND = ErrorKind(-32001, "TASK_NOT_FOUND", GONE, "NOT_FOUND")
TASK_NOT_CANCELABLE = ErrorKind(-32002, "TASK_NOT_CANCELABLE", BAD, "FAILED_PRECONDITION")
PUSH_NOT_SUPPORTED = ErrorKind(-32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", BAD, "FAILED_PRECONDITION")
UNSUPPORTED_OPERATION = ErrorKind(-32004, "UNSUPPORTED_OPERATION", BAD, "FAILED_PRECONDITION")
CONTENT_TYPE_NOT_SUPPORTED = ErrorKind(-32005, "CONTENT_TYPE_NOT_SUPPORTED", BAD, "INVALID_ARGUMENT")
EXTENDED_CARD_NOT_CONFIGURED = ErrorKind(-32007, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", BAD, "FAILED_PRECONDITION")
EXTENSION_REQUIRED = ErrorKind(-32008, "EXTENSION_SUPPORT_REQUIRED", BAD, "FAILED_PRECONDITION")
VERSION_NOT_SUPPORTED = ErrorKind(-32009, "VERSION_NOT_SUPPORTED", BAD, "FAILED_PRECONDITION")

KIND_OF: dict[type[GatewayError], ErrorKind] = {
    InvalidInput: INVALID_PARAMS,
    InvalidArguments: INVALID_PARAMS,
    TooLarge: TOO_LARGE,
    FlowNotFound: INVALID_PARAMS,
    TaskNotFound: TASK_NOT_FOUND,
    Conflict: UNSUPPORTED_OPERATION,
    KeyReused: INVALID_PARAMS,
    TooManyTasks: TOO_MANY,
    Unavailable: UNAVAILABLE,
    Overloaded: UNAVAILABLE,
    QueueFull: UNAVAILABLE,
    StreamsExhausted: UNAVAILABLE,
    Starting: UNAVAILABLE,
    NoRoom: UNAVAILABLE,
    Unauthenticated: UNAUTHENTICATED,
    AmbiguousCredentials: INVALID_REQUEST,
    Denied: DENIED,
    TooManyRequests: TOO_MANY,
    MeshAccessDenied: DENIED,
    OriginRefused: DENIED,
    HostRefused: MISDIRECTED,
    BodyTimeout: TIMED_OUT,
    NotAcceptable: UNACCEPTABLE,
    UnsupportedMediaType: CONTENT_TYPE_NOT_SUPPORTED,
}
"""Each error class has its own row (a test checks all of them)."""


class A2aError(Exception):
    """A request that is answered with an error. `details` become ErrorInfo.metadata, `fields` the violations of a
    BadRequest."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        details: Mapping[str, str] | None = None,
        fields: Sequence[tuple[str, str]] = (),
        cause: GatewayError | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.details = dict(details or {})
        self.fields = tuple(fields)
        self.cause = cause

    @classmethod
    def of(cls, error: GatewayError) -> "A2aError":
        """A domain error in A2A's form."""
        fields: list[tuple[str, str]] = []
        if isinstance(error, InvalidArguments):
            fields = [(_member(each), each.message) for each in error.violations[:MOST_VIOLATIONS]]
        elif error.field is not None:
            fields = [(error.field, error.message)]
        kind = KIND_OF.get(type(error), INTERNAL)
        details = {key: _text(value) for key, value in error.data.items() if isinstance(value, str | list | tuple)}
        details |= code_and_field(error)
        return cls(kind, error.text, details=details, fields=fields if kind is INVALID_PARAMS else (), cause=error)


MOST_VIOLATIONS = 100


def _text(value: Any) -> str:
    """A detail as ErrorInfo.metadata has it: text."""
    return value if isinstance(value, str) else ", ".join(map(str, value))


def _member(violation: Violation) -> str:
    return f"message.parts{violation.path}" if violation.path else "message.parts"


class InvalidParams(A2aError):
    """A member of the request is not what it must be."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(INVALID_PARAMS, f"{field}: {expected}", fields=[(field, expected)])
