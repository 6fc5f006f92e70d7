"""The success of a task is written with the end of its last hop where the crew would only report it."""

from asya_actor.telemetry.metrics import MESSAGES
from tests.support.actors import Mesh, declare
from tests.support.handlers import CALLS
from tests.support.lives import BATCHED, EITHER
from tests.support.waiting import until


def reported() -> float:
    """How many successes the crew has reported."""
    count: float = MESSAGES.labels("x-sink", "succeeded")._value.get()
    return count


async def entries(mesh: Mesh, task_id: str) -> list[object]:
    """Kinds and details of the log, without durations."""
    return [
        (kind, {key: value for key, value in detail.items() if key not in ("duration_ms", "message")} | {"at": place})
        for place, (kind, detail) in enumerate(await mesh.updates(task_id))
    ]


@BATCHED
async def test_beside_a_crew_without_hooks_no_message_goes_to_x_sink(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("upper", "upper"), mesh.worker("exclaim", "exclaim"))
    before = reported()
    task_id = await mesh.submit(["upper", "exclaim"], {"text": "a"})
    task = await mesh.ended(task_id)
    assert (task["status"], task["result"], task["progress_percent"]) == ("succeeded", {"text": "A!"}, 100)
    assert reported() == before
    updates = await mesh.updates(task_id)
    assert [kind for kind, _ in updates] == ["created", *["progress"] * 6, "final"]


async def test_the_first_hop_of_a_worker_ends_in_the_same_way_and_its_log_is_whole(mesh: Mesh) -> None:
    """It began by single requests, whose answer brought the offer."""
    await mesh.run(mesh.worker("split", "split"), mesh.worker("echo", "echo"))
    before = reported()
    task_id = await mesh.submit(["split", "echo"], {"parts": 3})
    await mesh.ended(task_id)
    children = await mesh.children(task_id)
    assert len(children) == 2
    for child in children:
        await mesh.ended(child)
    assert reported() == before
    for each, entries in ((task_id, 6), *((child, 3) for child in children)):
        assert [kind for kind, _ in await mesh.updates(each)] == ["created", *["progress"] * entries, "final"]


@BATCHED
async def test_the_log_is_that_of_a_success_which_the_crew_reports(mesh: Mesh) -> None:
    """The crew with hooks gets the second task's message."""
    await mesh.run(mesh.worker("upper", "upper"))
    written = await mesh.submit(["upper"], {"text": "a"})
    await mesh.ended(written)
    await mesh.run(mesh.worker("archive", "echo"), crew=mesh.crew(sink_hooks="archive"))
    told = await mesh.submit(["upper"], {"text": "a"})
    await mesh.ended(told)
    assert await entries(mesh, written) == await entries(mesh, told)


@BATCHED
async def test_hooks_that_are_switched_on_while_workers_run_get_every_end_from_then_on(mesh: Mesh) -> None:
    await mesh.run()
    await mesh.run(mesh.worker("upper", "upper"), crew=False)
    await mesh.ended(await mesh.submit(["upper"], {"text": "before"}))
    await mesh.run(mesh.worker("archive", "echo"), crew=mesh.crew(sink_hooks="archive"))
    await mesh.stop_first()  # the crew without hooks, as a rollout replaces it
    for number in range(5):
        await mesh.ended(await mesh.submit(["upper"], {"text": str(number)}))
    await until(lambda: [name for name, _ in CALLS].count("echo") == 5, 20, "every end at the hook")
    assert sorted(payload["text"] for name, payload in CALLS if name == "echo") == list("01234")


@EITHER
async def test_without_a_crew_that_was_heard_of_the_message_waits_for_one(mesh: Mesh) -> None:
    """Also for one of another project, which says nothing."""
    await declare(mesh, "x-sink")
    await mesh.run(mesh.worker("upper", "upper"), crew=False)
    task_id = await mesh.submit(["upper"], {"text": "a"})

    async def waits() -> bool:
        return await mesh.transport.depth("x-sink") == 1

    await until(waits, 20, "the message to x-sink")
    assert (await mesh.task(task_id))["status"] == "running"
    await mesh.run()
    assert (await mesh.ended(task_id))["result"] == {"text": "A"}


@BATCHED
async def test_a_crew_that_has_left_is_not_bypassed(mesh: Mesh) -> None:
    await mesh.run()
    await mesh.stop()
    assert await mesh.gateway.database.fetchval("SELECT count(*) FROM crews") == 0
    await mesh.run(mesh.worker("upper", "upper"), crew=False)
    await mesh.submit(["upper"], {"text": "a"})

    async def waits() -> bool:
        return await mesh.transport.depth("x-sink") == 1

    await until(waits, 20, "the message to x-sink")
