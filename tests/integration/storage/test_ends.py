"""Waiting for the end of a task without reading its log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import PauseReport
from asya_gateway.domain.task import LARGEST_INLINE, Task, TaskHead
from asya_gateway.storage.database import Database
from asya_gateway.storage.log import ends, newborn, rounds
from asya_gateway.storage.log.feed import CHANNEL
from asya_gateway.storage.tasks.outcomes import Awaited, Outcome, outcomes
from tests.support.hops import begin
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, failed, make_storage, progress, succeeded
from tests.support.waiting import until

LONGEST = 20.0


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Running]:
    """A second process's Storage on the same database."""
    made = make_storage(database_url)
    await made.storage.start()
    yield made
    await made.storage.stop()


async def test_whoever_waits_gets_the_whole_task_when_it_has_ended_in_another_process(
    running: Running, other: Running
) -> None:
    task_id = await running.create()
    with other.storage.feed.watch(task_id, owner=EVERY_OWNER, payload=True) as watch:
        assert await watch.next(0.0) is None
        await running.tasks.report(progress(task_id))
        await running.tasks.finish(succeeded(task_id))
        assert await watch.next(LONGEST) == await running.tasks.get(task_id, owner=EVERY_OWNER)


async def test_each_gets_what_it_asked_for(running: Running) -> None:
    """The payload on request only, and an error as one."""
    task_id = await running.create()
    feed = running.storage.feed
    with (
        feed.watch(task_id, owner=EVERY_OWNER, payload=True) as whole,
        feed.watch(task_id, owner=OwnedBy(""), payload=False) as lean,
    ):
        await running.tasks.finish(failed(task_id))
        tasks = [await watch.next(LONGEST) for watch in (whole, lean)]
    assert [task.payload for task in tasks if isinstance(task, Task)] == ['{"text":"hi"}', None]
    assert {task.error for task in tasks if task is not None} == {failed(task_id).error}


async def test_a_task_that_had_ended_before_is_given_at_once(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.finish(succeeded(task_id))
    with running.storage.feed.watch(task_id, owner=EVERY_OWNER, payload=False) as watch:
        found = await watch.next(LONGEST)
    assert isinstance(found, Task)
    assert found.result == '{"done":true}'


async def test_a_task_of_another_owner_is_not_found(running: Running) -> None:
    task_id = await running.create(owner="anna")
    for owner, named in ((OwnedBy("bert"), task_id), (OwnedBy("anna"), "unknown")):
        with running.storage.feed.watch(named, owner=owner, payload=False) as watch, pytest.raises(TaskNotFound):
            await watch.next(LONGEST)


async def test_a_question_is_given_as_the_row_and_the_wait_goes_on_after_it(running: Running) -> None:
    task_id = await running.create()
    with running.storage.feed.watch(task_id, owner=EVERY_OWNER, payload=False) as watch:
        pause = Pause("p", "?", {}, [])
        await running.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 50.0, "{}"))
        asking = await watch.next(LONGEST)
        assert isinstance(asking, TaskHead)
        assert (asking.status, isinstance(asking, Task)) == (TaskStatus.PAUSED, False)
        await running.tasks.answer(answer_to(task_id, pause_id="p"), ONWARD)
        await running.tasks.finish(succeeded(task_id))
        async with asyncio.timeout(LONGEST):
            while not isinstance(found := await watch.next(LONGEST), Task):
                # A round that began before the answer may have seen the question again.
                assert found is not None
    assert found.status is TaskStatus.SUCCEEDED


async def test_whoever_waits_looks_at_no_task_that_goes_on(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the process that takes the reports, nor in another one; a reader of the log sees them."""
    monkeypatch.setattr(rounds, "POLL_EVERY", 3600)
    read: list[list[str]] = []

    async def noted(database: Database, asked: Sequence[Awaited]) -> list[Outcome]:
        read.append([each.task_id for each in asked])
        return await outcomes(database, asked)

    monkeypatch.setattr(ends, "outcomes", noted)
    here, there = (make_storage(database_url) for _ in range(2))
    async with contextlib.AsyncExitStack() as stack:
        for each in (here, there):
            await each.storage.start()
            stack.push_async_callback(each.storage.stop)
        task_id = await here.create()
        follower = await stack.enter_async_context(there.storage.feed.subscribe(task_id, fly=False))
        assert all([await each.storage.bell.attended(CHANNEL) for each in (here, there)])
        feeds = [each.storage.feed for each in (here, there)]
        waits = [stack.enter_context(feed.watch(task_id, owner=EVERY_OWNER, payload=False)) for feed in feeds]
        await until(lambda: len(read) == len(waits), what="the first look of each")
        follower.start(1)
        await here.tasks.begin(begin(task_id))
        assert await follower.next(LONGEST)
        await here.tasks.report(progress(task_id))
        assert await follower.next(LONGEST)
        assert read == [[task_id]] * len(waits)
        await here.tasks.finish(succeeded(task_id))
        assert all([isinstance(await watch.next(LONGEST), Task) for watch in waits])


@pytest.fixture
async def listening(running: Running, monkeypatch: pytest.MonkeyPatch) -> tuple[Running, list[list[str]]]:
    """A process that listens already, as after its first call that waited, and what it reads for those who wait."""
    read: list[list[str]] = []

    async def noted(database: Database, asked: Sequence[Awaited]) -> list[Outcome]:
        read.append([each.task_id for each in asked])
        return await outcomes(database, asked)

    monkeypatch.setattr(rounds, "POLL_EVERY", 3600)
    monkeypatch.setattr(ends, "outcomes", noted)
    earlier = await running.create()
    with running.storage.feed.watch(earlier, owner=EVERY_OWNER, payload=False):
        await until(lambda: read, what="the first look")
        assert await running.storage.bell.attended(CHANNEL)
    read.clear()
    return running, read


async def test_a_caller_who_waits_for_its_new_task_reads_nothing_before_its_end(
    listening: tuple[Running, list[list[str]]], other: Running
) -> None:
    running, read = listening
    task_id = await running.create(owner="anna")
    with running.storage.feed.watch(task_id, owner=OwnedBy("anna"), payload=False) as watch:
        await other.tasks.begin(begin(task_id))
        await other.tasks.finish(succeeded(task_id))
        assert isinstance(await watch.next(LONGEST), Task)
    assert read == [[task_id]]


@pytest.mark.parametrize("why", ["it has ended", "rings were missed", "another owner"])
async def test_a_new_task_is_looked_at_first_where_that_is_needed(
    listening: tuple[Running, list[list[str]]], other: Running, why: str
) -> None:
    running, read = listening
    task_id = await running.create(owner="anna")
    remembered = running.storage.feed._ends.newborn._owners
    assert task_id in remembered
    if why == "it has ended":
        await other.tasks.finish(succeeded(task_id))
        await until(lambda: task_id not in remembered, what="the ring")
    elif why == "rings were missed":
        connects, connection = running.storage.bell.connects, running.storage.bell._connection
        assert connection is not None
        connection.terminate()
        await until(lambda: running.storage.bell.connects > connects, what="the next connection")
        await other.tasks.finish(succeeded(task_id))
    owner = OwnedBy("bert" if why == "another owner" else "anna")
    with running.storage.feed.watch(task_id, owner=owner, payload=False) as watch:
        if why == "another owner":
            with pytest.raises(TaskNotFound):
                await watch.next(LONGEST)
        else:
            assert isinstance(await watch.next(LONGEST), Task)
    assert [task_id] in read


async def test_few_new_tasks_are_remembered_and_none_before_somebody_waits(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.create()
    remembered = running.storage.feed._ends.newborn
    assert not remembered._owners
    monkeypatch.setattr(newborn, "KEPT", 2)
    remembered.add([(name, "") for name in "abc"])
    assert [remembered.take(name, EVERY_OWNER) for name in "abc"] == [False, True, True]
    assert not remembered.take("b", EVERY_OWNER)


async def test_bodies_that_are_too_large_to_be_read_for_many_at_a_time_are_left_out(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.finish(succeeded(task_id, result=f'"{"x" * LARGEST_INLINE}"'))
    with running.storage.feed.watch(task_id, owner=EVERY_OWNER, payload=False) as watch:
        found = await watch.next(LONGEST)
    assert isinstance(found, TaskHead)
    assert (found.status, isinstance(found, Task)) == (TaskStatus.SUCCEEDED, False)


async def test_more_than_one_statement_may_read_are_read_in_several(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends, "READ_AT_ONCE", 2)
    ids = await asyncio.gather(*(running.create() for _ in range(5)))

    async def wait(task_id: str) -> str:
        with running.storage.feed.watch(task_id, owner=EVERY_OWNER, payload=False) as watch:
            async with asyncio.timeout(LONGEST):
                while not isinstance(found := await watch.next(LONGEST), Task):
                    pass
        return found.id

    waits = [asyncio.create_task(wait(task_id)) for task_id in ids]
    await asyncio.gather(*(running.tasks.finish(succeeded(task_id)) for task_id in ids))
    assert await asyncio.gather(*waits) == list(ids)
    assert running.storage.feed.followers == 0
