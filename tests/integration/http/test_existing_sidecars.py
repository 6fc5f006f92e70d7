"""What existing sidecars and their crew send, in the forms in which they really send it (docs/protocols/mesh.md)."""

from typing import Any

import pytest

from asya_crds import jsontext
from tests.support.existing import ExistingActors, Handler, Message
from tests.support.gateway import Gateway

QUESTION = {"prompt": "Go on?", "fields": [{"name": "ok", "type": "boolean"}]}


def actors(gateway: Gateway, question: Any = QUESTION, **handlers: Handler) -> ExistingActors:
    return ExistingActors(gateway.post, dict(handlers), question=question)


async def submitted(gateway: Gateway, route: list[str], payload: Any = None) -> Message:
    """The envelope of a fresh call of this route."""
    task_id = await gateway.submit(arguments=payload)
    envelope: Message = jsontext.loads(gateway.running.handed[-1].body)
    return envelope | {"id": task_id, "route": {"prev": [], "curr": route[0], "next": route[1:]}}


async def answered(gateway: Gateway, task_id: str, answer: Any) -> Message:
    """The envelope that brings an answer to x-resume."""
    status, said = await gateway.post(f"/tasks/{task_id}/resume", {"answer": answer})
    assert status == 200, said
    envelope: Message = jsontext.loads(gateway.running.handed[-1].body)
    assert envelope["route"] == {"prev": [], "curr": "x-resume", "next": []}
    return envelope


def same(message: Message) -> Any:
    return message["payload"]


async def test_a_task_of_existing_actors_pauses_again_and_again_and_moves_after_each_answer(gateway: Gateway) -> None:
    existing = actors(gateway, a=same, b=same)
    envelope = await submitted(gateway, ["a", "x-pause", "x-pause", "x-pause", "b"], {"n": 1})
    await existing.run(envelope)
    task_id, pauses, progress, reported = envelope["id"], [], [], [envelope["id"]]
    for number in (1, 2, 3):
        _, task = await gateway.get(f"/tasks/{task_id}")
        assert (task["status"], task["pause"]["prompt"]) == ("paused", "Go on?")
        pauses.append(task["pause"]["id"])
        progress.append(task["progress_percent"])
        resume = await answered(gateway, task_id, {"ok": True})
        assert resume["id"] == (f"resume-{task_id}" if number == 1 else f"resume.{number}-{task_id}")
        assert resume["headers"]["x-asya-resume-task"] == reported[-1]
        assert "x-asya-pause" not in resume["headers"]
        reported.append(resume["id"])
        await existing.run(resume)
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["status"], task["result"]) == ("succeeded", {"n": 1, "ok": True})
    assert task["route"] == {"prev": ["x-resume", "b"], "curr": "", "next": []}
    assert pauses == ["hop-2", "hop-1.2", "hop-2.2"]
    assert progress == sorted(set(progress))
    assert progress[-1] < 100
    assert {status for _, _, status in existing.reports} == {200}


async def test_a_redelivered_pause_that_was_answered_changes_nothing(gateway: Gateway) -> None:
    existing = actors(gateway, a=same, b=same, c=same)
    envelope = await submitted(gateway, ["a", "x-pause", "b"])
    await existing.run(envelope)
    resume = await answered(gateway, envelope["id"], {"ok": True})
    await gateway.post(f"/mesh/{resume['id']}/progress", {"prev": ["x-resume"], "curr": "b", "status": "processing"})
    _, before = await gateway.get(f"/tasks/{envelope['id']}")
    for path, body, _ in existing.reports:
        assert (await gateway.post(path, body))[0] == 200
    _, after = await gateway.get(f"/tasks/{envelope['id']}")
    for key in ("status", "pause", "route", "progress_percent", "current_actor_name"):
        assert after[key] == before[key], key


async def test_a_report_under_the_tasks_own_id_counts_by_its_hop_after_an_answer_that_our_crew_carries(
    gateway: Gateway,
) -> None:
    envelope = await submitted(gateway, ["a", "x-pause", "b", "c"])
    path = f"/mesh/{envelope['id']}/progress"
    pause = {
        "prev": ["a"], "curr": "x-pause", "next": ["b", "c"], "status": "paused",
        "pause_metadata": QUESTION, "pause_id": "p", "checkpoint": envelope,
    }  # fmt: skip
    await gateway.post(path, pause)
    await answered(gateway, envelope["id"], {"ok": True})
    for prev, curr, left in ((["a", "x-pause"], "b", ["c"]), (["a"], "x-pause", ["b", "c"])):
        await gateway.post(path, {"prev": prev, "curr": curr, "next": left, "status": "processing"})
        _, task = await gateway.get(f"/tasks/{envelope['id']}")
        assert (task["route"]["curr"], task["progress_percent"]) == ("b", 62.5)


async def overdue_task(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task whose deadline has passed, which no sweeper notices."""
    monkeypatch.setattr(gateway.running.storage.sweeper, "_overdue", none_found)
    task_id = await gateway.submit()
    await gateway.running.storage.database.execute("UPDATE tasks SET deadline_at = now() WHERE id = $1", task_id)
    return task_id


async def none_found() -> list[Any]:
    return []


@pytest.mark.parametrize("error_class", [None, "runtime"])
async def test_a_failure_that_comes_after_the_deadline_is_the_deadlines(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error_class: str | None
) -> None:
    task_id = await overdue_task(gateway, monkeypatch)
    final = {"id": task_id, "status": "failed", "error": "Runtime timeout exceeded", "class": error_class}
    assert (await gateway.post(f"/mesh/{task_id}/final", final))[0] == 200
    _, task = await gateway.get(f"/tasks/{task_id}")
    error = task["error"]
    assert (error["class"], error["code"], error["message"]) == (
        "deadline",
        "deadline_exceeded",
        "Runtime timeout exceeded",
    )


async def test_a_result_that_comes_before_the_deadline_was_noticed_still_counts(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await overdue_task(gateway, monkeypatch)
    await gateway.finish(task_id, 1)
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["result"] == 1
