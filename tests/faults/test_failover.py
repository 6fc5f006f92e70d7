"""The primary dies, and a standby that followed it is promoted; every program finds it by an address of two hosts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from servers.databases import query
from tests.faults.pair import Pair
from tests.faults.world import World
from tests.support.servers import running
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
    finally:
        await connection.close()
        pair.standby.thaw()
    assert await again == 200
    await first
    await asyncio.to_thread(pair.fail_over)
    await until(lambda: world.call("api"), 60, "a call after the failover")
    promoted = f"{pair.hosts}/faults?target_session_attrs=read-write"
    assert query(promoted, STORED) == 1
