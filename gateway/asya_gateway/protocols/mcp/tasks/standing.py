"""What a session's standalone stream tells of the tasks that the session has made (2025-11-25, basic/utilities/tasks):
changes of status, progress under the token of the call that made the task, and questions for which nobody waits with
tasks/result.

"For task-augmented requests, the progressToken provided in the original request MUST continue to be used for progress
notifications throughout the task's lifetime" (basic/utilities/progress). Status notifications are optional.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import Overloaded, TaskNotFound, Unavailable
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.sessions.ports import SessionParts, SessionTask
from asya_gateway.domain.sessions.session import Session
from asya_gateway.domain.task import Task, TaskHead
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.following import WEIGHT, followed
from asya_gateway.protocols.mcp.progress import TOTAL, standing_progress
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import RELATED_TASK_KEY
from asya_gateway.protocols.mcp.tasks.experimental import shown
from asya_gateway.protocols.mcp.tasks.standing_questions import StandingQuestions
from asya_gateway.protocols.mcp.tasks.statuses import McpStatus, message_of
from asya_gateway.protocols.mcp.topics import Notice
from asya_gateway.protocols.mcp.versions import handshake_named

PER_SECOND, BURST = 10.0, 20.0
"""Progress notifications of one task. What comes faster is told with the next one."""


@dataclass
class _Followed:
    """A task, and what the client was told of it."""

    made: SessionTask
    following: asyncio.Task[None]
    status: str
    seq: int
    progress: float = -1.0
    changed: bool = True
    rate: Rates = field(default_factory=lambda: Rates(PER_SECOND, BURST))


class StandingTasks:
    """The tasks of one session. Implements Topic. `session` is the session as it is now; `asked` the number of the last
    request that was sent on the stream."""

    def __init__(
        self, context: RequestContext, parts: SessionParts, session: Callable[[], Session], asked: int
    ) -> None:
        self._context = context
        self._caller = context.caller
        self._parts = parts
        self._session = session
        self._version: int | None = None
        self._tasks: dict[str, _Followed] = {}
        self._questions = StandingQuestions(parts, session, asked)
        self._wake: Callable[[], None] = lambda: None

    @property
    def asked(self) -> int:
        """The number of the last request that was sent."""
        return self._questions.sent

    def answered(self) -> None:
        """A response may have arrived."""
        self._questions.answered()

    def acknowledged(self) -> Mapping[str, Any]:
        """Nothing: sessions do not ask for this."""
        return {}

    @asynccontextmanager
    async def watching(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        """Follow the tasks while the block runs; they are found by `due`."""
        self._wake = wake
        try:
            yield
        finally:
            for each in list(self._tasks):
                self._leave(each)
            with suppress(Unavailable):
                await self._questions.release()

    async def due(self) -> Sequence[Notice]:
        """What to tell now."""
        revision = handshake_named(self._session().revision)
        if revision is None or not revision.experimental_tasks:
            return ()
        context = replace(
            self._context,
            caller=self._caller,
            revision=revision,
            client=ClientCapabilities(self._session().capabilities),
        )
        notices: list[Notice] = []
        # If the database is away, this is asked for again within a second.
        with suppress(Unavailable, Overloaded):
            await self._find()
            for each in [each for each in self._tasks.values() if each.changed]:
                notices += await self._told(context, each)
            await self._questions.attend(context, notices)
        return notices

    def renewed(self, caller: Caller) -> None:
        """Tasks that the caller may no longer read are dropped before the next notification."""
        self._caller = caller
        for each in self._tasks.values():
            each.changed = True

    async def _find(self) -> None:
        """Follow tasks that were made since. Raises Unavailable, Overloaded."""
        session = self._session()
        if session.version == self._version:
            return
        for made in await self._parts.tasks.unfinished(session.key):
            if made.id not in self._tasks:
                with suppress(TaskNotFound):
                    await self._follow(made, known=self._version is None)
        self._version = session.version

    async def _follow(self, made: SessionTask, *, known: bool) -> None:
        """`known`: the task is older than the stream, and its progress may have been told on the one before."""
        head = await self._context.tasks.head(made.id, self._caller)
        self._context.budget.take(Share.HELD, WEIGHT)
        try:
            following = await followed(self._context.tasks, head, self._caller, partial(self._note, made.id))
        except BaseException:
            self._context.budget.give_back(Share.HELD, WEIGHT)
            raise
        self._tasks[made.id] = _Followed(made, following, McpStatus.WORKING.value, head.last_seq if known else 0)

    def _note(self, task_id: str) -> None:
        if task_id in self._tasks:
            self._tasks[task_id].changed = True
            self._wake()

    def _leave(self, task_id: str) -> None:
        self._tasks.pop(task_id).following.cancel()
        self._context.budget.give_back(Share.HELD, WEIGHT)

    async def _told(self, context: RequestContext, followed: _Followed) -> list[Notice]:
        # A change that comes while the task is read is looked at again.
        followed.changed = False
        try:
            task = await context.tasks.get(followed.made.id, context.caller, payload=False)
            members = await shown(context, task)
        except TaskNotFound:
            self._leave(followed.made.id)
            return []
        except BaseException:
            followed.changed = True
            raise
        notices = self._progress(context, followed, task)
        if members["status"] != followed.status:
            followed.status = members["status"]
            notices.append(Notice("tasks/status", members))
        self._questions.note(task)
        if task.status.terminal:
            self._leave(task.id)
        return notices

    def _progress(self, context: RequestContext, followed: _Followed, task: Task) -> list[Notice]:
        token = followed.made.token
        if token is None or task.status.terminal or task.last_seq <= followed.seq or not _shows(context, task):
            return []
        if followed.rate.wait(None) > 0:
            followed.changed = True
            return []
        value = max(standing_progress(task.progress, task.last_seq), followed.progress)
        rises, followed.seq, followed.progress = value > followed.progress, task.last_seq, value
        if not rises:
            return []
        message = message_of(task)
        params = {"progressToken": token, "progress": value, "total": TOTAL}
        said = {} if message is None else {"message": message}
        return [Notice("progress", {**params, **said, "_meta": {RELATED_TASK_KEY: {"taskId": task.id}}})]


def _shows(context: RequestContext, task: TaskHead) -> bool:
    """Whether the flow lets its progress be seen."""
    served = context.flows.table.flows.get(task.flow)
    return served is None or served.flow.mcp is None or served.flow.mcp.progress
