"""Following the log: every update once and in order, from whichever process wrote it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest

from asya_crds.status import HopState, TaskStatus
from asya_gateway.domain.budget import Share
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.following import follow_groups, one_by_one
from asya_gateway.domain.ids import new_task_id
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.task import FlyEvent, Snapshot, TaskUpdate
from asya_gateway.storage import store as store_module
from asya_gateway.storage.log import expected as expected_module
from asya_gateway.storage.log import feed as feed_module
from asya_gateway.storage.tasks.growing import Grown, grown
from tests.support.storage import Running, make_storage, progress, succeeded
from tests.support.waiting import lasts, until


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Running]:
    """A second process's Storage on the same database."""
    made = make_storage(database_url)
    await made.storage.start()
    yield made
    await made.storage.stop()


async def read_all(reader: Running, task_id: str, after: int = 0, ready: asyncio.Event | None = None) -> list[object]:
    items: list[object] = []
    async with asyncio.timeout(20):
        groups = follow_groups(reader.storage.tasks, reader.storage.feed, task_id, owner=EVERY_OWNER, after=after)
        stream = one_by_one(groups)
        async with aclosing(stream):
            async for item in stream:
                items.append(item)
                if ready is not None:
                    ready.set()
    return items


def seqs(items: list[object]) -> list[int]:
    found: list[int] = []
    for item in items:
        if isinstance(item, Snapshot):
            found += [update.seq for update in item.updates]
        elif isinstance(item, TaskUpdate):
            found.append(item.seq)
    return found


async def test_a_follower_in_another_process_sees_every_update_once_and_in_order(
    running: Running, other: Running
) -> None:
    task_id = await running.create()
    ready = asyncio.Event()
    reading = asyncio.create_task(read_all(other, task_id, ready=ready))
    await ready.wait()
    for _ in range(20):
        await running.tasks.report(progress(task_id))
    await running.tasks.finish(succeeded(task_id))
    items = await reading
    assert seqs(items) == list(range(1, 23))
    last = items[-1]
    assert isinstance(last, TaskUpdate)
    assert (last.status, last.result) == (TaskStatus.SUCCEEDED, '{"done":true}')


@pytest.mark.parametrize("rung", [True, False])
async def test_live_events_that_were_sent_before_the_end_come_before_it_whether_or_not_the_end_was_rung(
    running: Running, other: Running, monkeypatch: pytest.MonkeyPatch, rung: bool
) -> None:
    """Whoever heard the ring has heard what was committed before. Otherwise the listening connection is asked."""
    asked = []
    barrier = other.storage.feed.fly_barrier

    async def counted() -> None:
        asked.append(True)
        await barrier()

    monkeypatch.setattr(other.storage.feed, "fly_barrier", counted)
    if not rung:  # as by a process of the version before, which knows no mark for ends
        monkeypatch.setattr(store_module, "ENDED", "")
    for _ in range(20):
        task_id = await running.create()
        ready = asyncio.Event()
        reading = asyncio.create_task(read_all(other, task_id, ready=ready))
        await ready.wait()
        await running.storage.fly.send([FlyEvent(task_id, "fly", f'"{number}"') for number in range(40)])
        await running.tasks.finish(succeeded(task_id))
        items = await reading
        events = [item.payload for item in items if isinstance(item, FlyEvent)]
        assert events == [f'"{number}"' for number in range(40)]
        assert isinstance(items[-1], TaskUpdate)
    # A poll, which comes each second, may find an end before its ring is heard.
    assert len(asked) < 10 if rung else len(asked) == 20


async def test_readers_that_connect_while_the_task_ends_never_miss_the_end(running: Running, other: Running) -> None:
    for _ in range(30):
        task_id = await running.create()
        readers = [asyncio.create_task(read_all(side, task_id)) for side in (running, other) for _ in range(3)]
        await asyncio.sleep(0)
        await running.tasks.finish(succeeded(task_id))
        for items in await asyncio.gather(*readers):
            assert seqs(items) == [1, 2]


async def test_a_reader_of_a_finished_task_gets_its_log_and_the_end(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.report(progress(task_id))
    await running.tasks.finish(succeeded(task_id))
    assert seqs(await read_all(running, task_id)) == [1, 2, 3]
    assert seqs(await read_all(running, task_id, after=2)) == [3]
    assert seqs(await read_all(running, task_id, after=3)) == []
    assert seqs(await read_all(running, task_id, after=99)) == [1, 2, 3]


async def test_a_finished_task_whose_updates_were_retired_still_ends_a_late_readers_stream(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.finish(succeeded(task_id))
    await running.storage.database.execute("DELETE FROM task_updates")
    [snapshot] = await read_all(running, task_id)
    assert isinstance(snapshot, Snapshot)
    assert [(update.kind, update.result) for update in snapshot.updates] == [("final", '{"done":true}')]


async def log_of(running: Running, updates: int, detail: str = '{"message":"m"}') -> str:
    """A running task whose log has so many updates."""
    task_id = await running.create()
    database = running.storage.database
    await database.execute(
        "INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at) "
        "SELECT $1, seq, 'progress', 'running', 1, $2::json, now() FROM generate_series(2, $3::integer) seq",
        task_id,
        detail,
        updates,
    )
    await database.execute("UPDATE tasks SET status = 'running', last_seq = $2 WHERE id = $1", task_id, updates)
    return task_id


async def test_a_long_log_is_read_page_by_page(running: Running) -> None:
    task_id = await log_of(running, 1_050)
    snapshot = await running.tasks.snapshot(task_id, 0, owner=EVERY_OWNER)
    assert len(snapshot.updates) == 200
    ready = asyncio.Event()
    reading = asyncio.create_task(read_all(running, task_id, ready=ready))
    await ready.wait()
    await running.tasks.report(progress(task_id))
    await running.tasks.finish(succeeded(task_id))
    assert seqs(await reading) == list(range(1, 1_053))
    assert seqs(await read_all(running, task_id)) == list(range(1, 1_053))
    assert seqs(await read_all(running, task_id, after=1_000)) == list(range(1_001, 1_053))


async def test_a_page_of_a_log_is_bounded_in_bytes(running: Running) -> None:
    task_id = await log_of(running, 12, f'{{"message":"{"m" * 1_000_000}"}}')
    snapshot = await running.tasks.snapshot(task_id, 0, owner=EVERY_OWNER)
    assert [update.seq for update in snapshot.updates] == [1]
    await running.tasks.finish(succeeded(task_id))
    assert seqs(await read_all(running, task_id)) == list(range(1, 14))


async def test_a_finished_log_that_is_being_retired_still_ends(running: Running) -> None:
    task_id = await log_of(running, 500)
    await running.tasks.finish(succeeded(task_id))
    await running.storage.database.execute("DELETE FROM task_updates WHERE seq > 150")
    found = await read_all(running, task_id)
    assert seqs(found) == [*range(1, 151), 501]
    assert isinstance(found[-1], TaskUpdate)
    assert found[-1].result == '{"done":true}'


async def test_a_reader_that_leaves_while_it_is_being_connected_leaves_nothing_behind(running: Running) -> None:
    task_id = await running.create()
    feed, bell = running.storage.feed, running.storage.bell
    async with bell._lock:  # As while the listening connection is busy.
        reading = asyncio.create_task(read_all(running, task_id))
        await until(lambda: feed.followers)
        reading.cancel()
        await asyncio.wait([reading])
    assert (feed.followers, feed._fly._readers) == (0, 0)


async def test_live_events_are_kept_for_a_reader_that_is_expected(running: Running, other: Running) -> None:
    task_id, feed = new_task_id(), running.storage.feed
    await feed.expect(task_id)
    await running.create(task_id)
    await other.storage.fly.send([FlyEvent(task_id, "partial", '"early"')])
    await feed.fly_barrier()
    await feed.expect(task_id)
    reading = asyncio.create_task(read_all(running, task_id))
    await running.tasks.finish(succeeded(task_id))
    items = await reading
    assert [item.payload for item in items if isinstance(item, FlyEvent)] == ['"early"']
    assert seqs(items) == [1, 2]
    assert (feed.followers, feed._fly._readers, feed.budget.holds(Share.WAITING)) == (0, 0, 0)


async def test_a_reader_that_does_not_come_is_expected_for_a_while_and_leaves_nothing_behind(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expected_module, "MOST_EXPECTED", 2)
    task_ids, feed = [await running.create() for _ in range(3)], running.storage.feed
    for task_id in task_ids:
        await feed.expect(task_id)
    assert feed.followers == 2
    await running.storage.fly.send([FlyEvent(task_ids[2], "partial", '"early"')])
    await feed.fly_barrier()
    assert feed.budget.holds(Share.WAITING)
    feed.expect_nobody(task_ids[1])
    assert feed.followers == 1
    monkeypatch.setattr(expected_module, "EXPECTED_FOR", 0.01)
    await feed.expect(task_ids[2])
    await until(lambda: feed.followers == 0, what="the end of the expectation")
    assert (feed._fly._readers, feed.budget.holds(Share.WAITING)) == (0, 0)


async def test_a_request_that_ends_while_its_reader_is_announced_leaves_nothing_behind(running: Running) -> None:
    feed, bell = running.storage.feed, running.storage.bell
    async with bell._lock:  # As while the listening connection is busy.
        announcing = asyncio.create_task(feed.expect("t"))
        await until(lambda: feed.followers)
        announcing.cancel()
        await asyncio.wait([announcing])
    assert (feed.followers, feed._fly._readers) == (0, 0)


async def test_a_reader_that_leaves_while_its_log_is_read_is_charged_for_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await running.create()
    await running.tasks.report(progress(task_id, message="m" * 1_000))
    feed = running.storage.feed
    read, released = asyncio.Event(), asyncio.Event()

    async def held(*of: Any) -> list[Grown]:
        pages = await grown(*of)
        read.set()
        await released.wait()
        return pages

    monkeypatch.setattr(feed_module, "grown", held)
    async with asyncio.timeout(20), feed.subscribe(task_id) as stays:
        async with feed.subscribe(task_id) as leaves:
            leaves.start(1)
            stays.start(1)
            await read.wait()
        released.set()
        items = await stays.next(10)
        assert seqs([*items]) == [2]
    leaves.take_fly([FlyEvent(task_id, "partial", "1")], 1)
    assert (seqs([*leaves._items]), feed.budget.holds(Share.WAITING)) == ([], 0)


async def test_a_live_event_that_had_come_only_in_part_is_dropped_with_its_last_reader(running: Running) -> None:
    task_id = await running.create()
    feed = running.storage.feed
    async with feed.subscribe(task_id) as follower:
        feed._fly._heard(f'a 1 1 ["{task_id}","partial"]\t"half of')
        assert feed.budget.holds(Share.WAITING)
    assert feed.budget.holds(Share.WAITING) == 0
    async with feed.subscribe(task_id) as follower:
        feed._fly._heard('a 2 0  it"')
        feed._fly._heard(f'a 3 0 ["{task_id}","partial"]\t"whole"')
        [event] = await follower.next(1)
    assert isinstance(event, FlyEvent)
    assert event.payload == '"whole"'
    assert feed.budget.holds(Share.WAITING) == 0


async def test_a_task_that_rings_all_the_time_does_not_hide_what_another_ones_bell_lost(
    running: Running, other: Running
) -> None:
    quiet, loud = await running.create(), await running.create()
    readies = [asyncio.Event(), asyncio.Event()]
    readers = [
        asyncio.create_task(read_all(other, task_id, ready=ready))
        for task_id, ready in zip((quiet, loud), readies, strict=True)
    ]
    for ready in readies:
        await ready.wait()

    async def ring() -> None:
        while True:
            other.storage.feed.look_at([loud])
            await lasts(0.05)

    ringing = asyncio.create_task(ring())
    # As when the NOTIFY of one commit was lost.
    running.storage.bell.ring = lambda *_, **_more: None  # type: ignore[method-assign]
    await running.tasks.finish(succeeded(quiet))
    async with asyncio.timeout(10):
        assert seqs(await readers[0]) == [1, 2]
    ringing.cancel()
    readers[1].cancel()
    await asyncio.wait([ringing, readers[1]])


async def test_live_events_that_wait_for_a_slow_reader_are_bounded_in_bytes(running: Running) -> None:
    task_id = await running.create()
    feed = running.storage.feed
    async with feed.subscribe(task_id) as follower:
        for number in range(20):
            event = FlyEvent(task_id, "partial", f'{{"n":{number},"x":"{"x" * 1_000_000}"}}')
            feed._take_fly(task_id, [event])
        kept = await follower.next(1)
    assert 0 < len(kept) <= 4
    last = kept[-1]
    assert isinstance(last, FlyEvent)
    assert last.payload.startswith('{"n":19,')
    assert feed.fly_dropped == 20 - len(kept)


async def test_an_unknown_task_is_not_found_before_the_first_item(running: Running) -> None:
    with pytest.raises(TaskNotFound):
        await read_all(running, "nobody")


async def test_without_the_bell_the_poll_brings_the_news(running: Running, other: Running) -> None:
    task_id = await running.create()
    ready = asyncio.Event()
    reading = asyncio.create_task(read_all(other, task_id, ready=ready))
    await ready.wait()
    await other.storage.bell.stop()
    await running.tasks.finish(succeeded(task_id))
    assert seqs(await reading) == [1, 2]


async def test_a_cut_listen_connection_is_replaced_and_nothing_is_missed(
    running: Running, other: Running, database_url: str
) -> None:
    task_id = await running.create()
    ready = asyncio.Event()
    reading = asyncio.create_task(read_all(other, task_id, ready=ready))
    await ready.wait()
    connects = other.storage.bell.connects
    killer = await asyncpg.connect(database_url)
    killed = await killer.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'asya bell'"
    )
    await killer.close()
    assert killed
    await running.tasks.report(progress(task_id))
    await until(lambda: other.storage.bell.connects > connects, what="a new connection")
    await running.tasks.finish(succeeded(task_id))
    assert seqs(await reading) == [1, 2, 3]


class TestFly:
    async def events(self, side: Running, task_id: str, ready: asyncio.Event) -> list[FlyEvent]:
        return [item for item in await read_all(side, task_id, ready=ready) if isinstance(item, FlyEvent)]

    async def test_live_events_cross_from_process_to_process_in_order(self, running: Running, other: Running) -> None:
        task_id = await running.create()
        ready = asyncio.Event()
        reading = asyncio.create_task(self.events(other, task_id, ready))
        await ready.wait()
        for number in range(300):
            await running.storage.fly.send([FlyEvent(task_id, "partial", f'{{"n":{number}}}')])
        await running.tasks.finish(succeeded(task_id))
        assert [event.payload for event in await reading] == [f'{{"n":{number}}}' for number in range(300)]

    async def test_a_live_event_comes_after_every_update_that_was_stored_before_it(
        self, running: Running, other: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(running.storage.bell, "ring", lambda *_, **_more: None)
        task_id = await running.create()
        ready = asyncio.Event()
        reading = asyncio.create_task(read_all(other, task_id, ready=ready))
        await ready.wait()
        for number in range(5):
            await running.tasks.report(progress(task_id))
            await running.storage.fly.send([FlyEvent(task_id, "partial", str(number))])
        await running.tasks.finish(succeeded(task_id))
        items = [item for item in await reading if isinstance(item, TaskUpdate | FlyEvent)]
        assert [item.seq if isinstance(item, TaskUpdate) else item.payload for item in items] == [
            2,
            "0",
            3,
            "1",
            4,
            "2",
            5,
            "3",
            6,
            "4",
            7,
        ]

    async def test_events_that_wait_for_an_update_are_bounded_and_given_at_the_end(self, running: Running) -> None:
        task_id = await running.create()
        feed = running.storage.feed
        async with feed.subscribe(task_id) as follower:
            feed._hold_until(task_id, 7)
            for number in range(1_500):
                feed._take_fly(task_id, [FlyEvent(task_id, "partial", str(number))])
            follower.start(1)
            assert list(await follower.next(0)) == []
            assert [event.payload for event in await follower.last_words()] == [str(n) for n in range(500, 1_500)]
        assert feed.budget.holds(Share.WAITING) == 0

    async def test_a_line_that_a_newer_process_sends_is_skipped(self, running: Running, other: Running) -> None:
        task_id = await running.create()
        ready = asyncio.Event()
        reading = asyncio.create_task(self.events(other, task_id, ready))
        await ready.wait()
        for head in ("[1]", '[{"t":"x"}]', "[]", '["a","b","c"]', "7"):
            other.storage.feed._fly._deliver(f'{head}\t"?"')
        await running.storage.fly.send([FlyEvent(task_id, "partial", '"kept"')])
        await running.tasks.finish(succeeded(task_id))
        assert [event.payload for event in await reading] == ['"kept"']

    async def test_equal_events_are_not_folded_into_one(self, running: Running, other: Running) -> None:
        task_id = await running.create()
        ready = asyncio.Event()
        reading = asyncio.create_task(self.events(other, task_id, ready))
        await ready.wait()
        same = FlyEvent(task_id, "partial", '{"token":"a"}')
        await asyncio.gather(*(running.storage.fly.send([same]) for _ in range(50)))
        await running.tasks.finish(succeeded(task_id))
        assert len(await reading) == 50

    async def test_an_event_of_a_mebibyte_arrives_whole(self, running: Running, other: Running) -> None:
        task_id = await running.create()
        ready = asyncio.Event()
        reading = asyncio.create_task(self.events(other, task_id, ready))
        await ready.wait()
        payload = '{"text":"' + "ä" * 500_000 + '"}'
        await running.storage.fly.send([FlyEvent(task_id, "artifact_update", payload)])
        await running.tasks.finish(succeeded(task_id))
        [event] = await reading
        assert event.name == "artifact_update"
        assert event.payload.encode().decode("unicode_escape") == payload

    async def test_the_last_event_before_the_end_is_never_lost(self, running: Running, other: Running) -> None:
        for _ in range(100):
            task_id = await running.create()
            ready = asyncio.Event()
            reading = asyncio.create_task(self.events(other, task_id, ready))
            await ready.wait()
            await running.storage.fly.send([FlyEvent(task_id, "partial", '"last"')])
            await running.tasks.finish(succeeded(task_id))
            assert [event.payload for event in await reading] == ['"last"']

    async def test_a_reader_that_comes_before_the_first_connection_waits_for_it(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = make_storage(database_url)
        may_connect = asyncio.Event()
        connect = late.storage.bell._connect

        async def connecting() -> asyncio.Event:
            await may_connect.wait()
            return await connect()

        monkeypatch.setattr(late.storage.bell, "_connect", connecting)
        await late.storage.start()
        try:
            task_id = await late.create()
            ready = asyncio.Event()
            reading = asyncio.create_task(self.events(late, task_id, ready))
            await lasts(0.1)
            assert not ready.is_set()
            may_connect.set()
            await ready.wait()
            await late.storage.fly.send([FlyEvent(task_id, "partial", "1")])
            await late.tasks.finish(succeeded(task_id))
            assert [event.payload for event in await reading] == ["1"]
        finally:
            await late.storage.stop()

    async def test_events_whose_caller_left_are_sent_and_their_room_is_given_back(
        self, running: Running, other: Running
    ) -> None:
        task_id = await running.create()
        ready = asyncio.Event()
        reading = asyncio.create_task(self.events(other, task_id, ready))
        await ready.wait()
        fly = running.storage.fly
        leaving = asyncio.create_task(fly.send([FlyEvent(task_id, "partial", "1"), FlyEvent(task_id, "message", "2")]))
        await asyncio.sleep(0)  # the task has begun
        leaving.cancel()
        await fly.send([FlyEvent(task_id, "partial", "3")])
        await running.tasks.finish(succeeded(task_id))
        assert leaving.cancelled()
        assert [(event.name, event.payload) for event in await reading] == [
            ("partial", "1"),
            ("message", "2"),
            ("partial", "3"),
        ]
        assert running.storage.feed.budget.holds(Share.WRITES) == 0

    async def test_a_slow_reader_loses_live_events_first_and_updates_never(self, running: Running) -> None:
        task_id = await running.create()
        async with running.storage.feed.subscribe(task_id) as follower:
            follower.start(1)
            for number in range(1_500):
                text = str(number)
                follower.take_fly([FlyEvent(task_id, "partial", text)], len(text))
            for _ in range(5):
                await running.tasks.report(progress(task_id, HopState.PROCESSING))
            found: list[object] = []
            async with asyncio.timeout(10):
                while sum(isinstance(item, TaskUpdate) for item in found) < 5:
                    found += await follower.next(1)
        assert [item.seq for item in found if isinstance(item, TaskUpdate)] == [2, 3, 4, 5, 6]
        flown = [item.payload for item in found if isinstance(item, FlyEvent)]
        assert flown == [str(number) for number in range(500, 1_500)]
