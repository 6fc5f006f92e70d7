"""The standalone stream of a session: what is not part of a call (2025-11-25, transports, "Listening for Messages from
the Server"). The newest one of a session is the open one; it ends the older, wherever they are."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web
from typing_extensions import override

from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import has_expired
from asya_gateway.domain.sessions.ports import SessionObserver, SessionParts
from asya_gateway.domain.sessions.session import Session
from asya_gateway.protocols.http.keys import SETTINGS, STREAMS
from asya_gateway.protocols.http.sse import EventStream
from asya_gateway.protocols.http.wait_limit import TICK
from asya_gateway.protocols.mcp.listening import TOPICS
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.sessions.event_ids import StreamPosition
from asya_gateway.protocols.mcp.sessions.streaming import priming
from asya_gateway.protocols.mcp.tasks.standing import StandingTasks
from asya_gateway.protocols.mcp.topics import Notice, Topic
from asya_gateway.protocols.mcp.versions import Revision

LISTS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
LIST_NOTICES = ("tools/list_changed", "prompts/list_changed", "resources/list_changed")
TAKEN_OVER = b": another stream of this session is open now\n\n"
ENDED = b": the session has ended\n\n"


class StandingStream(SessionObserver):
    """One standalone stream. `number` is its number among those of its session. It is counted as a held request with
    the session as it was; what that becomes is counted here."""

    def __init__(
        self,
        context: RequestContext,
        parts: SessionParts,
        session: Session,
        number: int,
        resumed_at: StreamPosition | None = None,
    ) -> None:
        self._context = context
        self._session = session
        self._weight, self._counted = session.weight, session.weight
        self._number = number
        self._resumed_at = resumed_at
        self._sent = 0 if resumed_at is None else resumed_at.sent
        self._caller = context.caller
        self._tasks = StandingTasks(
            context, parts, lambda: self._session, 0 if resumed_at is None else resumed_at.asked
        )
        self._topics: list[Topic] = [self._tasks]
        self._told: set[str] = set()
        self._woken, self._rights = asyncio.Event(), asyncio.Event()
        self._stream: EventStream | None = None
        self._farewell: bytes | None = None
        self._over = False

    async def run(self, http: web.Request) -> web.StreamResponse:
        """Send notifications until the client leaves, the session ends or another stream takes over."""
        try:
            return await self._run(http)
        finally:
            self._weigh(self._counted)
            self._over = True

    async def _run(self, http: web.Request) -> web.StreamResponse:
        interval = http.app[SETTINGS].keepalive_interval
        async with http.app[STREAMS].open(http) as self._stream, AsyncExitStack() as watching:
            watching.callback(self._context.rights_changed(self._rights_changed))
            await watching.enter_async_context(self._tasks.watching(self._woken.set))
            await self._watch(watching, LISTS)
            await self._begin(self._stream)
            while await self._goes_on():
                uris = self._session.uris
                async with AsyncExitStack() as subscribed:
                    lists = list(self._topics)
                    await self._watch(subscribed, {"resourceSubscriptions": list(uris)} if uris else {})
                    await self._tell_watched(self._stream, self._topics[len(lists) :])
                    await self._send_while(self._stream, uris, interval)
                    self._topics = lists
            if self._farewell is not None:
                await self._stream.write(self._farewell)
        assert self._stream is not None
        return self._stream.response

    async def _watch(self, watching: AsyncExitStack, wanted: Mapping[str, Any]) -> None:
        for factory in TOPICS:
            topic = await factory(self._context, wanted) if wanted else None
            if topic is not None:
                await watching.enter_async_context(topic.watching(self._woken.set))
                self._topics.append(topic)

    async def _begin(self, stream: EventStream) -> None:
        """Prime a new reader; tell one that comes back of lists that may have changed meanwhile."""
        if self._context.revision >= Revision.NOVEMBER_2025:
            await stream.write(priming(self._event_id))
        known = self._resumed_at
        if known is None:
            return
        if known.generation != self._context.flows.table.generation:
            for name in LIST_NOTICES:
                await self._notify(stream, Notice(name, {}))

    async def _tell_watched(self, stream: EventStream, topics: Sequence[Topic]) -> None:
        """Tell once of each resource that is watched from now on, since it may have changed after it was subscribed to
        and before: the subscription was made at another replica, or without a stream."""
        watched = {uri for topic in topics for uri in topic.acknowledged().get("resourceSubscriptions", ())}
        for uri in sorted(watched - self._told):
            await self._notify(stream, Notice("resources/updated", {"uri": uri}))
        self._told = watched

    async def _send_while(self, stream: EventStream, uris: Sequence[str], interval: float) -> None:
        """Send what is due while the session is subscribed to these resources."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while self._session.uris == uris and await self._goes_on():
            self._woken.clear()
            for topic in self._topics:
                with self._context.budget.scope():
                    notices = await topic.due()
                for notice in notices:
                    await self._notify(stream, notice)
                    last = loop.time()
            if not await _within(self._woken, TICK) and loop.time() - last >= interval:
                await stream.keep_alive()
                last = loop.time()

    async def _goes_on(self) -> bool:
        """Whether the stream stays open; takes over what the caller may do now."""
        expired = has_expired(self._caller, self._context.tasks.clock())
        if self._farewell is not None or self._context.closing() or expired:
            return False
        return not self._rights.is_set() or await self._renewed()

    async def _renewed(self) -> bool:
        self._rights.clear()
        try:
            self._caller = await self._context.caller_again()
        except Unauthenticated:
            return False
        except Unavailable:
            # What was known goes on, and is asked for again at the next turn.
            self._rights.set()
            return True
        for topic in self._topics:
            topic.renewed(self._caller)
        return True

    async def _notify(self, stream: EventStream, notice: Notice) -> None:
        self._sent += 1
        ids = self._context.revision.resumable
        await stream.send(notice.text(), event="message", id=self._event_id if ids else None)

    @property
    def _event_id(self) -> str:
        standing = StreamPosition(self._context.flows.table.generation, self._sent, self._tasks.asked)
        return standing.event_id(self._session)

    def _rights_changed(self) -> None:
        self._rights.set()
        self._woken.set()

    @override
    def ended(self) -> None:
        self._leave(ENDED)

    @override
    def changed(self, session: Session) -> None:
        if session.stream > self._number:
            self._leave(TAKEN_OVER)
        self._become(session)
        self._woken.set()

    @override
    def requests(self) -> None:
        self._tasks.answered()
        self._woken.set()

    def _become(self, session: Session) -> None:
        self._session = session
        self._weigh(session.weight)

    def _weigh(self, weight: int) -> None:
        """Charge what the session has more than before."""
        if self._over:
            return
        more, self._weight = weight - self._weight, weight
        if more > 0:
            self._context.budget.charge(Share.HELD, more)
        else:
            self._context.budget.give_back(Share.HELD, -more)

    def _leave(self, farewell: bytes) -> None:
        self._farewell = self._farewell or farewell
        self._woken.set()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
