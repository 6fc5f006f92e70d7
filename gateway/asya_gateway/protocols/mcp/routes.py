"""POST /mcp: Streamable HTTP for clients of both eras, which are told apart for each message. There are no sessions.

GET and DELETE are not routes, so they get 405 with `Allow`: there is no stream to open and no session to end.
"""

from http import HTTPStatus

from aiohttp import web

from asya_gateway.domain.errors import GatewayError, InvalidInput
from asya_gateway.protocols.http.accept import AcceptedForms, check_content_type, read_accept
from asya_gateway.protocols.http.bodies import read_json
from asya_gateway.protocols.http.jsonrpc import (
    PARSE_ERROR,
    InvalidMessage,
    Message,
    Notification,
    Request,
    Response,
    RpcError,
    parse_message,
)
from asya_gateway.protocols.http.keys import SETTINGS
from asya_gateway.protocols.mcp.answering import answer, refuse
from asya_gateway.protocols.mcp.batches import answer_batch
from asya_gateway.protocols.mcp.errors import MethodNotFound, Unanswerable, shown
from asya_gateway.protocols.mcp.methods import HANDSHAKE_METHODS, STATELESS_METHODS
from asya_gateway.protocols.mcp.request_checks import (
    check_notification,
    check_stateless,
    handshake_revision,
    is_stateless,
)
from asya_gateway.protocols.mcp.request_context import context_of
from asya_gateway.protocols.mcp.routing import VERSION_HEADER, single
from asya_gateway.protocols.mcp.versions import KNOWN_HANDSHAKE

PATH = "/mcp"


def register(app: web.Application) -> None:
    """Add the MCP endpoint."""
    app.router.add_post(PATH, handle)


async def handle(http: web.Request) -> web.StreamResponse:
    """One POST: a message, or a batch of them."""
    try:
        accepted = _accepted(http)
        value = await _read(http)
        if isinstance(value, list):
            return await _batch(http, value, accepted)
        message = parse_message(value)
    except InvalidMessage as error:
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


async def _batch(http: web.Request, batch: list[object], accepted: AcceptedForms) -> web.Response:
    header = single(http.headers, VERSION_HEADER)
    if header not in KNOWN_HANDSHAKE | {None} or not handshake_revision(http.headers).batches:
        raise InvalidMessage("expected one message: this revision has no batches")
    return await answer_batch(http, batch, accepted)


async def _dispatch(http: web.Request, message: Message, accepted: AcceptedForms) -> web.StreamResponse:
    id = message.id if isinstance(message, Request) else None
    stateless = True
    try:
        match message:
            case Response():
                return _take_response(http)
            case Notification() | Request():
                stateless = is_stateless(message, http.headers)
        match message:
            case Notification():
                return _take_notification(http, message, stateless=stateless)
            case Request():
                return await (_stateless if stateless else _after_handshake)(http, message, accepted)
    except RpcError as error:
        return refuse(error, id, stateless=stateless)


async def _stateless(http: web.Request, request: Request, accepted: AcceptedForms) -> web.StreamResponse:
    revision = check_stateless(request, http.headers, STATELESS_METHODS)
    context = context_of(http, request, revision)
    return await answer(http, context, STATELESS_METHODS[request.method], accepted)


async def _after_handshake(http: web.Request, request: Request, accepted: AcceptedForms) -> web.StreamResponse:
    revision = handshake_revision(http.headers, initializing=request.method == "initialize")
    method = HANDSHAKE_METHODS.get(request.method)
    if method is None:
        raise MethodNotFound(shown(request.method))
    return await answer(http, context_of(http, request, revision), method, accepted)


def _take_notification(http: web.Request, notification: Notification, *, stateless: bool) -> web.Response:
    """202 without a body. `notifications/cancelled` is ignored: over stateless HTTP it has no meaning, and after a
    handshake request ids belong to a session; without sessions, one client could cancel another's call."""
    if stateless:
        check_notification(notification, http.headers)
    else:
        handshake_revision(http.headers)
    return web.Response(status=HTTPStatus.ACCEPTED)


def _take_response(http: web.Request) -> web.Response:
    """After a handshake 202, because a client may send a late response to a request that this server does not know. The
    stateless revision has no server requests. Raises InvalidMessage."""
    if _looks_stateless(http):
        raise InvalidMessage("expected a request or a notification: this server sends no requests")
    handshake_revision(http.headers)
    return web.Response(status=HTTPStatus.ACCEPTED)
