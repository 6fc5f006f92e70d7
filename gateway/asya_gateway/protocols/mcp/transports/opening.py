"""initialize over streamable HTTP: the handshake, which opens a session."""

from dataclasses import replace

from aiohttp import web

from asya_gateway.domain.identity.principals import ANONYMOUS, Caller, Principal
from asya_gateway.domain.sessions.session import NewSession, SessionId, SessionTransport
from asya_gateway.protocols.http.accept import AcceptedForms
from asya_gateway.protocols.http.jsonrpc import Request
from asya_gateway.protocols.http.sources import network_of, source_of
from asya_gateway.protocols.mcp import discovery
from asya_gateway.protocols.mcp.answering import FinalResponse, permitted, respond, settle_or_hold
from asya_gateway.protocols.mcp.request_context import RequestContext, context_of
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.sessions.identification import HEADER, SESSIONS
from asya_gateway.protocols.mcp.versions import Revision


async def open_session(
    http: web.Request, request: Request, revision: Revision, accepted: AcceptedForms
) -> web.StreamResponse:
    """Answer the handshake; a good one with the id of a new session. Raises InvalidParams for a malformed `_meta`."""
    context, id = context_of(http, request, revision), SessionId.new()

    async def opened(context: RequestContext) -> Result:
        result = await discovery.initialize(context)
        new = replace(
            new_session(http, context.caller, id, SessionTransport.HTTP),
            revision=result.fields["protocolVersion"],
            capabilities=context.params["capabilities"],
            client=context.params["clientInfo"],
        )
        await http.app[SESSIONS].sessions.create(new)
        return result

    settled = await settle_or_hold(context, permitted(context, opened))
    assert isinstance(settled, FinalResponse)  # a handshake is never held
    if settled.good:
        settled = replace(settled, headers={**settled.headers, HEADER: id})
    return respond(settled, accepted)


def new_session(http: web.Request, caller: Caller, id: SessionId, transport: SessionTransport) -> NewSession:
    """A session of this caller."""
    known = isinstance(caller, Principal) and caller is not ANONYMOUS
    return NewSession(
        key=id.key,
        transport=transport,
        owner=caller.owner,
        source="" if known else network_of(source_of(http)) or "unknown",
        revocables=caller.revocables if isinstance(caller, Principal) else frozenset(),
    )
