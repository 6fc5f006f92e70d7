"""Processes killed without grace, under load."""

import asyncio
import signal
import time

import pytest

from tests.faults.world import World
from tests.support.waiting import lasts, until

pytestmark = pytest.mark.timeout(600)


async def test_kill_9_of_api_right_after_the_commit_loses_no_accepted_call(world: World) -> None:
    async def fault() -> None:
        world.processes["api"].kill()
        world.processes["api"].start()
        await world.ready("api")

    await world.load_during(fault, after=6)
    assert world.answers[200] > 50
    await world.audit()

    # What was committed has its message, whether or not its caller was told. Rows that were confirmed and not yet
    # removed when the process died go out once more when their lease has run out.
    async def drained() -> bool:
        return bool(await world.query_value("SELECT count(*) = 0 FROM outbox"))

    await until(drained)


async def test_kill_9_of_mesh_in_mid_report_ends_every_task_once(world: World) -> None:
    async def fault() -> None:
        for _ in range(2):
            world.processes["mesh"].kill()
            await lasts(0.5)
            world.processes["mesh"].start()
            await world.ready("mesh")

    await world.load_during(fault)
    await world.audit()


async def test_kill_9_of_the_worker_in_mid_handler_runs_the_hop_again_and_no_finished_one(world: World) -> None:
    async def fault() -> None:
        held = [await world.call("api", first_waits_for=str(world.gate)) for _ in range(4)]
        assert all(held)
        await until(lambda: all(world.begun(task_id) for task_id in held if task_id), 60, "the hops that wait")
        world.processes["first"].kill()
        world.gate.touch()
        world.processes["first"].start()

    await world.load_during(fault)
    # The claim of a killed worker is held until its lease runs out.
    await world.settled()
    await world.audit(reruns=("first",))


async def taken_over_after_kill_9(world: World) -> float:
    """Seconds from the death of a worker in mid-handler, with another beside it, to the end of its task."""
    task_id = await world.call("api", first_waits_for=str(world.gate))
    assert task_id is not None
    await until(lambda: world.begun(task_id), 30, "the hop that waits")
    died = time.monotonic()
    world.processes["first"].kill()
    world.gate.touch()
    world.worker("first", "first-too")
    await until(lambda: world.ended(task_id), 60, "the end of the task")
    return time.monotonic() - died


async def test_the_hop_of_a_killed_worker_is_taken_over_soon_with_rabbitmq(world: World) -> None:
    assert await taken_over_after_kill_9(world) < 30
    await world.audit(reruns=("first",))


async def test_the_hop_of_a_killed_worker_is_taken_over_soon_with_queues_in_postgres(embedded: World) -> None:
    assert await taken_over_after_kill_9(embedded) < 30
    await embedded.audit(reruns=("first",))


async def test_kill_9_of_the_crew_ends_every_task_once(world: World) -> None:
    async def fault() -> None:
        for _ in range(3):
            world.processes["crew"].kill()
            world.processes["crew"].start()
            await lasts(0.7)

    await world.load_during(fault)
    await world.audit()


async def test_a_listener_stopped_with_sigstop_delays_no_others_and_catches_up(world: World) -> None:
    stopped = world.processes["api2"]

    async def fault() -> None:
        stopped.signal(signal.SIGSTOP)
        await lasts(8)
        stopped.signal(signal.SIGCONT)

    await world.load_during(fault, after=6)
    assert world.answers[200] > 50
    await world.audit()
    usage = await world.query_value("SELECT pg_notification_queue_usage()")
    assert usage < 0.01


async def test_each_program_ends_on_sigterm_within_its_time_and_drops_nothing(world: World) -> None:
    async def fault() -> None:
        for name in ("first", "second", "crew", "mesh", "api"):
            await asyncio.to_thread(world.processes[name].end)
            running = world.processes[name].running
            assert running is not None
            assert running.returncode == 0, name
            world.processes[name].start()
        for name in ("mesh", "api"):
            await world.ready(name)

    await world.load_during(fault)
    await world.audit()
