"""The stream of HTTP+SSE: takes its client's messages, and carries their answers and everything else."""

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from typing_extensions import override

from asya_crds import large_json
from asya_crds.offloading import OffloadFailed
from asya_gateway.domain.budget import Reservation, Share
from asya_gateway.domain.errors import Overloaded, Unavailable
from asya_gateway.domain.identity.principals import Caller, Principal
from asya_gateway.domain.identity.scopes import rights_of
from asya_gateway.domain.sessions.ports import Inbox
from asya_gateway.domain.sessions.session import Session
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.bodies import VALUE_WEIGHT, WEIGHT
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.holding import HeldRequest
from asya_gateway.protocols.http.jsonrpc import (
    InvalidRpcMessage,
    Message,
    Notification,
    Request,
    RpcError,
    parse_message,
)
from asya_gateway.protocols.http.sse import EventStream, event_bytes
from asya_gateway.protocols.mcp import discovery
from asya_gateway.protocols.mcp.answering import (
    FinalResponse,
    attended,
    begun,
    canceled,
    held_slot,
    permitted,
    settle,
    settle_or_hold,
)
from asya_gateway.protocols.mcp.batches import no_handshake
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.errors import MethodNotFound, Unanswerable, shown
from asya_gateway.protocols.mcp.methods import HANDSHAKE_METHODS
from asya_gateway.protocols.mcp.request_context import RequestContext, context_of
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.routing import Headers
from asya_gateway.protocols.mcp.sessions.call import SessionCall
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS
from asya_gateway.protocols.mcp.topics import Notice
from asya_gateway.protocols.mcp.transports.notices import take_notification, take_response
from asya_gateway.protocols.mcp.transports.standing import ENDED, StandingStream
from asya_gateway.protocols.mcp.versions import Revision, handshake_named

log = logging.getLogger(__name__)

MOST_AT_ONCE = 32
"""Requests of one stream that are answered at the same time."""
MOST_TAKEN = 100
"""Messages of one stream that are worked on at the same time, with those that need no answer. As many may wait for it
at other replicas."""
CHANGING = frozenset({"initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Requests that change their session."""
NO_HEADERS: Headers = CIMultiDictProxy(CIMultiDict())
"""What the headers of a message's own POST said travels in its `_meta`; those of the stream say nothing about it."""


class SseStream(StandingStream):
    """One open stream. `endpoint` is the URL to which its client posts."""

    def __init__(self, http: web.Request, context: RequestContext, session: Session, endpoint: str) -> None:
        super().__init__(context, http.app[SESSIONS], session, 0)
        self._http = http
        self._endpoint = endpoint
        self._variables = contextvars.copy_context()
        self._work: set[asyncio.Task[None]] = set()
        self._messages: set[asyncio.Task[None]] = set()
        """The part of it that messages make."""
        self._answering = 0
        self._writing = asyncio.Lock()
        self._taking = False

    @override
    async def run(self, http: web.Request) -> web.StreamResponse:
        """Carry answers until the client leaves or the session ends. Its calls go on as tasks."""
        try:
            return await super().run(http)
        finally:
            for task in self._work:
                task.cancel()
            if self._work:
                await asyncio.wait(self._work)

    def take(self, message: Any, caller: Caller) -> bool:
        """Begin with a valid message of this caller, or with the messages of a batch; False if too many others are
        worked on. What the enclosing scope of the budget holds for a message is held until it is answered, or its call
        is stored."""
        batched = isinstance(message, list)
        messages = message if batched else [message]
        if self._messages and len(self._messages) + len(messages) > MOST_TAKEN:
            return False
        rooms = self._context.budget.handed_over().split(len(messages))
        for each, room in zip(messages, rooms, strict=True):
            task = self._start(self._take(each, caller, room, batched=batched))
            self._messages.add(task)
            task.add_done_callback(self._messages.discard)
            # Also if it is canceled before it begins.
            task.add_done_callback(partial(_release, room))
        return True

    @override
    def posted(self) -> None:
        """Take what was left by other replicas."""
        if not self._taking:
            self._taking = True
            self._start(self._take_posted())

    @override
    def changed(self, session: Session) -> None:
        self._take_over(session)
        self._woken.set()
        # A message also changes the row, in case that its word was lost.
        self.posted()

    @override
    async def _begin(self, stream: EventStream) -> None:
        """The first event names the URL ("the server MUST send an endpoint event")."""
        await self._write(event_bytes(self._endpoint, event="endpoint"))

    @override
    async def _notify(self, stream: EventStream, notice: Notice) -> None:
        await self._send(notice.text())

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        # In the context of the stream, not in that of the request that brought the message.
        task = asyncio.create_task(work, context=self._variables.copy())
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _take_posted(self) -> None:
        inbox, key = self._http.app[SESSIONS].inbox, self._session.key
        try:
            while sizes := await inbox.sizes(key):
                await self._take_from(inbox, await self._rooms(sizes))
        except Unavailable:
            # They stay in their rows, and the next look at the session finds them.
            pass
        except OffloadFailed as error:
            # One was taken that cannot be read now, and its sender would wait for an answer that does not come.
            log.warning("a stream ends, because a large message cannot be decoded: %s", error)
            self._leave(ENDED)
        finally:
            self._taking = False

    async def _rooms(self, sizes: Sequence[int]) -> "deque[Reservation]":
        """Room for the first of these messages, and for those after it that fit now. Until there is some, they stay in
        their rows."""
        budget = self._context.budget
        rooms = deque([await budget.lease(Share.CALLS, WEIGHT * sizes[0])])
        for size in sizes[1:]:
            room = budget.try_lease(Share.CALLS, WEIGHT * size)
            if room is None:
                break
            rooms.append(room)
        return rooms

    async def _take_from(self, inbox: Inbox, rooms: "deque[Reservation]") -> None:
        """Take as many messages as there are rooms. Raises Unavailable, OffloadFailed."""
        try:
            for each in await inbox.take(self._session.key, len(rooms)):
                with rooms.popleft():
                    message = await self._decoded(each.body.encode())
                    # It was taken at the other replica, so that it waits here.
                    while not self.take(message, self._as(each.scopes)):
                        await asyncio.wait(self._messages, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for room in rooms:
                room.release()

    async def _decoded(self, body: bytes) -> Any:
        """Raises OffloadFailed."""
        if not large_json.has_few_values(body):
            self._context.budget.add(Share.CALLS, VALUE_WEIGHT * min(large_json.MAX_VALUES, len(body)))
        return await large_json.loads(body, self._context.offload, insist=True)

    def _as(self, scopes: frozenset[str] | None) -> Caller:
        """The stream's caller with the rights of the credential with which a message was posted."""
        caller = self._caller
        if scopes is None or not isinstance(caller, Principal):
            return caller
        return replace(caller, rights=rights_of(scopes))

    async def _take(self, value: Any, caller: Caller, room: Reservation, *, batched: bool) -> None:
        """`batched`: the message was part of a batch, in which some may be malformed."""
        with room:
            try:
                message = parse_message(value)
            except InvalidRpcMessage as error:
                with suppress(ConnectionError):
                    await self._send(FinalResponse.failed(error, error.id, stateless=False).text)
                return
            await self._taken(message, caller, batched=batched)

    async def _taken(self, message: Message, caller: Caller, *, batched: bool) -> None:
        http = self._http
        try:
            if isinstance(message, Request):
                if batched and message.method == "initialize":
                    raise no_handshake(message)
                await self._answer(message, caller)
            elif isinstance(message, Notification):
                await take_notification(http, self._session, message, caller)
            else:
                await take_response(http, self._session, message, self._revision, caller)
        except RpcError as error:
            if isinstance(message, Request):
                await self._send(FinalResponse.failed(error, message.id, stateless=False).text)
        except ConnectionError:
            # The client has left, and the stream ends by itself.
            pass

    async def _answer(self, request: Request, caller: Caller) -> None:
        """Raises RpcError, ConnectionError."""
        if self._answering >= MOST_AT_ONCE:
            raise Unanswerable(Overloaded(f"expected at most {MOST_AT_ONCE} open requests on one stream"))
        self._answering += 1
        try:
            settled = await self._settled(request, caller)
            if settled is not None:
                await self._send(settled.text)
        finally:
            self._answering -= 1

    async def _settled(self, request: Request, caller: Caller) -> FinalResponse | None:
        """The answer; None for a call that was canceled. Raises RpcError, ConnectionError."""
        call = SessionCall(self._http.app[SESSIONS], self._session, request.id)
        client = ClientCapabilities(self._session.capabilities)
        context = context_of(
            self._http, request, self._revision, client, session=call, caller=caller, headers=NO_HEADERS
        )
        method = self._initialize if request.method == "initialize" else HANDSHAKE_METHODS.get(request.method)
        if method is None:
            raise MethodNotFound(shown(request.method))
        with held_slot(self._http, context, within=True):
            outcome = await settle_or_hold(context, permitted(context, method))
            if isinstance(outcome, FinalResponse):
                if request.method in CHANGING:
                    # The next call may come before the bell.
                    await self._read_again()
                return outcome
            context.drop_arguments()
            context.budget.release()
            call.streaming = True
            with attended(context):
                return await self._followed(context, call, outcome)

    async def _followed(
        self, context: RequestContext, call: SessionCall, held: HeldRequest[Result]
    ) -> FinalResponse | None:
        work = asyncio.ensure_future(settle(context, held.run(_Channel(self._send))))

        def leave(_: bytes) -> None:
            work.cancel()

        call.leaving = leave
        try:
            if not await begun(context, held):
                canceled(context, held)
                return None
            settled = await work
            call.end()
            return settled
        except asyncio.CancelledError:
            if not call.over:
                raise
            return None
        finally:
            work.cancel()

    async def _initialize(self, context: RequestContext) -> Result:
        """The handshake of a session that exists already. Raises InvalidParams, Unavailable."""
        result = await discovery.initialize(context)
        params, sessions = context.params, self._http.app[SESSIONS].sessions
        revision = result.fields["protocolVersion"]
        await sessions.initialize(self._session.key, revision, params["capabilities"], params["clientInfo"])
        return result

    async def _read_again(self) -> None:
        """Take over what a request has changed in the session, before it is answered. While the database is away, the
        next look finds it."""
        with suppress(Unavailable):
            found = await self._http.app[SESSIONS].sessions.find(self._session.key, caller_of(self._http).owner)
            if found is not None:
                self._take_over(found)

    def _take_over(self, session: Session) -> None:
        """Rows may be read in another order than they were written."""
        if session.version >= self._session.version:
            self._become(session)

    @property
    def _revision(self) -> Revision:
        return handshake_named(self._session.revision) or Revision.NOVEMBER_2024

    async def _send(self, text: JsonText) -> None:
        await self._write(event_bytes(text, event="message"))

    async def _write(self, chunk: bytes) -> None:
        async with self._writing:
            if self._stream is None:
                raise ConnectionError("the stream is not open")
            await self._stream.write(chunk)


class _Channel:
    """The stream, for one of its requests. Implements Channel."""

    def __init__(self, send: Callable[[JsonText], Awaitable[None]]) -> None:
        self._send = send

    async def notify(self, text: JsonText) -> None:
        """Send one message."""
        await self._send(text)

    async def quiet(self) -> None:
        """Do nothing: the stream keeps itself alive."""


def _release(room: Reservation, _: "asyncio.Task[None]") -> None:
    room.release()
