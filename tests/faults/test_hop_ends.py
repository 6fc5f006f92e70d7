"""A hop's end is one transaction: worker, mesh and database killed at each point of it.

The points that are told apart by time alone are in test_hop_points.py.
"""

import asyncio

import asyncpg
import pytest

from tests.faults.proxied import END, ProxiedWorld
from tests.faults.world import World
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def world(proxied: ProxiedWorld) -> ProxiedWorld:
    return proxied


async def test_kill_9_of_the_worker_before_its_end_arrives_runs_the_hop_again(world: ProxiedWorld) -> None:
    await world.held_task()
    world.proxy.swallow(END)
    world.gate.touch()
    async with asyncio.timeout(30):
        await world.proxy.swallowed.wait()
    await world.restart_killed("first")
    await world.audit(reruns=("first",))


async def test_kill_9_of_the_worker_after_its_end_is_stored_runs_nothing_again(world: ProxiedWorld) -> None:
    await world.held_task()
    world.proxy.lose_answer_to(END, then_refuse=True)
    world.gate.touch()
    await until(lambda: world.proxy.lost, 30, "the end that is stored")
    await world.restart_killed("first")
    world.proxy.accept()
    await world.audit()


async def test_an_end_whose_answer_is_lost_is_answered_again_and_sends_nothing_twice(world: ProxiedWorld) -> None:
    await world.held_task()
    world.proxy.lose_answer_to(END)
    world.gate.touch()
    await until(lambda: world.proxy.lost, 30, "the end that is stored")
    await world.audit()


async def waiting_for_locks(world: World) -> int:
    count: int = await world.query_value("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return count


async def lock_row(world: World, task_id: str) -> asyncpg.Connection:
    """A transaction that keeps any end of the task waiting."""
    connection = await asyncpg.connect(world.database_url)
    await connection.execute("BEGIN")
    await connection.execute("SELECT 1 FROM tasks WHERE id = $1 FOR UPDATE", task_id)
    return connection


async def test_kill_9_of_mesh_during_an_end_commits_it_once(world: ProxiedWorld) -> None:
    """The statement of the killed pod goes on in the database; the repeated end waits for it."""
    task_id = await world.held_task()
    lock = await lock_row(world, task_id)
    world.gate.touch()
    await until(lambda: waiting_for_locks(world), 30, "the end that waits")
    await world.restart_killed("mesh")
    await world.ready("mesh")

    async def repeated() -> bool:
        return await waiting_for_locks(world) >= 2

    await until(repeated, 30, "the repeated end")
    await lock.execute("ROLLBACK")
    await lock.close()
    await world.audit()


async def test_kill_9_of_postgres_during_an_end_commits_it_once(world: ProxiedWorld) -> None:
    task_id = await world.held_task()
    lock = await lock_row(world, task_id)
    world.gate.touch()
    await until(lambda: waiting_for_locks(world), 30, "the end that waits")
    await asyncio.to_thread(world.postgres.kill)
    lock.terminate()
    await asyncio.to_thread(world.postgres.start)
    await world.audit()


async def test_kill_9_between_the_parts_of_an_end_hands_nothing_on(world: ProxiedWorld) -> None:
    world.proxy.swallow(b'"part":1,')
    task_id = await world.call("api", "spread", parts=8, filling=300_000)
    assert task_id is not None
    async with asyncio.timeout(60):
        await world.proxy.swallowed.wait()
    assert await world.query_value("SELECT count(*) FROM hop_parts WHERE task_id = $1", task_id) > 0
    assert await world.query_value("SELECT count(*) FROM tasks WHERE parent_id = $1", task_id) == 0
    runs = world.runs.read_text().splitlines()
    assert not [line for line in runs if line.startswith(f"second {world.accepted[task_id]}.")]
    await world.restart_killed("spread")
    await world.audit(reruns=("spread",))
    assert await world.query_value("SELECT count(*) FROM tasks WHERE parent_id = $1", task_id) == 7
    # The part of the killed worker was handed on by nobody.
    runs = world.runs.read_text().splitlines()
    assert (
        len([line for line in runs if line.startswith(f"second {world.accepted[task_id]}.") and "begun" in line]) == 8
    )
