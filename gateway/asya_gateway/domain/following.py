"""Reading a task's log from any point to its end, without gaps and repetitions."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.page_room import PageRoom
from asya_gateway.domain.ports import Subscription, TaskStore, UpdateFeed
from asya_gateway.domain.task import FlyEvent, Snapshot, TaskUpdate

Item = TaskUpdate | FlyEvent


async def follow_groups(
    store: TaskStore,
    feed: UpdateFeed,
    task_id: str,
    *,
    owner: OwnerScope,
    after: int = 0,
    keepalive: float = 15.0,
    fly: bool = True,
) -> AsyncGenerator[Snapshot | Sequence[Item]]:
    """One Snapshot, then every later update exactly once and in order, with live events between them. Items that arrive
    together are yielded as one group. What was stored before is charged to the budget until the next group is asked
    for; where there is no room, it comes later.

    Yields an empty group if nothing came for `keepalive` seconds. Ends after the terminal update. An `after` beyond the
    task's last seq is treated as 0. Raises TaskNotFound before the first item.
    """
    async with feed.subscribe(task_id, fly=fly) as subscription:
        with PageRoom(feed.budget) as room:
            snapshot = await take_snapshot(store, task_id, owner=owner, after=after, most=room.at_once())
            room.has(snapshot.bytes)
            seen, last, end = snapshot.reached, snapshot.task.last_seq, snapshot.end
            if subscription.early and end is not None and seen >= last and snapshot.updates:
                # The task has ended before its reader came, for whom its live events were kept.
                *before, final = snapshot.updates
                yield replace(snapshot, updates=tuple(before))
                yield [*await subscription.last_words(), final]
                return
            yield snapshot
            # Yielded items are not kept in memory while the reader waits for more, here and below.
            del snapshot
            async with aclosing(_stored(store, room, task_id, seen, last, end, keepalive)) as pages:
                async for page in pages:
                    seen, ends = (page[-1].seq, _ends(page[-1])) if page else (seen, False)
                    if end is not None or not ends:
                        yield page
                        del page
                        continue
                    # Live events that were sent before the end are yielded before it, here and below.
                    yield [*page[:-1], *await subscription.last_words(), page[-1]]
                    return
        if end is not None:
            return
        async with aclosing(_arriving(subscription, seen, keepalive)) as arriving:
            async for items in arriving:
                yield items
                del items


async def follow_new(
    feed: UpdateFeed, task_id: str, *, seen: int, keepalive: float = 15.0
) -> AsyncGenerator[Sequence[Item]]:
    """As follow_groups, beyond the entry `seen` of a task that its reader has just created, which need not be read. The
    first group is empty: from then on nothing is missed."""
    async with feed.subscribe(task_id) as subscription:
        yield ()
        async with aclosing(_arriving(subscription, seen, keepalive)) as arriving:
            async for items in arriving:
                yield items
                del items


async def _arriving(subscription: Subscription, seen: int, keepalive: float) -> AsyncGenerator[Sequence[Item]]:
    """What comes after the entry `seen`, up to the end."""
    subscription.start(seen)
    while True:
        items = await subscription.next(keepalive)
        ending = _end_among(items)
        if ending is None:
            yield items
            del items
            continue
        late = [item for item in items[ending:] if isinstance(item, FlyEvent)]
        yield [*items[:ending], *late, *await subscription.last_words(), items[ending]]
        return


async def one_by_one(
    groups: AsyncGenerator[Snapshot | Sequence[Item]],
) -> AsyncGenerator[Snapshot | Item | None]:
    """The same items one at a time; None for an empty group."""
    async with aclosing(groups):
        async for group in groups:
            if isinstance(group, Snapshot):
                yield group
                group = ()
                continue
            if not group:
                yield None
            for item in group:
                yield item
                del item
            group = ()


def _end_among(items: Sequence[Item]) -> int | None:
    # A loop without calls: each live event passes here once for each of its readers.
    for index, item in enumerate(items):
        if isinstance(item, TaskUpdate) and item.status.terminal:
            return index
    return None


def _ends(item: Item) -> bool:
    return isinstance(item, TaskUpdate) and item.status.terminal


async def take_snapshot(store: TaskStore, task_id: str, *, owner: OwnerScope, after: int, most: int) -> Snapshot:
    """The task with the updates beyond `after`, of at most so many bytes. If the log of a finished task was removed by
    retention, the last entry is made from the row, so that a late reader still sees the end."""
    snapshot = await store.snapshot(task_id, after, owner=owner, most=most)
    if snapshot is None:
        raise TaskNotFound(task_id)
    task = snapshot.task
    if after > task.last_seq:
        return await take_snapshot(store, task_id, owner=owner, after=0, most=most)
    if most and snapshot.end is not None and after < task.last_seq and not snapshot.updates:
        return replace(snapshot, updates=(snapshot.end,))
    return snapshot


async def _stored(
    store: TaskStore, room: PageRoom, task_id: str, seen: int, last: int, end: TaskUpdate | None, keepalive: float
) -> AsyncGenerator[Sequence[TaskUpdate]]:
    """The log beyond the snapshot's page, page by page, read only as fast as the reader takes it, so that no whole log
    is in memory. Yields an empty page if there was no room for `keepalive` seconds. If the log of a finished task is
    being removed by retention, the last entry is made from the row."""
    while seen < last:
        room.free()
        while not (most := await room.within(keepalive)):
            yield ()
        page, size = await store.updates(task_id, seen, most)
        room.has(size)
        if not page:
            if end is not None:
                yield [end]
            return
        seen = page[-1].seq
        yield page
        del page
