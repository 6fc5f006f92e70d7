"""Waits for a task on behalf of a held request, and passes its log entries on until it ends or asks a question."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.task import Caller, FlyEvent, Snapshot, Task, TaskUpdate
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.holding import Channel
from asya_gateway.protocols.http.wait_limit import WaitLimit

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds until the log is read again after the database was unavailable."""

Tell = Callable[[TaskUpdate | FlyEvent], Awaitable[None]]
"""Called with each entry and live event once, in order."""


class TaskWait:
    """One wait for one task. `live`: whether live events are included; `payload`: whether an ended task is read with
    its payload. No body is read before the end."""

    def __init__(
        self,
        tasks: Tasks,
        task_id: str,
        caller: Caller,
        *,
        live: bool = False,
        tell: Tell | None = None,
        payload: bool = False,
    ) -> None:
        self._tasks = tasks
        self._task_id = task_id
        self._caller = caller
        self._live = live
        self._tell = tell
        self._payload = payload
        self._seen = 0

    async def outcome(self, channel: Channel, limit: WaitLimit) -> Task | None:
        """The task once it has ended or asks a question; None if the limit is reached first.

        The task is not lost while the database is unavailable, so the wait continues instead of making the client call
        again.
        """
        while not limit.over:
            try:
                return await self._follow(channel, limit)
            except Unavailable as error:
                log.warning("task %s: waiting on: %s", self._task_id, error.message)
                await asyncio.sleep(min(RETRY, limit.tick))
                await channel.quiet()
        return None

    async def _follow(self, channel: Channel, limit: WaitLimit) -> Task | None:
        tasks, caller = self._tasks, self._caller
        items = tasks.follow(self._task_id, caller, after=self._seen, keepalive=limit.tick, fly=self._live)
        async with aclosing(items):
            async for item in items:
                await self._pass_on(item, channel)
                status, item = _status_of(item), None
                if status is not None and (status.terminal or status.waiting):
                    payload = self._payload and status.terminal
                    task = await tasks.get(self._task_id, caller, payload=payload)
                    if task.status is status or task.status.terminal:
                        return task
                if limit.over:
                    return None
        return await tasks.get(self._task_id, caller, payload=self._payload)

    async def _pass_on(self, item: Snapshot | TaskUpdate | FlyEvent | None, channel: Channel) -> None:
        match item:
            case None:
                await channel.quiet()
            case Snapshot():
                for update in item.updates:
                    await self._pass_on(update, channel)
            case TaskUpdate():
                self._seen = item.seq
                if self._tell is not None:
                    await self._tell(item)
            case FlyEvent():
                if self._tell is not None:
                    await self._tell(item)


def _status_of(item: Snapshot | TaskUpdate | FlyEvent | None) -> TaskStatus | None:
    match item:
        case Snapshot(task=task):
            return task.status
        case TaskUpdate(status=status):
            return status
        case _:
            return None
