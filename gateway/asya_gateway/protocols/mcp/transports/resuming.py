"""A stream of a call that goes on after its connection broke, on any replica (2025-11-25, transports, "Resumability and
Redelivery")."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.sessions.ports import OpenCall
from asya_gateway.domain.sessions.session import Session
from asya_gateway.protocols.http.accept import AcceptedForms
from asya_gateway.protocols.http.holding import ClientConnection, HeldRequest
from asya_gateway.protocols.http.jsonrpc import Request
from asya_gateway.protocols.http.outages import outlasting
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp import prompts, resources
from asya_gateway.protocols.mcp.answering import (
    FinalResponse,
    attended,
    held_slot,
    permitted,
    respond,
    settle_or_hold,
    stream_in,
)
from asya_gateway.protocols.mcp.calling import HeldCall
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.errors import HttpRefusal, Unanswerable
from asya_gateway.protocols.mcp.methods import HANDSHAKE_METHODS
from asya_gateway.protocols.mcp.mrtr.session_state import stored_state
from asya_gateway.protocols.mcp.request_context import RequestContext, context_of
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.session_answers import outdated
from asya_gateway.protocols.mcp.sessions.call import RESULT_OF, SessionCall
from asya_gateway.protocols.mcp.sessions.event_ids import LAST_EVENT_ID, Place
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS
from asya_gateway.protocols.mcp.tasks.experimental import HeldResult
from asya_gateway.protocols.mcp.versions import Revision, handshake_named

Made = Callable[[RequestContext, Mapping[str, Any], str], HeldRequest[Result]]
"""A held request of a method, from its context, what its row says that it is made of, and the id of its task."""

METHODS: Mapping[str, Made] = {
    "tools/call": HeldCall.resumed,
    "prompts/get": prompts.resumed,
    "resources/read": resources.resumed,
    "tasks/result": HeldResult.resumed,
}
"""Methods whose streams can go on."""


class EventUnknown(HttpRefusal):
    """No stream of this session has an event with this id, or it can no longer go on."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, f"{LAST_EVENT_ID}: expected the id of an event of an open call")


async def resume(
    http: web.Request, session: Session, request: bytes, place: Place, revision: Revision
) -> web.StreamResponse:
    """Send what comes after an event, and the answer. Raises EventUnknown, Unanswerable."""
    parts = http.app[SESSIONS]
    try:
        row = await parts.calls.find(session.key, request)
    except GatewayError as error:
        raise Unanswerable(error) from None
    if row is None:
        raise EventUnknown
    task_id = row.call.get(RESULT_OF) if row.task_id is None else row.task_id
    if task_id is not None and row.call["method"] not in METHODS:
        raise EventUnknown
    call = SessionCall(parts, session, row.call["id"], place=place)
    if task_id is None:
        return await _ask_on(http, row, revision, call)
    context = _context(http, row, revision, call)
    with held_slot(http, context), attended(context):
        held = METHODS[context.method](context, row.call, task_id)
        call.adopt(row)
        return await stream_in(http, context, GoneOn(context, held, call), AcceptedForms(json=False, stream=True))


class GoneOn:
    """A held request whose stream goes on. Implements HeldRequest."""

    def __init__(self, context: RequestContext, held: HeldRequest[Result], call: SessionCall) -> None:
        self._context = context
        self._held = held
        self._call = call
        self.survives_drain = held.survives_drain
        self.needs_stream = True

    async def run(self, channel: ClientConnection) -> Result:
        """What came after the last event, and the result. Raises what the request itself raises."""
        # A client that comes back reads a stream, also if there is nothing but the answer on it.
        await channel.quiet()
        context = self._context
        limit = WaitLimit.within(context.settings.mcp_max_wait, context.settings, context.draining)
        over = partial(outdated, context.tasks, context.caller)
        await outlasting(lambda: self._call.repeat_withdrawals(over, channel.notify), channel, limit)
        return await self._held.run(channel)

    def abandon(self) -> None:
        """Called if the client leaves."""
        self._held.abandon()


async def _ask_on(http: web.Request, row: OpenCall, revision: Revision, call: SessionCall) -> web.StreamResponse:
    """Go on with a call that asks its client before it starts: it is made again with its own parameters, which stand
    with what was asked. Raises EventUnknown, Unanswerable."""
    try:
        state = await stored_state(call)
    except GatewayError as error:
        raise Unanswerable(error) from None
    if state is None:
        raise EventUnknown
    context = _context(http, row, revision, call, state.params)
    accepted = AcceptedForms(json=False, stream=True)
    with held_slot(http, context), attended(context):
        outcome = await settle_or_hold(context, permitted(context, HANDSHAKE_METHODS[context.method]))
        if isinstance(outcome, FinalResponse):
            return respond(outcome, accepted)
        call.adopt(row)
        return await stream_in(http, context, outcome, accepted)


def _context(
    http: web.Request,
    row: OpenCall,
    revision: Revision,
    call: SessionCall,
    own: Mapping[str, Any] | None = None,
) -> RequestContext:
    """The context of the call as it was made. Its result has the form that its own request asked for."""
    said = row.call
    token = said.get("token")
    named = {"taskId": said[RESULT_OF]} if RESULT_OF in said else {"name": said["name"]}
    params: dict[str, Any] = dict(named if own is None else own)
    if token is not None:
        params["_meta"] = {"progressToken": token}
    message = Request(said["id"], said["method"], params)
    asked_in = handshake_named(said["revision"]) or revision
    return context_of(http, message, asked_in, ClientCapabilities(call.session.capabilities), session=call)
