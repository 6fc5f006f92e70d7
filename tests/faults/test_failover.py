"""The primary dies, and a standby that followed it is promoted; every program finds it by an address of two hosts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from asya_crds.status import TaskStatus
from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import ChildAnnouncement, PauseReport
from servers.databases import create_template, query
from tests.faults.pair import Pair
from tests.faults.world import World
from tests.support.hops import begin, end
from tests.support.servers import running
from tests.support.storage import ROUTE, Running, failed, make_storage, succeeded
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)
STORED = "SELECT count(*) FROM tasks t JOIN call_keys k ON k.task_id = t.id WHERE k.key = 'once'"
CANCEL = """
SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%call_keys%'
"""


@pytest.fixture
def pair() -> Iterator[Pair]:
    with running(Pair) as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path, pair: Pair) -> AsyncIterator[World]:
    """Everything with its queues in the database of the pair."""
    made = World(tmp_path, pair.primary, None)
    made.database_url = f"{pair.hosts}/faults?target_session_attrs=read-write"
    try:
        await made.up()
        yield made
    finally:
        await made.close()
        print(made.logs())


async def test_a_failover_to_a_synchronous_standby_loses_no_accepted_task(world: World, pair: Pair) -> None:
    pair.synchronous()
    await until(pair.followed, 30, "a synchronous standby")

    async def fault() -> None:
        await asyncio.to_thread(pair.fail_over)

    await world.load_during(fault, before=3, after=12)
    assert world.answers[200] > 50
    # A hop may have ended on the old primary alone, and its worker was not told.
    await world.audit(reruns=("first", "second"))


async def test_a_failover_to_an_asynchronous_standby_loses_what_was_accepted_while_it_lagged_and_nothing_else(
    world: World, pair: Pair
) -> None:
    """How much that is depends on the lag; docs/delivery.md has what was counted."""
    loading = asyncio.create_task(world.load(16, follow_every=10**9))
    await lasts(3)
    await until(pair.caught_up, 30, "a standby that has caught up")
    before = set(world.accepted)
    await until(pair.caught_up, 30, "a standby that has what was accepted so far")
    pair.cut_off()
    await lasts(2)
    await asyncio.to_thread(pair.fail_over)
    await loading
    kept = {row["id"] for row in await world.query("SELECT id FROM tasks")}
    lost = world.accepted.keys() - kept
    print(f"lost {len(lost)} of {len(world.accepted)} accepted calls, of which the standby lagged behind for 2 s")
    assert lost
    assert not lost & before
    after = len(world.accepted) - len(before) - len(lost)
    assert after > 20, "few calls were accepted after the failover"
    for task_id in lost:
        del world.accepted[task_id]
    await world.audit(reruns=("first", "second"))


async def test_a_call_that_is_found_again_is_acknowledged_only_when_the_standby_has_it(
    world: World, pair: Pair
) -> None:
    """A wait for the standby that is cancelled leaves the row on the primary alone."""
    pair.synchronous()
    await until(pair.followed, 30, "a synchronous standby")
    pair.standby.freeze()
    url, key = f"{world.processes['api'].url}/tools/call", {"Idempotency-Key": "once"}
    body = {"name": "work", "arguments": {"n": 9_000}}

    async def call() -> int:
        async with world.session.post(url, json=body, headers=key) as response:
            return response.status

    first = asyncio.create_task(call())
    connection = await asyncpg.connect(pair.primary.database("faults"))
    try:
        await until(lambda: connection.fetchval(CANCEL), 20, "a commit that waits for the standby")
        await until(lambda: connection.fetchval(STORED), 20, "the row on the primary")
        again = asyncio.create_task(call())
        await lasts(2)
        assert not again.done(), "acknowledged, although the standby does not have it"
        assert not first.done(), "a wait that was cancelled is no confirmation"
    finally:
        await connection.close()
        pair.standby.thaw()
    assert (await first, await again) == (200, 200)
    await asyncio.to_thread(pair.fail_over)
    await until(lambda: world.call("api"), 60, "a call after the failover")
    promoted = f"{pair.hosts}/faults?target_session_attrs=read-write"
    assert query(promoted, STORED) == 1


Write = Callable[[Running, str], Awaitable[Any]]

WRITES: dict[str, Write] = {
    "an end": lambda at, task: at.tasks.finish(succeeded(task)),
    "the end of a hop": lambda at, task: at.tasks.end(end(task)),
    "a question": lambda at, task: at.tasks.pause(
        PauseReport(task, Pause("p", "?", {}, []), TaskStatus.PAUSED, ROUTE, 50.0, "{}")
    ),
    "a cancel": lambda at, task: at.tasks.cancel(failed(task), RequestKey("cancel", "k", b"d")),
    "a child": lambda at, task: at.tasks.announce(ChildAnnouncement(f"{task}-1", task, ROUTE)),
}
"""What is repeated by whoever got no answer, and forgotten once it is answered."""
CANCEL_ANY = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_what_a_cancelled_wait_left_on_the_primary_is_confirmed_to_nobody_before_the_standby_has_it(
    pair: Pair, write: Write
) -> None:
    create_template(pair.primary.url, "writes")
    made = [make_storage(pair.primary.database("writes")) for _ in range(2)]
    for each in made:
        await each.storage.start()
    first, again = made
    task_id = await first.create()
    await first.tasks.begin(begin(task_id))
    pair.synchronous()
    await until(pair.followed, 30, "a synchronous standby")
    pair.standby.freeze()
    connection = await asyncpg.connect(pair.primary.url)
    try:
        writing = asyncio.create_task(_of(write(first, task_id)))
        await until(lambda: connection.fetchval(CANCEL_ANY), 20, "a commit that waits for the standby")
        repeating = asyncio.create_task(_of(write(again, task_id)))
        await lasts(1)
        assert not writing.done(), "a wait that was cancelled is no confirmation"
        assert not repeating.done(), "confirmed, although the standby does not have it"
    finally:
        await connection.close()
        pair.standby.thaw()
    await asyncio.gather(writing, repeating)
    for each in made:
        await each.storage.stop()


async def _of(writing: Awaitable[Any]) -> Any:
    return await writing
