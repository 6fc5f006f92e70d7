"""The broker down, its messages doubled, mesh away for long."""

import asyncio

import pytest

from tests.faults.world import World
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)


async def test_with_the_broker_down_for_10_s_calls_are_accepted_and_all_end(world: World) -> None:
    assert world.rabbit is not None

    async def fault() -> None:
        assert world.rabbit is not None
        await asyncio.to_thread(world.rabbit.stop)
        before = world.answers[200]
        await lasts(10)
        assert world.answers[200] > before, "nothing was accepted while the broker was down"
        await asyncio.to_thread(world.rabbit.start)

    await world.load_during(fault, after=14)
    assert set(world.answers) == {200}, world.answers
    await world.settled()
    await world.audit(reruns=("first", "second"))


async def give_the_crew_hooks(world: World) -> None:
    """So that every success goes through x-sink; without hooks it is stored with the task's last hop."""
    crew = world.processes["crew"]
    crew.environment["ASYA_SINK_HOOKS"] = "archive"
    await asyncio.to_thread(crew.restart)
    await until(lambda: world.query_value("SELECT count(*) > 0 FROM crews WHERE hooks"), 30, "the crew's word")


async def test_every_message_delivered_twice_runs_no_finished_hop_again(world: World) -> None:
    await give_the_crew_hooks(world)
    async with world.doubling() as doubled:
        await world.load(3)
        await world.audit()
        assert doubled[0] >= 3 * len(world.accepted) - 3


async def test_mesh_down_for_longer_than_every_retry_fails_no_task(world: World) -> None:
    async def fault() -> None:
        world.processes["mesh"].kill()
        # Five deliveries with every backoff of the worker's retries fit into this several times.
        await lasts(40)
        world.processes["mesh"].start()
        await world.ready("mesh")

    await world.load_during(fault, before=1, after=2)
    await world.settled()
    await world.audit()


async def test_the_embedded_transport_delivers_a_doubled_message_once(embedded: World) -> None:
    async with embedded.doubling():
        await embedded.load(3)
        await embedded.audit()


async def test_the_embedded_world_survives_kill_9_of_every_program_in_turn(embedded: World) -> None:
    async def fault() -> None:
        for name in ("api", "mesh", "first", "second", "crew"):
            embedded.processes[name].kill()
            embedded.processes[name].start()
        for name in ("api", "mesh"):
            await embedded.ready(name)

    await embedded.load_during(fault, after=3)
    await embedded.settled()
    await embedded.audit(reruns=("first", "second"))
    await until(lambda: queues_are_empty(embedded), 90, "empty queues")


async def queues_are_empty(world: World) -> bool:
    return bool(await world.query_value("SELECT count(*) = 0 FROM queue_messages"))
