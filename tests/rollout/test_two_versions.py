"""Programs of the version before beside those of this one, as while a rollout is under way: nothing is lost, and
nothing runs twice."""

import asyncio
from pathlib import Path

import pytest

from asya_crds.hop_reports import REPORTS_PATH
from servers.commits import ROOT, imported_from
from tests.rollout.mixed import ACTORS, EVERYTHING, GATEWAY, MixedWorld
from tests.support.waiting import until

BESIDE = ("first-too", "second-too", "crew-too")
pytestmark = pytest.mark.timeout(600)


def test_the_tree_of_the_version_before_runs_its_own_code(previous: Path) -> None:
    for package in ("asya_crds", "asya_operator", "asya_transports", "asya_gateway", "asya_actor", "asya_cli"):
        assert imported_from(previous, package).is_relative_to(previous)
        assert imported_from(ROOT, package).is_relative_to(ROOT)
        assert not imported_from(ROOT, package).is_relative_to(previous)


async def load_while_mesh_dies(world: MixedWorld) -> None:
    async def fault() -> None:
        world.processes["mesh"].kill()
        world.processes["mesh"].start()
        await world.ready("mesh")

    await world.load_during(fault)
    assert world.answers[200] > 50
    await world.audit()


async def test_the_gateway_before_works_over_this_schema(world: MixedWorld) -> None:
    world.of_previous.update(EVERYTHING)
    await world.up()
    await load_while_mesh_dies(world)


async def test_workers_and_crew_before_work_with_this_gateway(world: MixedWorld) -> None:
    world.of_previous.update(ACTORS)
    await world.up()
    await load_while_mesh_dies(world)


async def test_these_workers_and_this_crew_work_with_the_gateway_before(world: MixedWorld) -> None:
    world.of_previous.update(GATEWAY)
    await world.up()
    await load_while_mesh_dies(world)


async def start_beside(world: MixedWorld, *, previous: bool) -> None:
    """A second worker of each actor, and a second crew, all of one version."""
    if previous:
        world.of_previous.update(BESIDE)
    world.worker("first", "first-too")
    world.worker("second", "second-too")
    world.crew("crew-too")


async def test_workers_of_both_versions_meet_in_one_claim(world: MixedWorld) -> None:
    """Every message comes twice: a hop that one version has claimed or finished is none for the other."""
    await world.up()
    await start_beside(world, previous=True)
    async with world.doubling():
        await world.load(3)
        await world.settled()
    await world.audit()


async def test_a_hop_whose_worker_dies_is_taken_over_by_the_other_version(world: MixedWorld) -> None:
    world.of_previous.update(ACTORS)
    await world.up()
    await start_beside(world, previous=False)

    async def fault() -> None:
        for name in ("first", "second-too"):
            world.processes[name].kill()
            world.processes[name].start()

    await world.load_during(fault)
    await world.audit(reruns=("first", "second"))


async def test_meshes_of_both_versions_behind_one_address(world: MixedWorld) -> None:
    """A worker begins a hop with one and ends it with the other."""
    await world.up_behind_one_address()
    await world.load(4)
    await world.audit()
    assert world.balancer is not None
    together = {status: count for (path, status), count in world.balancer.answers.items() if path == REPORTS_PATH}
    assert together[200] > 0
    assert together[404] > 0


async def test_no_message_to_the_crew_before_is_spared(world: MixedWorld) -> None:
    """It may have hooks, and does not say so."""
    world.of_previous.add("crew")
    await world.up()
    await world.load(2)
    await world.settled()
    await asyncio.to_thread(world.processes["crew"].end)
    task_id = await world.call("api", "work")
    assert task_id is not None
    await until(lambda: f"second {world.accepted[task_id]} ended" in world.runs.read_text(), 30, "its last hop")

    async def last_hop_is_stored() -> bool:
        query = "SELECT count(*) = 2 FROM task_hops WHERE task_id = $1 AND state = 'completed'"
        return bool(await world.query_value(query, task_id))

    await until(last_hop_is_stored, 30, "the end of its last hop")
    assert (await world.task(task_id))["status"] == "running"
    world.processes["crew"].start()
    await world.audit()


async def test_each_program_is_replaced_under_load_and_back(world: MixedWorld) -> None:
    """The schema first, then one program after another; a rollback leaves the schema."""
    world.of_previous.update(EVERYTHING)
    world.migrate_by_previous()
    await world.up(migrated=True)

    async def fault() -> None:
        world.migrate()
        for name in EVERYTHING:
            await world.replace(name)
        assert not world.of_previous
        for name in reversed(EVERYTHING):
            await world.replace(name)

    await world.load_during(fault, after=8)
    await world.audit()
