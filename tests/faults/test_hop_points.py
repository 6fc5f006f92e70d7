"""Mesh, the database and workers are killed at the points of a hop's life that lie before and after its statements:
before a report arrives, between the parts of an end, after the commit and before the answer, before the envelopes of
the outbox are published."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.faults.proxied import BEGIN, END, ProxiedWorld
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)

Kill = Callable[[ProxiedWorld], Awaitable[None]]


@pytest.fixture
def world(proxied: ProxiedWorld) -> ProxiedWorld:
    return proxied


async def kill_mesh(world: ProxiedWorld) -> None:
    await world.restart_killed("mesh")


async def kill_postgres(world: ProxiedWorld) -> None:
    await asyncio.to_thread(world.postgres.kill)
    await asyncio.to_thread(world.postgres.start)


async def kill_first(world: ProxiedWorld) -> None:
    await world.restart_killed("first")


VICTIMS = pytest.mark.parametrize("kill", [kill_mesh, kill_postgres], ids=["mesh", "postgres"])


async def swallowed(world: ProxiedWorld) -> None:
    async with asyncio.timeout(60):
        await world.proxy.swallowed.wait()


async def stored(world: ProxiedWorld) -> None:
    """Wait until a report is stored whose answer was lost; mesh is out of reach now."""
    lost = world.proxy.lost
    await until(lambda: world.proxy.lost > lost, 60, "the report that is stored")


@VICTIMS
async def test_kill_9_before_and_after_an_end_is_stored_ends_each_hop_once(world: ProxiedWorld, kill: Kill) -> None:
    await world.held_task()
    world.proxy.swallow(END)
    world.gate.touch()
    await swallowed(world)
    await kill(world)
    world.proxy.cut()  # the report that was swallowed is lost with its connection
    await world.settled()
    await world.held_task()
    world.proxy.lose_answer_to(END, then_refuse=True)
    world.gate.touch()
    await stored(world)
    await kill(world)
    world.proxy.accept()
    await world.audit()


@pytest.mark.parametrize("kill", [kill_mesh, kill_postgres, kill_first], ids=["mesh", "postgres", "worker"])
async def test_kill_9_after_a_beginning_is_stored_runs_the_hop_once(world: ProxiedWorld, kill: Kill) -> None:
    """The answer is lost, so the worker has not called its handler. A killed worker's claim runs out; that of a worker
    that lives is its own."""
    world.proxy.lose_answer_to(BEGIN, then_refuse=True)
    task_id = await world.call("api")
    assert task_id is not None
    await stored(world)
    assert not world.begun(task_id)
    await kill(world)
    world.proxy.accept()
    await world.audit()


@VICTIMS
async def test_kill_9_between_the_parts_of_an_end_hands_everything_on_once(world: ProxiedWorld, kill: Kill) -> None:
    world.proxy.swallow(b'"part":1,')
    task_id = await world.call("api", "spread", parts=8, filling=300_000)
    assert task_id is not None
    await swallowed(world)
    assert await world.query_value("SELECT count(*) FROM hop_parts WHERE task_id = $1", task_id) > 0
    assert await world.query_value("SELECT count(*) FROM tasks WHERE parent_id = $1", task_id) == 0
    await kill(world)
    world.proxy.cut()
    await world.audit()
    assert await world.query_value("SELECT count(*) FROM tasks WHERE parent_id = $1", task_id) == 7
    assert await world.query_value("SELECT count(*) FROM hop_parts") == 0
    begun = [line for line in world.runs.read_text().splitlines() if line.startswith("second ") and "begun" in line]
    assert len([line for line in begun if line.split()[1].startswith(f"{world.accepted[task_id]}.")]) == 8


async def test_kill_9_of_mesh_before_it_publishes_what_an_end_stored_sends_it_once(world: ProxiedWorld) -> None:
    """With a broker, the next envelope is in the outbox. (With queues in the database it is in its queue.)"""
    task_id = await world.held_task()
    if world.to_broker is not None:
        world.to_broker.stall()
    world.gate.touch()

    async def hop_is_stored() -> bool:
        query = "SELECT count(*) = 1 FROM task_hops WHERE task_id = $1 AND hop = '0' AND state = 'completed'"
        return bool(await world.query_value(query, task_id))

    await until(hop_is_stored, 60, "the end that is stored")
    if world.to_broker is not None:
        assert not world.begun(task_id, "second")
        # The row of the first hop may still be there, if the broker was stopped before it confirmed.
        waiting = "SELECT count(*) FROM outbox WHERE task_id = $1 AND actor = 'second'"
        assert await world.query_value(waiting, task_id) == 1
    world.processes["mesh"].kill()
    if world.to_broker is not None:
        world.to_broker.cut()
        world.to_broker.flow()
    world.processes["mesh"].start()
    await world.audit()
