"""Generators that yield several payloads: children, their ids, their ends."""

import pytest

from asya_actor.forwarding import child_id
from tests.support.actors import Mesh
from tests.support.handlers import CALLS
from tests.support.lives import EITHER

pytestmark = EITHER


@pytest.mark.parametrize("handler", ["split", "split_async"])
async def test_every_yield_is_a_frame_and_the_first_keeps_the_id(mesh: Mesh, handler: str) -> None:
    """Several yields are a fan-out: the first keeps the id, the others get new ids and `parent_id`."""
    await mesh.run(mesh.worker("split", handler), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["split", "echo"], {"parts": 3})
    assert (await mesh.ended(task_id))["result"] == {"part": 0}
    children = await mesh.children(task_id)
    assert children == sorted(child_id(task_id, 0, index) for index in (1, 2))
    results = [(await mesh.ended(child))["result"] for child in children]
    assert sorted(result["part"] for result in results) == [1, 2]


async def test_children_of_children_belong_to_the_original_task(mesh: Mesh) -> None:
    """`parent_id` is the original task."""
    await mesh.run(mesh.worker("one", "split"), mesh.worker("two", "split_again"))
    task_id = await mesh.submit(["one", "two"], {"parts": 2})
    await mesh.ended(task_id)
    first = child_id(task_id, 0, 1)
    expected = {first, child_id(task_id, 1, 1), child_id(first, 1, 1)}
    for child in expected:
        await mesh.ended(child)
    assert set(await mesh.children(task_id)) == expected


async def test_a_hop_that_is_delivered_twice_fans_out_to_the_same_children_and_runs_once(mesh: Mesh) -> None:
    running = await mesh.run(mesh.worker("split", "split"), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["split", "echo"], {"parts": 3})
    await mesh.ended(task_id)
    children = await mesh.children(task_id)
    for child in children:
        await mesh.ended(child)
    assert [name for name, _ in CALLS] == ["split", "echo", "echo", "echo"]
    assert not running.done()


async def test_a_child_that_fails_leaves_its_parent_alone(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("split", "split"), mesh.worker("odd", "fails_on_odd"))
    task_id = await mesh.submit(["split", "odd"], {"parts": 2})
    assert (await mesh.ended(task_id))["status"] == "succeeded"
    (child,) = await mesh.children(task_id)
    task = await mesh.ended(child)
    assert (task["status"], task["error"]["class"]) == ("failed", "business")
