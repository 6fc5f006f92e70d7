"""The table from the domain's errors to HTTP, and the two forms in which callers get them."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

from asya_crds import jsontext
from asya_crds.call_messages import ErrorJson, RefusalJson
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

log = logging.getLogger(__name__)


class OriginRefused(GatewayError):
    """The web page that sent this request may not call (Origin header)."""

    code = "origin_refused"


class HostRefused(GatewayError):
    """The Host header is not a host of this gateway: a misrouted request, or DNS rebinding."""

    code = "host_refused"


class BodyTimeout(GatewayError):
    """The body did not arrive in time."""

    code = "body_timeout"


class MeshAccessDenied(GatewayError):
    """Mesh routes are for programs of this machine, in a process that also serves callers."""

    code = "mesh_refused"


class StreamsExhausted(Overloaded):
    """The limit of requests held open is reached: streams, blocking calls and waiting ones."""

    code = "too_many_streams"


class NotAcceptable(GatewayError):
    """The client accepts no available form of the answer (Accept header)."""

    code = "not_acceptable"


class UnsupportedMediaType(GatewayError):
    """The body's content type is not one that is read here (Content-Type header)."""

    code = "unsupported_media_type"


class Starting(Unavailable):
    """The process listens, but is not connected to everything yet."""

    code = "starting"


STATUS_OF: dict[type[GatewayError], HTTPStatus] = {
    InvalidInput: HTTPStatus.BAD_REQUEST,
    InvalidArguments: HTTPStatus.BAD_REQUEST,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    FlowNotFound: HTTPStatus.NOT_FOUND,
    TaskNotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyTasks: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    QueueFull: HTTPStatus.SERVICE_UNAVAILABLE,
    StreamsExhausted: HTTPStatus.SERVICE_UNAVAILABLE,
    Starting: HTTPStatus.SERVICE_UNAVAILABLE,
    NoRoom: HTTPStatus.SERVICE_UNAVAILABLE,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    AmbiguousCredentials: HTTPStatus.BAD_REQUEST,
    Denied: HTTPStatus.FORBIDDEN,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    MeshAccessDenied: HTTPStatus.FORBIDDEN,
    OriginRefused: HTTPStatus.FORBIDDEN,
    HostRefused: HTTPStatus.MISDIRECTED_REQUEST,
    BodyTimeout: HTTPStatus.REQUEST_TIMEOUT,
    NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
"""Each error class has its own row (a test checks all of them), so that no error inherits a status by accident."""


def error_dict(error: GatewayError) -> RefusalJson:
    """The error object of the JSON form: {code, message, field?, violations?: [{path, message}], outcome?, data?}."""
    found: RefusalJson = {"code": error.code, "message": error.message}
    if error.field is not None:
        found["field"] = error.field
    if isinstance(error, InvalidArguments):
        found["violations"] = [{"path": item.path, "message": item.message} for item in error.violations]
    if isinstance(error, Unavailable):
        found["outcome"] = error.outcome
    if error.data:
        found["data"] = dict(error.data)
    return found


def code_and_field(error: GatewayError) -> dict[str, str]:
    """The code and the field of a refusal by which programs tell a full queue from other outages, for wires whose error
    object has no place of its own for them."""
    return {"code": error.code, "field": "flow"} if isinstance(error, QueueFull) else {}


def error_response(
    request: web.BaseRequest, error: GatewayError, more: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    """The response for a domain error: JSON for a caller that uses it, else plain text. `more` are further headers."""
    status = STATUS_OF.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("%s %s: %s", request.method, request.path, error.message)
    headers = dict(more) if error.retry_after is None else {"Retry-After": str(error.retry_after), **more}
    return _response(request, status, error.text, error_dict(error), headers)


def plain_error(request: web.BaseRequest, status: int, headers: dict[str, str] | None = None) -> web.Response:
    """The response for an error of HTTP itself: no such route, method not allowed."""
    phrase = HTTPStatus(status).phrase
    return _response(request, status, phrase, {"code": phrase.lower().replace(" ", "_"), "message": phrase}, headers)


def _response(
    request: web.BaseRequest, status: int, text: str, inside: RefusalJson, headers: dict[str, str] | None
) -> web.Response:
    headers = {"Cache-Control": "no-store", **(headers or {})}
    if speaks_json(request):
        document: ErrorJson = {"error": inside}
        body, content_type = jsontext.dumps(document), "application/json"
    else:
        body, content_type = text, "text/plain"
    # A message may quote input of the caller that UTF-8 cannot encode.
    encoded = body.encode("utf-8", "backslashreplace")
    return web.Response(status=status, body=encoded, content_type=content_type, charset="utf-8", headers=headers)


def speaks_json(request: web.BaseRequest) -> bool:
    """Whether the caller asked for JSON (Accept) or sent it (Content-Type)."""
    return "json" in request.headers.get("Accept", "") or "json" in request.headers.get("Content-Type", "")
