"""Readers that read nothing while large items arrive: their queues are bounded in bytes, and updates stay in the
log."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing

import pytest

from asya_crds.status import HopState
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.following import follow_groups
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.task import FlyEvent, Snapshot, TaskUpdate
from asya_gateway.storage.log.feed import UPDATES_KEPT_BYTES, Follower
from asya_gateway.storage.tasks import growing
from asya_gateway.storage.tasks.rows import PAGE_BYTES
from tests.support.storage import Running, make_storage, progress, succeeded
from tests.support.waiting import until

LARGE = 700_000
Groups = AsyncGenerator[Snapshot | Sequence[TaskUpdate | FlyEvent]]


def weight(items: Sequence[object]) -> int:
    """Bytes of messages and payloads, near enough."""
    return sum(
        len(item.entry.message or "") if isinstance(item, TaskUpdate) else len(item.payload)
        for item in items
        if isinstance(item, TaskUpdate | FlyEvent)
    )


async def grow(running: Running, task_id: str, reports: int) -> None:
    """So many reports of a large message each, with a live event beside each."""
    for number in range(reports):
        large = progress(task_id, HopState.PROCESSING, message=f"{number} " + "m" * LARGE)
        await running.tasks.report(large)
        event = FlyEvent(task_id, "partial", f'{{"n":{number},"x":"{"x" * LARGE}"}}')
        await running.storage.fly.send([event])


async def quiet(follower: Follower) -> None:
    """Wait until nothing more is read for a follower that takes nothing."""
    await until(lambda: not follower.hungry, what="a follower that is full")
    await follower._feed.fly_barrier()


async def take(follower: Follower, updates: int) -> list[object]:
    """Read until so many updates came."""
    found: list[object] = []
    async with asyncio.timeout(30):
        while sum(isinstance(item, TaskUpdate) for item in found) < updates:
            group = await follower.next(1)
            assert weight(group) <= 2 * UPDATES_KEPT_BYTES + PAGE_BYTES + 2 * LARGE
            found += group
    return found


async def test_a_reader_that_stops_reading_keeps_little_and_misses_no_update(running: Running) -> None:
    task_id = await running.create()
    async with running.storage.feed.subscribe(task_id) as follower:
        follower.start(1)
        await grow(running, task_id, 40)
        await quiet(follower)
        waiting = list(follower._items)
        assert weight(waiting) <= 2 * UPDATES_KEPT_BYTES + PAGE_BYTES + 2 * LARGE
        assert running.storage.feed.fly_dropped > 20
        await running.tasks.finish(succeeded(task_id))
        found = await take(follower, 41)
    assert [item.seq for item in found if isinstance(item, TaskUpdate)] == list(range(2, 43))
    assert sum(isinstance(item, FlyEvent) for item in found) + running.storage.feed.fly_dropped == 40


async def test_a_large_result_waits_in_its_row_and_holds_up_no_smaller_log(running: Running) -> None:
    large, small = await running.create(), await running.create()
    feed = running.storage.feed
    async with feed.subscribe(large) as stuck, feed.subscribe(small) as reader:
        stuck.start(1)
        reader.start(1)
        await running.tasks.finish(succeeded(large, f'"{"r" * 9_000_000}"'))
        await running.tasks.finish(succeeded(small))
        [end] = await take(reader, 1)
        assert isinstance(end, TaskUpdate)
        assert end.status.terminal
        [end] = await take(stuck, 1)
        assert isinstance(end, TaskUpdate)
        assert (end.whole, end.result) == (False, None)
        assert len((await running.tasks.update(large, end.seq)).result or "") == 9_000_002


async def test_many_readers_that_lag_share_what_one_statement_reads(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "GROWN_BYTES", 1_000_000)
    ids = [await running.create() for _ in range(4)]
    for task_id in ids:
        for _ in range(6):
            await running.tasks.report(progress(task_id, HopState.PROCESSING, message="m" * 100_000))
    pages = await growing.grown(running.storage.database, [(task_id, 1) for task_id in ids])
    assert [len(page.updates) for page in pages] == [3] * 4
    assert all(page.more for page in pages)
    rest = await growing.grown(running.storage.database, [(ids[0], 4)])
    assert [update.seq for update, _ in rest[0].updates] == [5, 6, 7]
    assert not rest[0].more


async def next_page(groups: Groups) -> list[TaskUpdate]:
    """The updates of the next group; none if there was no room for them."""
    async with asyncio.timeout(20):
        group = await anext(groups)
    items = group.updates if isinstance(group, Snapshot) else group
    return [item for item in items if isinstance(item, TaskUpdate)]


async def test_readers_of_a_long_log_that_never_read_hold_no_more_than_their_share(database_url: str) -> None:
    budget = Budget(16 * 1024 * 1024)
    running = make_storage(database_url, budget=budget)
    await running.storage.start()
    try:
        task_id = await running.create()
        for number in range(100):
            report = progress(task_id, HopState.PROCESSING, message=f"{number} " + "m" * 30_000)
            await running.tasks.report(report)
        await running.tasks.finish(succeeded(task_id))
        async with AsyncExitStack() as stack:
            readers = [
                await stack.enter_async_context(
                    aclosing(
                        follow_groups(running.tasks, running.storage.feed, task_id, owner=EVERY_OWNER, keepalive=0.05)
                    )
                )
                for _ in range(10)
            ]
            held = [await next_page(reader) for reader in readers]
            alive = sum(weight(page) for page in held)
            assert 0 < alive <= budget.total // 8
            assert alive <= budget.holds(Share.LOGS) <= budget.ceiling(Share.LOGS)
            assert not held[-1]
            assert not await next_page(readers[-1])
            # When some leave, the others go on from where they were.
            for reader in readers[:-1]:
                await reader.aclose()
            rest: list[TaskUpdate] = []
            while len(rest) < 102:
                rest += await next_page(readers[-1])
            assert [update.seq for update in rest] == list(range(1, 103))
        assert budget.holds(Share.LOGS) == 0
    finally:
        await running.storage.stop()


@pytest.mark.parametrize(("after", "retired"), [(0, False), (99, False), (0, True)])
async def test_a_reader_for_whom_there_is_no_room_gets_all_of_a_log_when_there_is(
    running: Running, after: int, retired: bool
) -> None:
    task_id = await running.create()
    await running.tasks.finish(succeeded(task_id))
    if retired:
        await running.storage.database.execute("DELETE FROM task_updates WHERE task_id = $1", task_id)
    feed = running.storage.feed
    size = feed.budget.ceiling(Share.LOGS)
    feed.budget.charge(Share.LOGS, size)
    groups = follow_groups(running.tasks, feed, task_id, owner=EVERY_OWNER, after=after, keepalive=0.05)
    async with aclosing(groups):
        assert [await next_page(groups) for _ in range(2)] == [[], []]
        feed.budget.give_back(Share.LOGS, size)
        found: list[TaskUpdate] = []
        async for group in groups:
            found += [item for item in group if isinstance(item, TaskUpdate)]  # type: ignore[union-attr]
    assert [update.seq for update in found] == ([2] if retired else [1, 2])
    assert found[-1].status.terminal
    assert feed.budget.holds(Share.LOGS) == 0
