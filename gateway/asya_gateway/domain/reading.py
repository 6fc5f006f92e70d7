"""Reading tasks: one task, a page of a list, and a task's log from any point to its end."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import replace

from asya_crds.status import UpdateKind
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.following import follow_groups, follow_new, one_by_one
from asya_gateway.domain.identity.principals import MESH, Asker
from asya_gateway.domain.identity.scopes import TaskVerb
from asya_gateway.domain.ports import EndWatch, TaskFilter, TaskPage, TaskStore, UpdateFeed
from asya_gateway.domain.reach import scope_at_once, scope_of
from asya_gateway.domain.task import FlyEvent, Snapshot, Task, TaskHead, TaskUpdate, final_update_of
from asya_gateway.domain.watching import OutcomeWatch
from asya_gateway.telemetry.context import about


class TaskReading:
    """The verbs that change nothing. Every method raises Unavailable while Postgres is away."""

    def __init__(self, store: TaskStore, feed: UpdateFeed) -> None:
        self._store = store
        self._feed = feed

    async def get(self, task_id: str, caller: Asker, *, payload: bool = True) -> Task:
        """The task with its result, error and open pause, and on request its payload. These can be large: render the
        task and drop it. Raises TaskNotFound.
        """
        about(task_id)
        owner = await scope_of(self._store, task_id, caller, TaskVerb.READ)
        task = await self._store.get(task_id, owner=owner, payload=payload)
        if task is None:
            raise TaskNotFound(task_id)
        return task

    async def head(self, task_id: str, caller: Asker) -> TaskHead:
        """The task without its bodies. Raises TaskNotFound."""
        about(task_id)
        owner = await scope_of(self._store, task_id, caller, TaskVerb.READ)
        task = await self._store.head(task_id, owner=owner)
        if task is None:
            raise TaskNotFound(task_id)
        return task

    async def whole(self, update: TaskUpdate) -> TaskUpdate:
        """A log entry with the bodies that were left out of it (`update.whole` is false). The caller must be allowed
        to read the entry already. Render it and drop it. Raises TaskNotFound if the task has been removed."""
        if update.whole:
            return update
        found = await self._store.update(update.task_id, update.seq)
        if found is not None:
            return found
        task = await self.get(update.task_id, MESH, payload=False)
        if update.kind is UpdateKind.FINAL and task.status.terminal:
            return final_update_of(task, result=task.result, error=task.error)
        return replace(update, whole=True)

    async def page(self, query: TaskFilter) -> TaskPage:
        """A page of tasks without bodies, newest first."""
        return await self._store.page(query)

    async def count(self, query: TaskFilter) -> int:
        """The number of tasks up to the end of a list's page."""
        return await self._store.count(query)

    async def expect(self, task_id: str) -> None:
        """Keep the task's live events from now on for whoever follows it here in a moment: they are not stored, and
        would be lost for a reader that begins after what it wants to read."""
        await self._feed.expect(task_id)

    def watch(self, task_id: str, caller: Asker, *, payload: bool) -> AbstractContextManager[EndWatch]:
        """Wait for the end or the question of a task that the caller may read, without following its log."""
        about(task_id)
        return OutcomeWatch(self._store, self._feed, task_id, caller, payload=payload)

    def follow_groups(
        self,
        task_id: str,
        caller: Asker,
        *,
        after: int = 0,
        keepalive: float = 15.0,
        fly: bool = True,
    ) -> AsyncGenerator[Snapshot | Sequence[TaskUpdate | FlyEvent]]:
        """Yields a Snapshot, then groups of updates and live events until the task ends. Raises TaskNotFound before the
        first item."""
        about(task_id)
        owner = scope_at_once(caller, TaskVerb.READ)
        if owner is None:
            return self._reached(task_id, caller, after=after, keepalive=keepalive, fly=fly)
        return follow_groups(self._store, self._feed, task_id, owner=owner, after=after, keepalive=keepalive, fly=fly)

    def follow_new(
        self, task_id: str, *, seen: int, keepalive: float = 15.0
    ) -> AsyncGenerator[Sequence[TaskUpdate | FlyEvent]]:
        """The groups beyond the entry `seen` of a task that the caller has just created; first an empty one, from which
        on nothing is missed."""
        about(task_id)
        return follow_new(self._feed, task_id, seen=seen, keepalive=keepalive)

    async def _reached(
        self, task_id: str, caller: Asker, *, after: int, keepalive: float, fly: bool
    ) -> AsyncGenerator[Snapshot | Sequence[TaskUpdate | FlyEvent]]:
        """The same for a caller whose right depends on the task's flow."""
        owner = await scope_of(self._store, task_id, caller, TaskVerb.READ)
        groups = follow_groups(self._store, self._feed, task_id, owner=owner, after=after, keepalive=keepalive, fly=fly)
        async with aclosing(groups):
            async for group in groups:
                yield group

    def follow(
        self,
        task_id: str,
        caller: Asker,
        *,
        after: int = 0,
        keepalive: float = 15.0,
        fly: bool = True,
    ) -> AsyncGenerator[Snapshot | TaskUpdate | FlyEvent | None]:
        """The same items one at a time; None when nothing came for `keepalive` seconds."""
        return one_by_one(self.follow_groups(task_id, caller, after=after, keepalive=keepalive, fly=fly))
