"""Waits for a task on behalf of a held request, and passes its log entries on until it ends or asks a question."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.task import FlyEvent, Snapshot, Task, TaskUpdate
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.outages import wait_again
from asya_gateway.protocols.http.wait_limit import WaitLimit

log = logging.getLogger(__name__)

Tell = Callable[[TaskUpdate | FlyEvent], Awaitable[None]]
"""Called with each entry and live event once, in order."""


class TaskWait:
    """One wait for one task. `tell` gets what is in its log, which is not read without it. `live`: whether live events
    are included; `payload`: whether an ended task is read with its payload; `to_end`: whether it goes on while the task
    asks a question; `after`: the seq up to which its log was told before; `past`: a question that is no outcome any
    more, because its person answers elsewhere. No body is read before the end."""

    def __init__(
        self,
        tasks: Tasks,
        task_id: str,
        caller: Caller,
        *,
        live: bool = False,
        tell: Tell | None = None,
        payload: bool = False,
        to_end: bool = False,
        after: int = 0,
        past: str | None = None,
    ) -> None:
        self._tasks = tasks
        self._task_id = task_id
        self._caller = caller
        self.live = live
        self._tell = tell
        self._payload = payload
        self._to_end = to_end
        self._past = past
        self.seen = after
        """The seq of the last entry that was told."""

    async def outcome(self, channel: ClientConnection, limit: WaitLimit) -> Task | None:
        """The task once it has ended or, without `to_end`, asks a question; None if the limit is reached first.

        The task is not lost while the database is unavailable, so the wait continues instead of making the client call
        again.
        """
        # A question is seen again by each look at the row, but only once in the log.
        follows = self._tell is not None or self._to_end or self._past is not None
        wait = self._follow if follows else self._watch
        while not limit.over:
            try:
                return await wait(channel, limit)
            except Unavailable as error:
                log.warning("task %s: waiting on: %s", self._task_id, error.message)
                await wait_again(channel, limit)
        return None

    async def _watch(self, channel: ClientConnection, limit: WaitLimit) -> Task | None:
        """Without reading the log, for a caller who is not told what is in it."""
        tasks, task_id, caller = self._tasks, self._task_id, self._caller
        with tasks.watch(task_id, caller, payload=self._payload) as watch:
            while True:
                found = await watch.next(limit.tick)
                if isinstance(found, Task):
                    return found
                if found is None:
                    await channel.quiet()
                else:
                    # It may be running again: the question may have been answered meanwhile.
                    task = await tasks.get(task_id, caller, payload=self._payload and found.status.terminal)
                    if task.status.terminal or task.status.waiting:
                        return task
                if limit.over:
                    return None

    async def _follow(self, channel: ClientConnection, limit: WaitLimit) -> Task | None:
        tasks, caller = self._tasks, self._caller
        last, ended = 0, False
        items = tasks.follow(self._task_id, caller, after=self.seen, keepalive=limit.tick, fly=self.live)
        async with aclosing(items):
            async for item in items:
                await self._pass_on(item, channel)
                if isinstance(item, Snapshot):
                    # Whoever is told of the log hears all of it that was stored before it is told how the task stands.
                    last, ended = 0 if self._tell is None else item.task.last_seq, item.task.status.terminal
                status, item = _status_of(item, last), None
                if status is not None and (status.terminal or (status.waiting and not self._to_end)):
                    payload = self._payload and status.terminal
                    task = await tasks.get(self._task_id, caller, payload=payload)
                    if (task.status is status and not self._is_past(task)) or task.status.terminal:
                        return task
                if limit.over:
                    return await tasks.get(self._task_id, caller, payload=self._payload) if ended else None
        return await tasks.get(self._task_id, caller, payload=self._payload)

    def _is_past(self, task: Task) -> bool:
        return task.pause is not None and task.pause.id == self._past

    async def _pass_on(self, item: Snapshot | TaskUpdate | FlyEvent | None, channel: ClientConnection) -> None:
        match item:
            case None:
                await channel.quiet()
            case Snapshot():
                for update in item.updates:
                    await self._pass_on(update, channel)
            case TaskUpdate():
                self.seen = item.seq
                await self._tell_or_stay(item, channel)
            case FlyEvent():
                await self._tell_or_stay(item, channel)

    async def _tell_or_stay(self, item: TaskUpdate | FlyEvent, channel: ClientConnection) -> None:
        """A task that reports often must not look quieter than one that reports nothing."""
        await (channel.quiet() if self._tell is None else self._tell(item))


def _status_of(item: Snapshot | TaskUpdate | FlyEvent | None, last: int) -> TaskStatus | None:
    """The status of which an item tells; None if it has none, or if the log goes on up to the seq `last`."""
    match item:
        case Snapshot(task=task):
            return task.status if item.reached >= last else None
        case TaskUpdate(status=status, seq=seq):
            return status if seq >= last else None
        case _:
            return None
