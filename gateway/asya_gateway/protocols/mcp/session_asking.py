"""In a session, what a task waits for is asked of the client, on the stream of the call that waits for it (2025-11-25,
client/elicitation, sampling and roots; basic/transports: "The server MAY send JSON-RPC requests ... before sending the
JSON-RPC response. These messages SHOULD relate to the originating client request")."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.sessions.ports import STANDING_STREAM, NewServerRequest, ServerRequest
from asya_gateway.domain.task import Task, TaskHead, TaskUpdate
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.outages import RETRY, outlasting, wait_again
from asya_gateway.protocols.http.task_wait import TaskWait
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp.forms import asks_of
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.session_answers import SURFACE, give, input_key, request_for, spent
from asya_gateway.protocols.mcp.url_elicitation import complete
from asya_gateway.protocols.mcp.versions import Revision

Done = TypeVar("Done")


async def outcome(
    context: RequestContext,
    wait: TaskWait,
    channel: ClientConnection,
    limit: WaitLimit,
    meta: Mapping[str, Any] | None = None,
) -> Task | None:
    """As TaskWait.outcome, but in a session the client is asked what the task waits for; a task that still waits then
    is one that this client does not answer. `meta` is added to the requests."""
    while True:
        task = await wait.outcome(channel, limit)
        if task is None or not task.status.waiting or context.session is None or not context.session.streaming:
            return task
        try:
            goes_on = await Question(context, task, channel, limit, meta or {}, live=wait.live).answered()
        except Unavailable:
            # The limit was reached before the database came back.
            return task
        if not goes_on:
            return task


class Question:
    """The open inputs of one pause, asked of one client. `live`: whether that is told of the live events that come
    after the answers."""

    def __init__(
        self,
        context: RequestContext,
        task: TaskHead,
        channel: ClientConnection,
        limit: WaitLimit,
        meta: Mapping[str, Any],
        *,
        live: bool,
    ) -> None:
        assert context.session is not None
        self._context = context
        self._call = context.session
        self._task = task
        self._channel = channel
        self._limit = limit
        self._meta = meta
        self._live = live
        self._given: set[str] = set()
        self._requests: Sequence[NewServerRequest] = ()

    async def answered(self) -> bool:
        """Ask, and wait until the task goes on, whoever makes it, also while the database is away. False if the client
        has answered everything that it can and the task still waits, or if the limit is reached. Raises Unavailable if
        the client could not be asked until then, ConnectionError."""
        context = self._context
        client, public_url = context.client, context.settings.public_url
        asks = asks_of(self._task, SURFACE, context.revision, client, public_url)
        if not asks.requests:
            return False
        requests = [request_for(self._task, key, request, self._meta) for key, request in asks.requests.items()]
        self._requests = requests
        await self._expect()
        asked = await self._outlasting(self._ask)
        if asked is None:
            return False
        urls = [each.params for each in requests if each.params.get("mode") == "url"]
        moving = asyncio.create_task(self._moved(), name="waiting task")
        moving.add_done_callback(lambda _: self._call.requests())
        try:
            moved = await self._until(moving, asked, at_url=bool(urls))
        finally:
            moving.cancel()
            await asyncio.wait([moving])
        if moved:
            with suppress(Unavailable):
                await self._outlasting(lambda: self._call.withdraw(asked, self._channel.notify))
            await self._tell_complete(urls)
        return moved

    async def _until(self, moving: "asyncio.Task[None]", asked: Sequence[ServerRequest], *, at_url: bool) -> bool:
        while True:
            await self._expect()
            try:
                pause = await self._open_pause()
                if moving.done() or pause is None:
                    return True
                asked = await self._without_answered(asked, pause)
                # Who went to a URL answers there, and the call waits for that.
                if not any(each.is_open for each in asked) and not (at_url and _consented(asked)):
                    return False
            except Unavailable:
                # The question stands with its task, and is looked at again when the database is back.
                await wait_again(self._channel, self._limit)
            if self._limit.over:
                return False
            await self._call.news(self._limit.tick)
            await self._channel.quiet()
            asked = await self._looked(asked)

    async def _expect(self) -> None:
        """The task goes on before the wait for it does."""
        if self._live:
            await self._context.tasks.expect(self._task.id)

    async def _ask(self) -> Sequence[ServerRequest] | None:
        """What is asked now; None if nothing can be. Raises Unavailable."""
        with self._context.budget.scope():
            asked = await self._call.ask(self._requests, self._channel.notify)
            return None if asked is None else await self._taken(asked)

    async def _taken(self, asked: Sequence[ServerRequest]) -> Sequence[ServerRequest]:
        """Give the responses that have arrived, which may be large, to the task, and keep none. Raises
        Unavailable."""
        for each in asked:
            if each.response is not None and each.id not in self._given:
                await give(self._context.tasks, self._context.caller, each, self._context.revision)
                self._given.add(each.id)
        return [spent(each) for each in asked]

    async def _without_answered(self, asked: Sequence[ServerRequest], pause: Pause) -> Sequence[ServerRequest]:
        """Withdraw what was answered elsewhere. Raises Unavailable."""
        elsewhere = [each for each in asked if each.is_open and not pause.asks(input_key(each))]
        if not elsewhere:
            return asked
        await self._call.withdraw(elsewhere, self._channel.notify)
        with self._context.budget.scope():
            return await self._taken(await self._call.look(asked))

    async def _looked(self, asked: Sequence[ServerRequest]) -> Sequence[ServerRequest]:
        """The requests as they are now; as they were while the database is away. What the standalone stream has asked
        is asked here once that is closed."""
        try:
            with self._context.budget.scope():
                found = await self._taken(await self._call.look(asked))
            if any(each.is_open and each.stream == STANDING_STREAM and not each.held for each in found):
                return await self._ask() or found
        except Unavailable:
            await wait_again(self._channel, self._limit)
            return asked
        return found

    async def _open_pause(self) -> Pause | None:
        """The pause as it is now; None if the task does not wait for it any more."""
        task = await self._context.tasks.get(self._task.id, self._context.caller, payload=False)
        pause = task.pause
        return pause if pause is not None and task.status.waiting and pause.id == self._pause_id else None

    async def _moved(self) -> None:
        """Return when the task goes on, however often the database is away meanwhile."""
        while True:
            try:
                await self._followed()
            except Unavailable:
                await asyncio.sleep(RETRY)
            else:
                return

    async def _followed(self) -> None:
        """Return when the task goes on. Whoever waits for the client hears of answers that others give. Raises
        Unavailable."""
        tasks, context = self._context.tasks, self._context
        items = tasks.follow(self._task.id, context.caller, after=self._task.last_seq, fly=False)
        async with aclosing(items):
            async for item in items:
                if isinstance(item, TaskUpdate) and not item.status.waiting:
                    return
                self._call.requests()

    async def _tell_complete(self, urls: Sequence[Mapping[str, Any]]) -> None:
        """2025-11-25 tells the client that an elicitation at a URL has ended."""
        for params in urls:
            if self._context.revision is Revision.NOVEMBER_2025 and "elicitationId" in params:
                await self._channel.notify(complete(params))

    async def _outlasting(self, work: Callable[[], Awaitable[Done]]) -> Done:
        return await outlasting(work, self._channel, self._limit)

    @property
    def _pause_id(self) -> str:
        assert self._task.pause is not None
        return self._task.pause.id


def _consented(asked: Sequence[ServerRequest]) -> bool:
    return any(
        isinstance(result := (each.response or {}).get("result"), Mapping) and result.get("action") == "accept"
        for each in asked
        if each.params.get("mode") == "url"
    )
