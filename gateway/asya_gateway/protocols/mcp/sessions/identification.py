"""Which session a request belongs to (2025-11-25, transports, "Session Management")."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.web import AppKey

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.sessions.ports import SessionParts
from asya_gateway.domain.sessions.session import LONGEST_ID, Session, SessionId, SessionTransport
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.mcp.errors import HttpRefusal, Unanswerable

HEADER = "Mcp-Session-Id"
SESSIONS: AppKey[SessionParts] = AppKey("SESSIONS")


class SessionNotFound(HttpRefusal):
    """No session of this caller has this id ("MUST respond to requests containing that session ID with HTTP 404").
    A foreign session, and one that has ended, are answered in the same way."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, "Session not found: initialize again without a session id")


async def session_of(http: web.Request) -> Session | None:
    """The session that a request names; None if it names none. Raises SessionNotFound, Unanswerable."""
    values = http.headers.getall(HEADER, None)
    if values is None:
        return None
    session = await find(http, values[0]) if len(values) == 1 else None
    if session is None or session.transport is not SessionTransport.HTTP:
        raise SessionNotFound
    return session


async def find(http: web.Request, text: str) -> Session | None:
    """The caller's living session with this id, in any transport. Raises Unanswerable."""
    if not 1 <= len(text) <= LONGEST_ID or not text.isascii():
        return None
    try:
        return await http.app[SESSIONS].sessions.find(SessionId(text).key, caller_of(http).owner)
    except GatewayError as error:
        raise Unanswerable(error) from None
