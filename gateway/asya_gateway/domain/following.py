"""Reading the log of a task from any point to its end, without a gap and without a repetition."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from asya_crds.status import UpdateKind
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.log import FinalEntry
from asya_gateway.domain.ports import TaskStore, UpdateFeed
from asya_gateway.domain.task import FlyEvent, Snapshot, Task, TaskUpdate

Item = TaskUpdate | FlyEvent


async def follow_groups(
    store: TaskStore,
    feed: UpdateFeed,
    task_id: str,
    *,
    owner: str | None,
    after: int = 0,
    keepalive: float = 15.0,
    fly: bool = True,
) -> AsyncGenerator[Snapshot | Sequence[Item]]:
    """One Snapshot, then every update beyond it exactly once and in order, with live events between them, in groups
    of what came together.

    Yields an empty group when nothing came for `keepalive` seconds. Ends after the terminal update. An `after`
    beyond the task's last seq counts as absent. Raises TaskNotFound before the first item.
    """
    async with feed.subscribe(task_id, fly=fly) as subscription:
        snapshot = await take_snapshot(store, task_id, owner=owner, after=after)
        yield snapshot
        seen, ended = snapshot.reached(after), snapshot.task.status.terminal
        async for page in _stored(store, snapshot.task, seen):
            seen = page[-1].seq
            if ended or not _ends(page[-1]):
                yield page
                continue
            # Live events that were sent before the end come before it, here as below.
            yield [*page[:-1], *await subscription.last_words(), page[-1]]
            return
        if ended:
            return
        subscription.start(seen)
        while True:
            items = await subscription.next(keepalive)
            end = next((index for index, item in enumerate(items) if _ends(item)), None)
            if end is None:
                yield items
                continue
            late = [item for item in items[end:] if isinstance(item, FlyEvent)]
            yield [*items[:end], *late, *await subscription.last_words(), items[end]]
            return


async def one_by_one(
    groups: AsyncGenerator[Snapshot | Sequence[Item]],
) -> AsyncGenerator[Snapshot | Item | None]:
    """The same items singly; None for an empty group."""
    async with aclosing(groups):
        async for group in groups:
            if isinstance(group, Snapshot):
                yield group
                continue
            if not group:
                yield None
            for item in group:
                yield item


def follow(
    store: TaskStore,
    feed: UpdateFeed,
    task_id: str,
    *,
    owner: str | None,
    after: int = 0,
    keepalive: float = 15.0,
    fly: bool = True,
) -> AsyncGenerator[Snapshot | Item | None]:
    """follow_groups, item by item; None when it was quiet."""
    return one_by_one(follow_groups(store, feed, task_id, owner=owner, after=after, keepalive=keepalive, fly=fly))


def _ends(item: Item) -> bool:
    return isinstance(item, TaskUpdate) and item.status.terminal


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
    return TaskUpdate(
        task_id=task.id,
        seq=task.last_seq,
        kind=UpdateKind.FINAL,
        status=task.status,
        progress=task.progress,
        at=task.finished_at or task.updated_at,
        entry=FinalEntry(message=task.message, error=task.error),
        result=task.result,
    )


async def _stored(store: TaskStore, task: Task, seen: int) -> AsyncGenerator[Sequence[TaskUpdate]]:
    """What the log holds beyond the snapshot's page, page by page, read as fast as the reader takes it: nobody's
    memory holds a whole log. Of a finished task whose log is being retired the last entry comes from the row."""
    while seen < task.last_seq:
        page = await store.updates(task.id, seen)
        if not page:
            if task.status.terminal:
                yield [final_update_of(task)]
            return
        yield page
        seen = page[-1].seq
