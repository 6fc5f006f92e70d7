"""A task from its call to its end, with real queues and the real gateway."""

import pytest

from tests.support.actors import Mesh, declare
from tests.support.handlers import CALLS
from tests.support.lives import EITHER
from tests.support.waiting import until

pytestmark = EITHER


async def test_a_task_goes_through_its_actors_and_ends_with_the_last_ones_payload(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("upper", "upper"), mesh.worker("exclaim", "exclaim"))
    task_id = await mesh.submit(["upper", "exclaim"], {"text": "hi", "big": 2**70})
    task = await mesh.ended(task_id)
    assert (task["status"], task["result"]) == ("succeeded", {"text": "HI!", "big": 2**70})
    assert [name for name, _ in CALLS] == ["upper", "exclaim"]


async def test_every_hop_reports_received_processing_and_completed_with_the_unshifted_route(mesh: Mesh) -> None:
    """Without a crew: its report of the end may overtake the last hop's single report that it is completed."""
    await declare(mesh, "x-sink")
    await mesh.run(mesh.worker("upper", "upper"), mesh.worker("exclaim", "exclaim"), crew=False)
    task_id = await mesh.submit(["upper", "exclaim"], {"text": "hi"})

    async def both_completed() -> bool:
        query = "SELECT count(*) = 2 FROM task_hops WHERE state = 'completed'"
        return bool(await mesh.gateway.database.fetchval(query))

    await until(both_completed, 20, "both hops")
    said = [
        (detail["curr"], detail["task_state"]) for kind, detail in await mesh.updates(task_id) if kind == "progress"
    ]
    assert said == [
        (actor, state) for actor in ("upper", "exclaim") for state in ("received", "processing", "completed")
    ]


@pytest.mark.parametrize("handler", ["Counter.add", "Counter.add_async"])
async def test_a_method_keeps_its_instance_between_messages(mesh: Mesh, handler: str) -> None:
    await mesh.run(mesh.worker("count", f"tests.support.handlers.{handler}"))
    results = [(await mesh.ended(await mesh.submit(["count"], {})))["result"] for _ in range(2)]
    assert results == [{"count": 11}, {"count": 12}]


@pytest.mark.parametrize("handler", ["nothing", "no_frames"])
async def test_none_and_no_frames_end_the_route_early_with_the_payload_that_came_in(mesh: Mesh, handler: str) -> None:
    """`None` -> x-sink succeeded with the original payload; a generator without a yield likewise."""
    await mesh.run(mesh.worker("stop", handler), mesh.worker("echo", "echo"))
    task = await mesh.ended(await mesh.submit(["stop", "echo"], {"as": "it came"}))
    assert (task["status"], task["result"]) == ("succeeded", {"as": "it came"})
    assert [name for name, _ in CALLS] == [handler]


async def test_a_returned_list_is_one_payload(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("lists", "a_list"))
    task_id = await mesh.submit(["lists"], 1)
    assert (await mesh.ended(task_id))["result"] == [1, 1]
    assert await mesh.children(task_id) == []


async def test_an_empty_next_ends_the_route_early(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("early", "ends_early"), mesh.worker("echo", "echo"))
    task = await mesh.ended(await mesh.submit(["early", "echo"], {}))
    assert task["result"] == {"ended": True}
    assert CALLS == []


async def test_a_handler_inserts_an_actor_before_the_rest(mesh: Mesh) -> None:
    await mesh.run(
        mesh.worker("insert", "inserts_an_actor"), mesh.worker("exclaim", "exclaim"), mesh.worker("upper", "upper")
    )
    task = await mesh.ended(await mesh.submit(["insert", "upper"], {"text": "hi"}))
    assert task["result"] == {"text": "HI!"}
    assert [name for name, _ in CALLS] == ["exclaim", "upper"]


async def test_a_generator_reads_and_changes_its_message(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("look", "looks_around"), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["look", "echo"], {})
    found = (await mesh.ended(task_id))["result"]
    assert "read-only" in found.pop("refused")
    assert found == {
        "id": task_id,
        "next": ["echo"],
        "last": "echo",
        "prev": [],
        "curr": "look",
        "seen": {"deep": [2]},
    }
