"""One request of a session while it is answered: its stream, and the requests that the gateway makes meanwhile."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

from typing_extensions import override

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.sessions.ports import (
    NewServerRequest,
    OpenCall,
    ServerRequest,
    SessionObserver,
    SessionParts,
    SessionTask,
)
from asya_gateway.domain.sessions.session import Session
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.jsonrpc import Id, notification_text, request_text
from asya_gateway.protocols.mcp.request_meta import related_task
from asya_gateway.protocols.mcp.sessions.event_ids import Place, request_hash

log = logging.getLogger(__name__)

GONE_ON = b": goes on elsewhere\n\n"
CANCELED = b": canceled\n\n"
LOOK_EVERY = 2.0
"""Seconds between two looks at open requests, in case that a word was lost."""

HOLD_EVERY = 30.0
"""Seconds between two notes that the stream of open requests is open."""

RESULT_OF = "result_of"
"""The member of a stored call that names the task for whose result a request waits. It is not the call's own task, so
that the end of the request is not the task's."""

Sending = Callable[[JsonText], Any]
Outdated = Callable[[Sequence[ServerRequest]], Awaitable[Sequence[ServerRequest]]]


class CallOfTask(NamedTuple):
    """What a held request is the answer of, and what its stream is made of again: {name, token?}; None if it can only
    be canceled. The task is None while the client is asked for what the call needs before it starts, and for a request
    whose cancellation cancels no task."""

    id: str | None
    call: Mapping[str, Any] | None = None


@runtime_checkable
class OfTask(Protocol):
    """A held request that ends with a task, and so can go on elsewhere and be canceled, mostly with its task."""

    @property
    def task(self) -> CallOfTask:
        """With whose end the request ends."""


class SessionCall(SessionObserver):
    """A request of a session. `where` tells how far its stream has come in the task's log; whoever follows a task sets
    it. It hears what other replicas do with the session while `attended`."""

    def __init__(self, parts: SessionParts, session: Session, id: Id, *, place: Place | None = None) -> None:
        self._parts = parts
        self.session = session
        self.id = id
        self.resumed_at = place
        """Where a stream goes on whose connection broke; None for a new one."""
        self.where: Callable[[], tuple[int, float | None]] = lambda: (0, None)
        self._number = 0 if place is None else place.number
        self._stored: OpenCall | None = None
        self._hold_at = time.monotonic() + HOLD_EVERY
        self.leaving: Callable[[bytes], None] = lambda _: None
        """Ends its stream with a comment."""
        self.streaming = False
        """Whether there is a stream on which the client can be asked."""
        self.over = False
        """Whether nobody waits for the answer here any more: the call was canceled, or its stream goes on elsewhere."""
        self.asks = True
        """Whether the client can be asked: its session has not ended."""
        self.canceled_by_client = False
        """Whether the client has canceled it."""
        self.canceled_here = False
        """Whether it was canceled before it was stored, so that only this process knows its task."""

    # Most calls are answered at once, and need none of these.

    @cached_property
    def request(self) -> bytes:
        """What stands for its id."""
        return request_hash(self.id)

    @cached_property
    def _holder(self) -> str:
        return secrets.token_hex(8)

    @cached_property
    def _answered(self) -> asyncio.Event:
        return asyncio.Event()

    @property
    def resumable(self) -> bool:
        """Whether its stream can go on on any replica."""
        return self._stored is not None and not self._stored.call.keys().isdisjoint(("name", RESULT_OF))

    @property
    def stored(self) -> bool:
        """Whether it can be canceled from any replica."""
        return self._stored is not None

    @property
    def event_id(self) -> str | None:
        """The id of the next event; None if the stream cannot go on."""
        if not self.resumable:
            return None
        seq, progress = self.where()
        return Place(seq, self._number, progress).event_id(self.session, self.request)

    @property
    def first_event_id(self) -> str | None:
        """The id of an event before everything that is sent on this connection; None if the stream cannot go on."""
        return (self.resumed_at or Place()).event_id(self.session, self.request) if self.resumable else None

    def attended(self) -> AbstractContextManager[None]:
        """Hear of the session while the block runs."""
        return self._parts.watch.watch(self.session, self)

    # The call's row

    async def begin(self, task_id: str | None, call: Mapping[str, Any]) -> bool:
        """Store the open call, of which its stream is made again: {method, ...}. False if it was canceled before. While
        the database is away, the stream cannot go on elsewhere, but the call goes on."""
        row = OpenCall(self.session.key, self.request, task_id, {"id": self.id, **call})
        try:
            if not await self._parts.calls.register(row):
                self.over = self.canceled_here = True
                return False
        except GatewayError as error:
            log.info("a call of a session cannot be resumed: %s", error.message)
            return True
        self._stored = row
        return True

    def adopt(self, row: OpenCall) -> None:
        """Go on with a stored call, and end its stream elsewhere."""
        self._stored = row
        self._parts.watch.tell_resumed(self.session.key, self.request, self._holder)

    def end(self) -> None:
        """The call was answered."""
        if self._stored is not None:
            self._parts.calls.ended(self._stored)

    async def made(self, task: SessionTask) -> None:
        """Have the session's standalone stream tell of a task. While the database is away, its client polls."""
        try:
            await self._parts.tasks.add(self.session.key, task)
        except GatewayError as error:
            log.info("a session is not told of its task: %s", error.message)

    # The session's own settings

    async def set_level(self, level: str) -> None:
        """The level from which on the client wants log messages. Raises Unavailable."""
        await self._parts.sessions.set_level(self.session.key, level)

    async def subscribe(self, uri: str) -> bool:
        """Subscribe to a resource; False if there are too many. Raises Unavailable."""
        return await self._parts.sessions.subscribe(self.session.key, uri)

    async def unsubscribe(self, uri: str) -> None:
        """The opposite. Raises Unavailable."""
        await self._parts.sessions.unsubscribe(self.session.key, uri)

    # Requests to the client

    async def ask(self, requests: Sequence[NewServerRequest], send: Sending) -> Sequence[ServerRequest] | None:
        """Store requests and send those that the client has not seen on this stream. What was asked for the same
        purpose before is not asked again, nor what the standalone stream asks. None if the session has ended or too
        many requests are open. Raises Unavailable."""
        asked = await self._parts.requests.ask(self.session.key, self.request, requests)
        for each in asked or ():
            if each.is_open and each.number > self._number and each.stream == self.request:
                self._number = each.number
                await send(request_text(each.id, each.method, each.params))
        return asked

    async def asked_before(self) -> Sequence[ServerRequest]:
        """What was asked on this stream, on whatever replica. Raises Unavailable."""
        return await self._parts.requests.of_stream(self.session.key, self.request)

    async def look(self, asked: Iterable[ServerRequest]) -> Sequence[ServerRequest]:
        """The requests as they are now. Those that have ended do not change, and their answers, which may be large, are
        read once. Raises Unavailable."""
        self._answered.clear()
        asked, now = list(asked), time.monotonic()
        if now >= self._hold_at:
            await self._parts.requests.hold(self.session.key, self.request)
            self._hold_at = now + HOLD_EVERY
        found = await self._parts.requests.get(self.session.key, [each.id for each in asked if each.is_open])
        now_is = {each.id: each for each in [*(each for each in asked if not each.is_open), *found]}
        return [now_is[each.id] for each in asked if each.id in now_is]

    async def news(self, seconds: float = LOOK_EVERY) -> None:
        """Wait until requests may have ended, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._answered.wait()

    async def withdraw(self, asked: Iterable[ServerRequest], send: Sending) -> None:
        """End requests whose answers are no longer wanted, and tell the client. Raises Unavailable."""
        for each in await self._parts.requests.withdraw(self.session.key, [each.id for each in asked]):
            await send(_withdrawn(each))

    async def repeat_withdrawals(self, outdated: Outdated, send: Sending) -> None:
        """Tell a client that comes back which requests it need not answer any more; those that are `outdated` have been
        answered while nobody held its stream. Raises Unavailable."""
        requests = self._parts.requests
        asked = await requests.of_stream(self.session.key, self.request)
        left = [each.id for each in await outdated(asked)]
        withdrawn = await requests.withdraw(self.session.key, left) if left else ()
        for each in (*(each for each in asked if each.outcome == "withdrawn"), *withdrawn):
            if each.number <= self._number:
                await send(_withdrawn(each))

    # What other replicas do

    @override
    def ended(self) -> None:
        """Its stream goes on to the answer, but the client can no longer be asked."""
        self.asks = False
        self._answered.set()

    @override
    def changed(self, session: Session) -> None:
        self.session = session

    @override
    def requests(self) -> None:
        self._answered.set()

    @override
    def canceled(self, request: bytes) -> None:
        if request == self.request:
            self.canceled_by_client = True
            self.canceled_here = self._stored is None
            self._leave(CANCELED)

    @override
    def resumed(self, request: bytes, holder: str) -> None:
        if request == self.request and holder != self._holder:
            self._leave(GONE_ON)

    def _leave(self, farewell: bytes) -> None:
        self.over = True
        self.leaving(farewell)


def withdrawal(request: ServerRequest) -> dict[str, Any]:
    """The params of the notification that a request of ours need not be answered (2025-11-25,
    basic/utilities/cancellation)."""
    return {"requestId": request.id, "reason": "answered elsewhere", **related_task(request.params)}


def _withdrawn(request: ServerRequest) -> JsonText:
    return notification_text("notifications/cancelled", withdrawal(request))
