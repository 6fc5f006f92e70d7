"""Reading the log of a task from any point to its end, without a gap and without a repetition."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.ports import Subscription, TaskStore, UpdateFeed
from asya_gateway.domain.task import FlyEvent, Snapshot, Task, TaskUpdate, UpdateKind


async def follow(
    store: TaskStore,
    feed: UpdateFeed,
    task_id: str,
    *,
    owner: str | None,
    after: int = 0,
    keepalive: float = 15.0,
    fly: bool = True,
) -> AsyncGenerator[Snapshot | TaskUpdate | FlyEvent | None]:
    """One Snapshot, then every update beyond it exactly once and in order, with live events between them.

    Yields None when nothing came for `keepalive` seconds. Ends after the terminal update. An `after` beyond the
    task's last seq counts as absent. Raises TaskNotFound before the first item.
    """
    async with feed.subscribe(task_id, fly=fly) as subscription:
        snapshot = await take_snapshot(store, task_id, owner=owner, after=after)
        yield snapshot
        seen, ended = snapshot.reached(after), snapshot.task.status.terminal
        async for update in _stored(store, snapshot.task, seen):
            # Live events that were sent before the end come before it, here as below.
            for event in await subscription.last_words() if update.status.terminal and not ended else ():
                yield event
            yield update
            seen, ended = update.seq, ended or update.status.terminal
        if not ended:
            subscription.start(seen)
            async for item in _live(subscription, keepalive):
                yield item


async def take_snapshot(store: TaskStore, task_id: str, *, owner: str | None, after: int) -> Snapshot:
    """The task with the updates beyond `after`; a finished task whose log was retired gets its last entry from
    the row, so that a late reader still sees the end."""
    snapshot = await store.snapshot(task_id, after, owner=owner)
    if snapshot is None:
        raise TaskNotFound(task_id)
    task = snapshot.task
    if after > task.last_seq:
        return await take_snapshot(store, task_id, owner=owner, after=0)
    if task.status.terminal and after < task.last_seq and not snapshot.updates:
        return replace(snapshot, updates=(final_update_of(task),))
    return snapshot


def final_update_of(task: Task) -> TaskUpdate:
    """The terminal entry of a task's log, as the row remembers it."""
    detail = {} if task.message is None else {"message": task.message}
    if task.error is not None:
        detail["error"] = task.error.as_dict()  # type: ignore[assignment] # a detail holds any JSON value
    return TaskUpdate(
        task_id=task.id,
        seq=task.last_seq,
        kind=UpdateKind.FINAL,
        status=task.status,
        progress=task.progress,
        at=task.finished_at or task.updated_at,
        detail=detail,
        result=task.result,
    )


async def _stored(store: TaskStore, task: Task, seen: int) -> AsyncGenerator[TaskUpdate]:
    """What the log holds beyond the snapshot's page, read as fast as the reader takes it: nobody's memory holds
    a whole log. Of a finished task whose log is being retired the last entry comes from the row."""
    while seen < task.last_seq:
        page = await store.updates(task.id, seen)
        for update in page:
            yield update
            seen = update.seq
        if not page:
            if task.status.terminal:
                yield final_update_of(task)
            return


async def _live(subscription: Subscription, keepalive: float) -> AsyncGenerator[TaskUpdate | FlyEvent | None]:
    while True:
        items = await subscription.next(keepalive)
        if not items:
            yield None
        for item in items:
            if isinstance(item, TaskUpdate) and item.status.terminal:
                for event in await subscription.last_words():
                    yield event
                yield item
                return
            yield item
