"""Messages after a handshake: which revision and session they belong to, and who takes them."""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from asya_gateway.domain.sessions.session import Session
from asya_gateway.protocols.http.accept import AcceptedForms
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.jsonrpc import InvalidRpcMessage, Notification, Request, Response
from asya_gateway.protocols.mcp.answering import answer
from asya_gateway.protocols.mcp.batches import answer_batch
from asya_gateway.protocols.mcp.capabilities import NOTHING_DECLARED, ClientCapabilities
from asya_gateway.protocols.mcp.errors import MethodNotFound, shown
from asya_gateway.protocols.mcp.methods import HANDSHAKE_METHODS
from asya_gateway.protocols.mcp.request_checks import handshake_revision
from asya_gateway.protocols.mcp.request_context import RequestContext, context_of
from asya_gateway.protocols.mcp.routing import VERSION_HEADER, single
from asya_gateway.protocols.mcp.sessions.call import SessionCall
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS, session_of
from asya_gateway.protocols.mcp.transports.notices import take_notification, take_response
from asya_gateway.protocols.mcp.transports.opening import open_session
from asya_gateway.protocols.mcp.versions import KNOWN_HANDSHAKE, Revision, handshake_named


async def request(http: web.Request, message: Request, accepted: AcceptedForms) -> web.StreamResponse:
    """Answer a request. Raises HttpRefusal, SessionNotFound, MethodNotFound, InvalidParams, Unanswerable."""
    if message.method == "initialize":
        return await open_session(http, message, handshake_revision(http.headers, initializing=True), accepted)
    session, revision = await _belonging(http)
    method = HANDSHAKE_METHODS.get(message.method)
    if method is None:
        raise MethodNotFound(shown(message.method))
    return await answer(http, context_in(http, message, revision, session), method, accepted)


async def notification(http: web.Request, message: Notification) -> web.Response:
    """202 without a body. Without a session nothing is canceled, because request ids belong to a session: one client
    could cancel another's call."""
    session, _ = await _belonging(http)
    if session is not None:
        await take_notification(http, session, message, caller_of(http))
    return web.Response(status=HTTPStatus.ACCEPTED)


async def response(http: web.Request, message: Response) -> web.Response:
    """202 without a body, because a client may send a late response to a request that is not known any more."""
    session, revision = await _belonging(http)
    if session is not None:
        await take_response(http, session, message, revision, caller_of(http))
    return web.Response(status=HTTPStatus.ACCEPTED)


async def batch(http: web.Request, messages: list[Any], accepted: AcceptedForms) -> web.Response:
    """Answer a batch. Raises InvalidRpcMessage for a revision without batches, SessionNotFound."""
    if single(http.headers, VERSION_HEADER) not in KNOWN_HANDSHAKE | {None}:
        raise InvalidRpcMessage("expected one message: this revision has no batches")
    session, revision = await _belonging(http)
    if not revision.batches:
        raise InvalidRpcMessage("expected one message: this revision has no batches")

    def context(message: Request) -> RequestContext:
        return context_in(http, message, revision, session)

    async def notice(message: Notification | Response) -> None:
        if session is None:
            return
        if isinstance(message, Notification):
            await take_notification(http, session, message, caller_of(http))
        else:
            await take_response(http, session, message, revision, caller_of(http))

    return await answer_batch(http, messages, accepted, context, notice)


def context_in(http: web.Request, message: Request, revision: Revision, session: Session | None) -> RequestContext:
    """The context of a request of this session. Raises InvalidParams."""
    if session is None:
        return context_of(http, message, revision, NOTHING_DECLARED)
    call = SessionCall(http.app[SESSIONS], session, message.id)
    return context_of(http, message, revision, ClientCapabilities(session.capabilities), session=call)


async def _belonging(http: web.Request) -> tuple[Session | None, Revision]:
    """The session of a message, and the revision in which it is answered: a header may differ from the session's."""
    session = await session_of(http)
    negotiated = None if session is None else handshake_named(session.revision)
    return session, handshake_revision(http.headers, negotiated=negotiated)
