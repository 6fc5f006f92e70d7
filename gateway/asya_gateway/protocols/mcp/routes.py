"""/mcp: Streamable HTTP for clients of both eras, which are told apart for each message."""

from http import HTTPStatus

from aiohttp import web

from asya_gateway.domain.errors import GatewayError, InvalidInput
from asya_gateway.protocols.http.accept import AcceptedForms, check_content_type, read_accept
from asya_gateway.protocols.http.bodies import read_json
from asya_gateway.protocols.http.jsonrpc import (
    PARSE_ERROR,
    Id,
    InvalidRpcMessage,
    Message,
    Notification,
    Request,
    Response,
    RpcError,
    parse_message,
)
from asya_gateway.protocols.http.keys import ADMISSION, SETTINGS
from asya_gateway.protocols.http.policies import Audience, RoutePolicy, add_route
from asya_gateway.protocols.mcp.answering import answer, refuse
from asya_gateway.protocols.mcp.errors import InvalidParams, Unanswerable
from asya_gateway.protocols.mcp.methods import STATELESS_METHODS
from asya_gateway.protocols.mcp.request_checks import check_notification, check_stateless, is_stateless
from asya_gateway.protocols.mcp.request_context import PARTS, Parts, context_of
from asya_gateway.protocols.mcp.routing import VERSION_HEADER
from asya_gateway.protocols.mcp.selecting import SET, selection_of
from asya_gateway.protocols.mcp.transports import endpoint, handshake, http_sse
from asya_gateway.protocols.mcp.versions import KNOWN_HANDSHAKE

PATH = "/mcp"
SET_PATH = f"{PATH}/{{{SET}}}"
"""A tool set. A token for it opens nothing else, and one for /mcp opens every set (policies.opens)."""
POLICY = RoutePolicy(Audience.CALLERS, resource=PATH)
"""What a message needs beyond an identity, its method says (methods.py)."""
SET_POLICY = RoutePolicy(Audience.CALLERS, resource=PATH, varies=True)


def register(app: web.Application) -> None:
    """Add the MCP endpoint, and those of HTTP+SSE."""
    app[PARTS] = Parts(app)
    http_sse.register(app)
    add_route(app, "POST", PATH, handle, POLICY)
    add_route(app, "GET", PATH, endpoint.open_stream, POLICY)
    add_route(app, "DELETE", PATH, endpoint.end_session, POLICY)
    add_route(app, "POST", SET_PATH, handle, SET_POLICY)
    add_route(app, "GET", SET_PATH, endpoint.open_stream, SET_POLICY)
    add_route(app, "DELETE", SET_PATH, endpoint.end_session, SET_POLICY)


async def handle(http: web.Request) -> web.StreamResponse:
    """One POST: a message, or a batch of them."""
    try:
        selection_of(http)
        accepted = _accepted(http)
        value = await _read(http)
        if isinstance(value, list):
            return await handshake.batch(http, value, accepted)
        message = parse_message(value)
    except InvalidRpcMessage as error:
        return refuse(error, error.id, stateless=_looks_stateless(http))
    except RpcError as error:
        return refuse(error, None, stateless=_looks_stateless(http))
    return await _dispatch(http, message, accepted)


def _accepted(http: web.Request) -> AcceptedForms:
    try:
        accepted = read_accept(http)
        check_content_type(http)
    except GatewayError as error:
        raise Unanswerable(error) from None
    return accepted


async def _read(http: web.Request) -> object:
    try:
        return await read_json(http, http.app[SETTINGS].max_call_bytes)
    except InvalidInput as error:
        raise RpcError(PARSE_ERROR, f"Parse error: {error.message}") from None
    except GatewayError as error:
        raise Unanswerable(error) from None


def _looks_stateless(http: web.Request) -> bool:
    """Whether an unreadable body belongs to the stateless era, judged by its header."""
    values = http.headers.getall(VERSION_HEADER, [])
    return bool(values) and not KNOWN_HANDSHAKE.issuperset(values)


async def _dispatch(http: web.Request, message: Message, accepted: AcceptedForms) -> web.StreamResponse:
    id = message.id if isinstance(message, Request) else None
    stateless = True
    try:
        match message:
            case Response():
                return await _take_response(http, message)
            case Notification() | Request():
                stateless = is_stateless(message, http.headers)
    except InvalidParams as error:
        # Its `_meta` says nothing, so its header tells in which era it is refused. A notification that is not accepted
        # has an HTTP error in both (2025-11-25, transports, "Sending Messages to the Server").
        return refuse(error, id, stateless=id is None or _looks_stateless(http))
    except RpcError as error:
        return _refuse(http, error, id, stateless=stateless)
    try:
        match message:
            case Notification():
                return await _take_notification(http, message, stateless=stateless)
            case Request():
                return await (_stateless if stateless else handshake.request)(http, message, accepted)
    except RpcError as error:
        return _refuse(http, error, id, stateless=stateless)


def _refuse(http: web.Request, error: RpcError, id: Id | None, *, stateless: bool) -> web.Response:
    """A caller without the scopes for its message learns which these are."""
    challenges = http.app[ADMISSION].challenges.at(http.path)
    return refuse(error, id, stateless=stateless, challenges=challenges)


async def _stateless(http: web.Request, request: Request, accepted: AcceptedForms) -> web.StreamResponse:
    revision, client = check_stateless(request, http.headers, STATELESS_METHODS)
    context = context_of(http, request, revision, client)
    return await answer(http, context, STATELESS_METHODS[request.method], accepted)


async def _take_notification(http: web.Request, notification: Notification, *, stateless: bool) -> web.Response:
    """202 without a body. Over stateless HTTP notifications have no meaning, `notifications/cancelled` included."""
    if not stateless:
        return await handshake.notification(http, notification)
    check_notification(notification, http.headers)
    return web.Response(status=HTTPStatus.ACCEPTED)


async def _take_response(http: web.Request, response: Response) -> web.Response:
    """The stateless revision has no server requests. Raises InvalidRpcMessage."""
    if _looks_stateless(http):
        raise InvalidRpcMessage("expected a request or a notification: this server sends no requests")
    return await handshake.response(http, response)
