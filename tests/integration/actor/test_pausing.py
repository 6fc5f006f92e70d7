"""A task that asks a question, and continues with the answer."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from asya_crds.envelope import Route
from tests.support.actors import Mesh, envelope_of
from tests.support.handlers import CALLS, GATE
from tests.support.lives import EITHER
from tests.support.waiting import until

QUESTION = {"prompt": "Go on?", "fields": [{"name": "approved", "type": "boolean", "payload_key": "/order/approved"}]}


async def answer(mesh: Mesh, task_id: str, body: Any) -> None:
    status, answered = await mesh.post(f"/tasks/{task_id}/resume", {"answer": body})
    assert status == 200, answered


async def test_x_pause_asks_and_the_task_continues_with_the_answer_under_its_own_id(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("upper", "upper"), mesh.worker("echo", "echo"), crew=mesh.crew(pause_metadata=QUESTION))
    task_id = await mesh.submit(["upper", "x-pause", "echo"], {"text": "a", "order": {"id": 7}})
    waiting = await mesh.status_is(task_id, "paused")
    assert waiting["pause"]["prompt"] == "Go on?"
    assert [name for name, _ in CALLS] == ["upper"]
    await answer(mesh, task_id, {"approved": True})
    task = await mesh.ended(task_id)
    assert (task["status"], task["result"]) == ("succeeded", {"text": "A", "order": {"id": 7, "approved": True}})
    kinds = [kind for kind, _ in await mesh.updates(task_id) if kind != "progress"]
    assert kinds == ["created", "paused", "resumed", "final"]


@pytest.mark.parametrize(("mode", "kept"), [("deep", {"id": 7, "ok": True}), ("shallow", {"ok": True})])
async def test_an_answer_without_named_fields_joins_the_payload_as_deep_as_the_setting_says(
    mesh: Mesh, mode: str, kept: dict[str, Any]
) -> None:
    await mesh.run(mesh.worker("echo", "echo"), crew=mesh.crew(resume_merge_mode=mode))
    task_id = await mesh.submit(["echo", "x-pause"], {"order": {"id": 7}})
    await mesh.status_is(task_id, "paused")
    await answer(mesh, task_id, {"order": {"ok": True}})
    assert (await mesh.ended(task_id))["result"] == {"order": kept}


async def test_a_route_that_names_x_resume_continues_after_it(mesh: Mesh) -> None:
    """x-pause puts `x-resume` first in route.next; written back unfiltered it routes to itself."""
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["unserved"], {})
    await mesh.publish(envelope_of(task_id, ["x-pause", "x-resume", "echo"], {"a": 1}))
    await mesh.status_is(task_id, "paused")
    await answer(mesh, task_id, {"b": 2})
    assert (await mesh.ended(task_id))["result"] == {"a": 1, "b": 2}


async def test_x_pause_as_the_last_actor_ends_the_task_with_the_answer_merged(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["echo", "x-pause"], {"a": 1})
    await mesh.status_is(task_id, "paused")
    await answer(mesh, task_id, {"a": 2})
    assert (await mesh.ended(task_id))["result"] == {"a": 2}


@EITHER
async def test_any_actor_pauses_by_a_header_and_x_pause_asks_what_the_header_says(mesh: Mesh) -> None:
    """A sidecar sees `x-asya-pause` in any actor's frame."""
    await mesh.run(mesh.worker("asks", "asks"), mesh.worker("echo", "echo"))
    for route in (["asks", "echo"], ["asks", "x-pause", "echo"]):
        CALLS.clear()
        task_id = await mesh.submit(route, {"order": {}})
        waiting = await mesh.status_is(task_id, "paused")
        assert waiting["pause"]["prompt"] == "Approve?"
        await answer(mesh, task_id, {"approved": False, "else": "is not taken"})
        assert (await mesh.ended(task_id))["result"] == {"order": {"approved": False}}
        assert [name for name, _ in CALLS] == ["echo"]


@EITHER
async def test_a_task_pauses_twice(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["echo", "x-pause", "x-pause"], {})
    first = await mesh.status_is(task_id, "paused")
    await answer(mesh, task_id, {"one": 1})

    async def asked_again() -> Any:
        task = await mesh.task(task_id)
        return task["status"] == "paused" and task["pause"]["id"] != first["pause"]["id"]

    await until(asked_again)
    await answer(mesh, task_id, {"two": 2})
    assert (await mesh.ended(task_id))["result"] == {"one": 1, "two": 2}


@EITHER
async def test_a_redelivered_pause_that_was_answered_changes_nothing(mesh: Mesh) -> None:
    """A redelivered pause that was already answered changes nothing."""
    await mesh.run(mesh.worker("echo", "echo"), mesh.worker("gated", "gated_async"))
    task_id = await mesh.submit(["echo", "x-pause", "gated"], {})
    await mesh.status_is(task_id, "paused")
    await answer(mesh, task_id, {"a": 1})
    await until(lambda: len(CALLS) == 2)
    again = envelope_of(task_id, ["x-pause", "gated"], {})
    await mesh.publish(again.with_(route=Route(("echo",), "x-pause", ("gated",))))

    async def read() -> bool:
        return await mesh.transport.depth("x-pause") == 0

    await until(read)
    GATE.set()
    assert (await mesh.ended(task_id))["result"] == {"a": 1}
    assert [kind for kind, _ in await mesh.updates(task_id)].count("paused") == 1


@EITHER
async def test_a_redelivered_message_of_a_waiting_task_is_dropped_and_the_answer_still_continues_it(mesh: Mesh) -> None:
    """Its hop is not run and changes nothing; what the task asks stays open."""
    await mesh.run(mesh.worker("echo", "echo"), mesh.worker("upper", "upper"))
    task_id = await mesh.submit(["echo", "x-pause", "upper"], {"text": "a"})
    await mesh.status_is(task_id, "paused")
    before = await mesh.updates(task_id)
    again = envelope_of(task_id, ["echo", "x-pause", "upper"], {"text": "again"})
    await mesh.publish(again.with_(route=Route(("echo", "x-pause"), "upper", ())))
    await mesh.publish(again)

    async def answered() -> bool:
        query = "SELECT count(*) = 0 FROM queue_messages WHERE queue LIKE '%-echo' OR queue LIKE '%-upper'"
        return bool(await mesh.gateway.database.fetchval(query))

    await until(answered)
    assert [name for name, _ in CALLS] == ["echo"]
    assert await mesh.updates(task_id) == before
    await answer(mesh, task_id, {})
    assert (await mesh.ended(task_id))["result"] == {"text": "A"}


async def test_the_deadline_that_the_answer_brings_replaces_the_frozen_one(mesh: Mesh) -> None:
    """x-resume restamps `deadline_at` (frozen time added)."""
    await mesh.run(mesh.worker("before", "tells_its_deadline"), mesh.worker("after", "tells_its_deadline"))
    task_id = await mesh.submit(["before", "x-pause", "after"], {}, timeout="60s")
    await mesh.status_is(task_id, "paused")
    await answer(mesh, task_id, {})
    before, after = (await mesh.ended(task_id))["result"]["deadlines"]
    kept = await mesh.gateway.database.fetchval("SELECT deadline_at FROM tasks WHERE id = $1", task_id)
    assert abs(datetime.fromisoformat(after) - kept) < timedelta(seconds=0.1)
    assert datetime.fromisoformat(after) > datetime.fromisoformat(before)


async def test_an_answer_without_its_checkpoint_fails_the_task_with_what_to_do(mesh: Mesh) -> None:
    """For foreign crews that checkpoint in their own store it is absent."""
    await mesh.run()
    task_id = await mesh.submit(["unserved"], {})
    status, _ = await mesh.post(
        f"/mesh/{task_id}/progress",
        {"prev": ["a"], "curr": "x-resume", "next": [], "status": "completed", "pause_metadata": QUESTION},
    )
    assert status == 200
    await answer(mesh, task_id, {"approved": True})
    task = await mesh.ended(task_id)
    assert (task["error"]["class"], task["error"]["actor"]) == ("runtime", "x-resume")
    assert "no checkpoint" in task["error"]["message"]


@pytest.mark.parametrize("header", ["not json", [1], {"prompt": 5}])
@EITHER
async def test_a_header_that_asks_nothing_fails_the_task(mesh: Mesh, header: Any) -> None:
    await mesh.run()
    task_id = await mesh.submit(["unserved"], {})
    await mesh.publish(envelope_of(task_id, ["x-pause"], {}, headers={"x-asya-pause": header}))
    task = await mesh.ended(task_id)
    assert (task["error"]["class"], task["error"]["details"]["type"]) == ("runtime", "BadPause")


@pytest.mark.parametrize("carrier", ["our crew", "another crew"])
async def test_the_hops_of_a_route_that_begins_anew_are_claimed_anew(mesh: Mesh, carrier: str) -> None:
    """Another crew begins one with the answer: the place in it alone was claimed and done before."""
    ours = carrier == "our crew"
    await mesh.run(mesh.worker("echo", "echo"), mesh.worker("later", "echo"), crew=ours)
    task_id = await mesh.submit(["echo", "echo", "x-pause", "later"], {"n": 1})
    await until(lambda: len(CALLS) == 2)
    if not ours:
        pause = {"status": "completed", "pause_metadata": {"prompt": "?", "fields": []}}
        route = {"prev": ["echo", "echo", "x-pause"], "curr": "x-resume", "next": ["later"]}
        assert (await mesh.post(f"/mesh/{task_id}/progress", pause | route))[0] == 200
    await mesh.status_is(task_id, "paused")
    await answer(mesh, task_id, {"m": 2})
    if not ours:
        onward = envelope_of(f"resume-{task_id}", ["later"], {"n": 1, "m": 2})
        await mesh.publish(onward.with_(route=Route(("x-resume",), "later", ())))
    await until(lambda: len(CALLS) == 3)
    rows = await mesh.gateway.database.fetch("SELECT hop FROM task_hops WHERE task_id = $1", task_id)
    assert {row["hop"] for row in rows} == {"0", "1", "3" if ours else "1.1"}
