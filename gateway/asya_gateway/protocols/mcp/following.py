"""Noting each change of a task until its end, for subscriptions that tell of it in their own words."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from asya_gateway.domain.errors import TaskNotFound, Unavailable
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.task import Snapshot, TaskHead
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.outages import RETRY

WEIGHT = 8 * 1024
"""Bytes of a followed task: its follower and the coroutine that reads it. Whoever follows one takes them of the
budget."""


async def followed(tasks: Tasks, task: TaskHead, caller: Caller, note: Callable[[], None]) -> asyncio.Task[None]:
    """Call `note` after each change from now on, also if the database is away for a time. Returns once nothing can be
    missed; the returned task ends with the log, or is cancelled by the caller. It has ended if this is cancelled."""
    ready = asyncio.Event()
    following = asyncio.create_task(_follow(tasks, task, caller, note, ready), name="task of a subscription")
    try:
        await ready.wait()
    except BaseException:
        # Nobody else knows the task yet, and it would follow the log to its end.
        following.cancel()
        await asyncio.wait([following])
        raise
    return following


async def _follow(tasks: Tasks, task: TaskHead, caller: Caller, note: Callable[[], None], ready: asyncio.Event) -> None:
    try:
        while not await _to_the_end(tasks, task, caller, note, ready):
            # What came meanwhile is not in the feed any more.
            note()
            ready.set()
            await asyncio.sleep(RETRY)
    finally:
        ready.set()


async def _to_the_end(
    tasks: Tasks, task: TaskHead, caller: Caller, note: Callable[[], None], ready: asyncio.Event
) -> bool:
    """False if the database was unavailable."""
    groups = tasks.follow_groups(task.id, caller, after=task.last_seq, fly=False)
    try:
        async with aclosing(groups):
            async for group in groups:
                if group.updates if isinstance(group, Snapshot) else group:
                    note()
                ready.set()
    except TaskNotFound:
        # It was removed, which the next look finds out.
        note()
    except Unavailable:
        return False
    return True
