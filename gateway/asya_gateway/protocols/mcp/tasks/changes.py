"""notifications/tasks on subscriptions/listen (tasks extension, "Task Status Notifications")."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import TaskNotFound, Unavailable
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.following import WEIGHT, followed
from asya_gateway.protocols.mcp.members import is_id
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.tasks.extension import check_declared, detailed
from asya_gateway.protocols.mcp.tasks.statuses import message_of
from asya_gateway.protocols.mcp.topics import Notice

TASKS = "taskIds"
MOST_TASKS = 100
"""Tasks of one subscription; each of them is followed."""

Shown = tuple[Any, ...]
"""What a client sees change."""


async def task_changes(context: RequestContext, wanted: Mapping[str, Any]) -> "TaskChanges | None":
    """The topic for `taskIds`. Raises MissingCapability without the extension, InvalidParams."""
    if wanted.get(TASKS) is None:
        return None
    check_declared(context)
    ids = wanted[TASKS]
    if not isinstance(ids, list) or len(ids) > MOST_TASKS or not all(isinstance(each, str) for each in ids):
        raise InvalidParams(f"notifications.{TASKS}: expected at most {MOST_TASKS} strings")
    return TaskChanges(context, ids)


class TaskChanges:
    """Tells of tasks whenever their status, message or questions change. Implements Topic.

    A task that has ended, or asks a question, when the subscription begins is told at once: its client may have read it
    before that happened. Several changes that come together are told as one, since each notification is the whole
    task.
    """

    def __init__(self, context: RequestContext, ids: Iterable[str]) -> None:
        self._context = context
        self._caller = context.caller
        self._wanted = [each for each in dict.fromkeys(ids) if is_id(each)]
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._accepted: list[str] = []
        self._changed: dict[str, None] = {}
        """Tasks to look at, in order."""
        self._told: dict[str, Shown] = {}
        self._rights_changed = False
        self._wake: Callable[[], None] = lambda: None

    def acknowledged(self) -> Mapping[str, Any]:
        """The caller's tasks among those that it named; unknown ones and those of others are left out alike."""
        return {TASKS: self._accepted}

    @asynccontextmanager
    async def watching(self, wake: Callable[[], None]) -> AsyncIterator[None]:
        """Follow the logs of the tasks, from before the acknowledgement. Raises NoRoom, Unavailable."""
        self._wake = wake
        budget, weight = self._context.budget, WEIGHT * len(self._wanted)
        budget.take(Share.HELD, weight)
        try:
            found = await asyncio.gather(*map(self._find, self._wanted), return_exceptions=True)
            for outcome in found:
                if isinstance(outcome, BaseException):
                    raise outcome
            self._accepted = [each for each, known in zip(self._wanted, found, strict=True) if known]
            yield
        finally:
            for following in self._followed.values():
                following.cancel()
            await asyncio.gather(*self._followed.values(), return_exceptions=True)
            budget.give_back(Share.HELD, weight)

    async def due(self) -> Sequence[Notice]:
        """The next task that has changed; only one, because its result may be large."""
        # If the database is away, this is asked for again within a second, and nothing is lost meanwhile.
        with suppress(Unavailable):
            await self._drop_lost()
            while self._changed:
                notice = await self._notice(next(iter(self._changed)))
                if notice is not None:
                    return [notice]
        return ()

    def renewed(self, caller: Caller) -> None:
        """Tasks that the caller may no longer read are dropped before the next notification."""
        self._caller = caller
        self._rights_changed = True

    async def _find(self, task_id: str) -> bool:
        """Begin to follow a task; False if the caller has none of this id."""
        try:
            task = await self._context.tasks.head(task_id, self._caller)
        except TaskNotFound:
            return False
        if task.status.terminal or task.status.waiting:
            self._changed[task_id] = None
        else:
            self._told[task_id] = ("working", message_of(task), ())
        self._followed[task_id] = await followed(self._context.tasks, task, self._caller, partial(self._note, task_id))
        return True

    def _note(self, task_id: str) -> None:
        self._changed[task_id] = None
        self._wake()

    async def _notice(self, task_id: str) -> Notice | None:
        """The notification about a task; None if its client would see no difference. Raises Unavailable."""
        # A change that comes while it is read is looked at again.
        del self._changed[task_id]
        try:
            task = await self._context.tasks.get(task_id, self._caller, payload=False)
            members, verbatim = await detailed(self._context, task)
        except TaskNotFound:
            return None
        except BaseException:
            self._changed[task_id] = None
            raise
        shown = (members["status"], members.get("statusMessage"), tuple(members.get("inputRequests", ())))
        if self._told.get(task_id) == shown:
            return None
        self._told[task_id] = shown
        return Notice("tasks", members, verbatim)

    async def _drop_lost(self) -> None:
        """Stop following what the caller may no longer read."""
        while self._rights_changed:
            self._rights_changed = False
            for task_id in list(self._followed):
                try:
                    await self._context.tasks.head(task_id, self._caller)
                except TaskNotFound:
                    self._followed.pop(task_id).cancel()
                    self._changed.pop(task_id, None)
                except Unavailable:
                    self._rights_changed = True
                    raise
