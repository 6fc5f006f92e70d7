"""Questions of a session's tasks on its standalone stream: for clients that only poll, since those that wait with
tasks/result are asked on the stream of that."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.sessions.ports import STANDING_STREAM, ServerRequest, SessionParts
from asya_gateway.domain.sessions.session import Session
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.mcp.forms import asks_of
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import RELATED_TASK_KEY
from asya_gateway.protocols.mcp.session_answers import SURFACE, give, input_key, outdated, request_for, spent
from asya_gateway.protocols.mcp.sessions.call import withdrawal
from asya_gateway.protocols.mcp.topics import Notice
from asya_gateway.protocols.mcp.url_elicitation import COMPLETE, completion

ASK_AFTER = 2.0
"""Seconds for which a question is left to tasks/result."""
AGAIN_AFTER = 30.0
"""Seconds until it is asked again, if too many other requests of the session are open."""
LOOK_EVERY = 2.0
"""Seconds between two looks at open requests, which also say that their stream is open."""


@dataclass
class _Question:
    """A waiting task, as it was seen last. `at`: since when it is to be asked, None once that was done."""

    task: TaskHead
    at: float | None
    asked: list[ServerRequest] = field(default_factory=list)
    given: set[str] = field(default_factory=set)


class StandingQuestions:
    """The questions of one stream. `sent` is the number of the last request on it."""

    def __init__(self, parts: SessionParts, session: Callable[[], Session], sent: int) -> None:
        self._parts = parts
        self._session = session
        self.sent = sent
        self._open: dict[str, _Question] = {}
        self._over: list[_Question] = []
        self._loop = asyncio.get_running_loop()
        self._looked = self._loop.time()
        self._answered = False
        self._comes_back = sent > 0
        """Whether its client may have seen questions on an earlier stream."""

    def note(self, task: TaskHead) -> None:
        """A task as it is now."""
        known = self._open.get(task.id)
        waits = task.status.waiting and task.pause is not None
        if known is not None and (not waits or _pause_id(known.task) != _pause_id(task)):
            self._over.append(self._open.pop(task.id))
            known = None
        if known is not None:
            known.task = task
        elif waits:
            self._open[task.id] = _Question(task, self._loop.time())

    def answered(self) -> None:
        """A response may have arrived."""
        self._answered = True

    async def attend(self, context: RequestContext, notices: list[Notice]) -> None:
        """Ask what is due, give what was answered, withdraw what is over. Each step adds what is to be told of it, also
        if a later one raises. Raises Unavailable."""
        if self._comes_back:
            await self._withdraw_outdated(context, notices)
            self._comes_back = False
        while self._over:
            complete = _complete(self._over[-1])
            notices += await self._withdrawn(self._over[-1], self._over[-1].asked) + complete
            self._over.pop()
        for each in list(self._open.values()):
            if each.at is not None and each.at + ASK_AFTER <= self._loop.time():
                notices += await self._ask(context, each)
        if self._answered or self._looked + LOOK_EVERY <= self._loop.time():
            self._answered, self._looked = False, self._loop.time()
            await self._look(context, notices)

    async def release(self) -> None:
        """The stream is closed: what is open may be asked elsewhere. Raises Unavailable."""
        if any(each.is_open for question in self._open.values() for each in question.asked):
            await self._parts.requests.release(self._session().key, STANDING_STREAM)

    async def _withdraw_outdated(self, context: RequestContext, notices: list[Notice]) -> None:
        """Tell a client that comes back of questions that were answered while it had no stream."""
        key = self._session().key
        asked = await self._parts.requests.of_stream(key, STANDING_STREAM)
        over = [each.id for each in await outdated(context.tasks, context.caller, asked) if each.number <= self.sent]
        if over:
            withdrawn = await self._parts.requests.withdraw(key, over)
            notices += [Notice("cancelled", withdrawal(each)) for each in withdrawn]

    async def _ask(self, context: RequestContext, question: _Question) -> list[Notice]:
        asks = asks_of(question.task, SURFACE, context.revision, context.client, context.settings.public_url)
        meta = {RELATED_TASK_KEY: {"taskId": question.task.id}}
        requests = [request_for(question.task, key, request, meta) for key, request in asks.requests.items()]
        asked = await self._parts.requests.ask(self._session().key, STANDING_STREAM, requests) if requests else ()
        question.at = self._loop.time() + AGAIN_AFTER if asked is None else None
        # What another stream asks is left to it.
        question.asked = [each for each in asked or () if each.stream == STANDING_STREAM]
        new = [each for each in question.asked if each.is_open and each.number > self.sent]
        self.sent = max((each.number for each in new), default=self.sent)
        return [Notice(each.method, dict(each.params), request=each.id) for each in new]

    async def _look(self, context: RequestContext, notices: list[Notice]) -> None:
        questions = [each for each in self._open.values() if any(one.is_open for one in each.asked)]
        if questions:
            await self._parts.requests.hold(self._session().key, STANDING_STREAM)
        for question in questions:
            ids = [each.id for each in question.asked if each.is_open]
            found = await self._parts.requests.get(self._session().key, ids)
            ended = [each for each in question.asked if not each.is_open]
            question.asked = ended + [each for each in found if each.stream == STANDING_STREAM]
            for each in question.asked:
                if each.response is not None and each.id not in question.given:
                    await give(context.tasks, context.caller, each, context.revision)
                    question.given.add(each.id)
            question.asked = [spent(each) for each in question.asked]
            notices += await self._withdrawn(question, await self._answered_elsewhere(context, question))

    async def _answered_elsewhere(self, context: RequestContext, question: _Question) -> list[ServerRequest]:
        """Open requests whose inputs need no answer any more."""
        try:
            task = await context.tasks.get(question.task.id, context.caller, payload=False)
        except TaskNotFound:
            return question.asked
        pause = task.pause if task.status.waiting and _pause_id(task) == _pause_id(question.task) else None
        return [each for each in question.asked if each.is_open and (pause is None or not pause.asks(input_key(each)))]

    async def _withdrawn(self, question: _Question, requests: list[ServerRequest]) -> list[Notice]:
        ids = [each.id for each in requests if each.is_open]
        if not ids:
            return []
        withdrawn = await self._parts.requests.withdraw(self._session().key, ids)
        question.asked = [each for each in question.asked if each.id not in ids]
        return [Notice("cancelled", withdrawal(each)) for each in withdrawn]


def _complete(question: _Question) -> list[Notice]:
    """The end of elicitations at URLs, of which 2025-11-25 tells."""
    name = COMPLETE.removeprefix("notifications/")
    return [Notice(name, completion(each.params)) for each in question.asked if "elicitationId" in each.params]


def _pause_id(task: TaskHead) -> str | None:
    return None if task.pause is None else task.pause.id
