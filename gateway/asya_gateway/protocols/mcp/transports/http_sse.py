"""HTTP+SSE of 2024-11-05 (basic/transports, "HTTP with SSE"): one stream that carries everything to the client, and
POSTs beside it, which may arrive at any replica. The session ends with its stream; its calls go on as tasks."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.web import AppKey

from asya_gateway.domain.errors import GatewayError, InvalidInput, Overloaded, Unavailable
from asya_gateway.domain.identity.principals import Caller, Principal
from asya_gateway.domain.sessions.ports import InboxMessage
from asya_gateway.domain.sessions.session import Session, SessionId, SessionTransport
from asya_gateway.protocols.http.accept import check_content_type, read_accept
from asya_gateway.protocols.http.background import BACKGROUND
from asya_gateway.protocols.http.bodies import encode, read_json
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.errors import NotAcceptable
from asya_gateway.protocols.http.jsonrpc import InvalidRpcMessage, Request, RpcError, parse_message
from asya_gateway.protocols.http.keys import HELD, OFFLOAD, SETTINGS
from asya_gateway.protocols.http.policies import Audience, RoutePolicy, add_route
from asya_gateway.protocols.mcp.answering import refuse
from asya_gateway.protocols.mcp.batches import check_batch
from asya_gateway.protocols.mcp.errors import HttpRefusal, Unanswerable
from asya_gateway.protocols.mcp.idempotency import with_headers
from asya_gateway.protocols.mcp.request_context import context_of
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS, SessionNotFound, find
from asya_gateway.protocols.mcp.transports.opening import new_session
from asya_gateway.protocols.mcp.transports.sse_stream import SseStream
from asya_gateway.protocols.mcp.versions import Revision, handshake_named

STREAM_PATH = "/mcp/sse"
MESSAGES_PATH = "/mcp/messages"
SESSION_ID = "session_id"
POLICY = RoutePolicy(Audience.CALLERS, resource=STREAM_PATH)
"""A token for the stream is good for its messages, since no client asks for another one."""

STREAMS: AppKey[dict[bytes, SseStream]] = AppKey("SSE_STREAMS")
"""The streams that this process holds, by their sessions."""


def register(app: web.Application) -> None:
    """Add both routes."""
    app[STREAMS] = {}
    add_route(app, "GET", STREAM_PATH, open_stream, POLICY)
    add_route(app, "POST", MESSAGES_PATH, take_message, POLICY)


async def open_stream(http: web.Request) -> web.StreamResponse:
    """A new session with its stream, whose first event names the URL for messages."""
    caller, id = caller_of(http), SessionId.new()
    if not read_accept(http).stream and "Accept" in http.headers:
        raise NotAcceptable("expected text/event-stream", field="Accept")
    sessions = http.app[SESSIONS].sessions
    with http.app[HELD].slot(http):
        await sessions.create(new_session(http, caller, id, SessionTransport.SSE))
        try:
            session = await sessions.find(id.key, caller.owner)
            if session is None:
                raise Unavailable("the session ended at once")
            return await _stream(http, session, id)
        finally:
            http.app[BACKGROUND].start(sessions.end(id.key, caller.owner))


async def _stream(http: web.Request, session: Session, id: SessionId) -> web.StreamResponse:
    context = context_of(http, Request("sse", "sse"), Revision.NOVEMBER_2024)
    # Clients resolve it against the URL of the stream, or against its origin; both begin with what a proxy takes away.
    prefix = urlsplit(http.app[SETTINGS].public_url).path.rstrip("/")
    stream = SseStream(http, context, session, f"{prefix}{MESSAGES_PATH}?{SESSION_ID}={id}")
    held = http.app[STREAMS]
    held[session.key] = stream
    try:
        with http.app[SESSIONS].watch.watch(session, stream):
            return await stream.run(http)
    finally:
        del held[session.key]


async def take_message(http: web.Request) -> web.StreamResponse:
    """202 for a message that the session's stream takes, wherever it is; 404 for an unknown session, 400 for what is no
    message."""
    try:
        session = await _session(http)
        message = await _read(http)
        message = _batch(http, session, message) if isinstance(message, list) else _single(http, message)
        caller, stream = caller_of(http), http.app[STREAMS].get(session.key)
        taken = await _forwarded(http, session, caller, message) if stream is None else stream.take(message, caller)
        if not taken:
            raise Unanswerable(Overloaded("too many messages of this session are waiting"))
    except RpcError as error:
        return refuse(error, error.id if isinstance(error, InvalidRpcMessage) else None, stateless=False)
    return web.Response(status=HTTPStatus.ACCEPTED, text="Accepted")


async def _session(http: web.Request) -> Session:
    """Raises HttpRefusal (400), SessionNotFound, Unanswerable."""
    values = http.query.getall(SESSION_ID, [])
    if len(values) != 1 or not values[0]:
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"{SESSION_ID}: expected the id of a session in the query, once")
    session = await find(http, values[0])
    if session is None or session.transport is not SessionTransport.SSE:
        raise SessionNotFound
    return session


async def _read(http: web.Request) -> Any:
    """Raises HttpRefusal (400), Unanswerable."""
    try:
        check_content_type(http)
        return await read_json(http, http.app[SETTINGS].max_call_bytes)
    except InvalidInput as error:
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, error.message) from None
    except GatewayError as error:
        raise Unanswerable(error) from None


def _single(http: web.Request, message: Any) -> Any:
    """Raises InvalidRpcMessage, InvalidParams, HttpRefusal (400)."""
    return with_headers(message, http.headers) if isinstance(parse_message(message), Request) else message


def _batch(http: web.Request, session: Session, batch: list[Any]) -> list[Any]:
    """Messages that are answered one by one on the stream, malformed ones there, too. Raises InvalidRpcMessage for a
    revision without batches."""
    revision = handshake_named(session.revision)
    if revision is None or not revision.batches:
        raise InvalidRpcMessage("expected one message: this revision has no batches")
    check_batch(batch, http.headers)
    return [with_headers(each, http.headers) if _is_request(each) else each for each in batch]


def _is_request(message: Any) -> bool:
    return isinstance(message, dict) and "method" in message and "id" in message


async def _forwarded(http: web.Request, session: Session, caller: Caller, message: Any) -> bool:
    """Leave a message for the replica that holds the stream; False if too many wait. Raises Unanswerable."""
    scopes = caller.rights.scopes if isinstance(caller, Principal) else None
    try:
        body = await encode(message, http.app[OFFLOAD])
        return await http.app[SESSIONS].inbox.put(session.key, InboxMessage(scopes, body))
    except GatewayError as error:
        raise Unanswerable(error) from None
