"""Readers that read nothing while large items arrive: their queues are bounded in bytes, and updates stay in the
log."""

import asyncio
from collections.abc import Sequence

import pytest

from asya_crds.status import HopState
from asya_gateway.domain.task import FlyEvent, TaskUpdate
from asya_gateway.storage.log.feed import UPDATES_KEPT_BYTES, Follower
from asya_gateway.storage.tasks import growing
from asya_gateway.storage.tasks.rows import PAGE_BYTES
from tests.support.storage import Running, progress, succeeded
from tests.support.waiting import until

LARGE = 700_000


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
