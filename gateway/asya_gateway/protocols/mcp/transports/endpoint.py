"""GET and DELETE of the MCP endpoint: streams of a session, and its end."""

from http import HTTPStatus

from aiohttp import web

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.sessions.session import Session
from asya_gateway.protocols.http.accept import read_accept
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.errors import NotAcceptable, plain_error
from asya_gateway.protocols.http.jsonrpc import Request, RpcError
from asya_gateway.protocols.http.keys import HELD
from asya_gateway.protocols.mcp.answering import refuse
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.errors import Unanswerable
from asya_gateway.protocols.mcp.request_checks import handshake_revision
from asya_gateway.protocols.mcp.request_context import context_of
from asya_gateway.protocols.mcp.routing import VERSION_HEADER
from asya_gateway.protocols.mcp.sessions.event_ids import LAST_EVENT_ID, StreamPosition, read_event_id, read_standing_id
from asya_gateway.protocols.mcp.sessions.identification import HEADER, SESSIONS, SessionNotFound, session_of
from asya_gateway.protocols.mcp.transports.resuming import EventUnknown, resume
from asya_gateway.protocols.mcp.transports.standing import StandingStream
from asya_gateway.protocols.mcp.versions import KNOWN_HANDSHAKE, Revision, handshake_named

ALLOW = "OPTIONS, POST"
STANDING = "GET"
"""The id of a standalone stream in its own context, since it answers no request."""


async def open_stream(http: web.Request) -> web.StreamResponse:
    """GET: the standalone stream of a session, or one that goes on after an event."""
    if not _of_session(http):
        return plain_error(http, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ALLOW})
    try:
        session, revision = await _belonging(http)
        _check_accept(http)
        last = http.headers.getall(LAST_EVENT_ID, [])
        if not last:
            return await _stand(http, session, revision, None)
        if len(last) > 1:
            raise EventUnknown
        if (standing := read_standing_id(session, last[0])) is not None:
            return await _stand(http, session, revision, standing)
        if (found := read_event_id(session, last[0])) is None:
            raise EventUnknown
        return await resume(http, session, *found, revision)
    except RpcError as error:
        return _refuse(error)


async def end_session(http: web.Request) -> web.StreamResponse:
    """DELETE: end a session, on every replica."""
    if not _of_session(http):
        return plain_error(http, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ALLOW})
    try:
        session, _ = await _belonging(http)
        if not await http.app[SESSIONS].sessions.end(session.key, caller_of(http).owner):
            raise SessionNotFound
    except GatewayError as error:
        return _refuse(Unanswerable(error))
    except RpcError as error:
        return _refuse(error)
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _refuse(error: RpcError) -> web.Response:
    """An error with a status of its own, as in the stateless era: here 200 would be an open stream, or an ended
    session."""
    return refuse(error, None, stateless=True)


def _of_session(http: web.Request) -> bool:
    """Whether a request may belong to a session: not in the stateless era, nor without an id."""
    return HEADER in http.headers and KNOWN_HANDSHAKE.issuperset(http.headers.getall(VERSION_HEADER, []))


async def _belonging(http: web.Request) -> tuple[Session, Revision]:
    session = await session_of(http)
    if session is None:
        raise SessionNotFound
    return session, handshake_revision(http.headers, negotiated=handshake_named(session.revision))


def _check_accept(http: web.Request) -> None:
    """Raises Unanswerable."""
    try:
        accepted = read_accept(http)
        if not accepted.stream:
            raise NotAcceptable("expected text/event-stream", field="Accept")
    except GatewayError as error:
        raise Unanswerable(error) from None


async def _stand(
    http: web.Request, session: Session, revision: Revision, resumed_at: StreamPosition | None
) -> web.StreamResponse:
    context = context_of(http, Request(STANDING, STANDING), revision, ClientCapabilities(session.capabilities))
    parts = http.app[SESSIONS]
    try:
        with http.app[HELD].slot(http, more=session.weight):
            number = await parts.sessions.open_stream(session.key)
            if number is None:
                raise SessionNotFound
            stream = StandingStream(context, parts, session, number, resumed_at)
            with parts.watch.watch(session, stream):
                return await stream.run(http)
    except GatewayError as error:
        raise Unanswerable(error) from None
