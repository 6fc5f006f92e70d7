"""Answers to inputs in the database: whose they are, and pods of the version before."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from asya_crds import jsontext
from asya_crds.answers import AnswerAction, InputMethod, OnDecline
from asya_crds.status import TaskStatus
from asya_gateway.domain.answers import Kept, RequestKey
from asya_gateway.domain.errors import InvalidInput, KeyReused
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.reports import PauseReport
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, failed

BEFORE = "DELETE FROM task_inputs"
"""What a pod of the version before has not written."""


async def paused(
    running: Running, *keys: str, pause_id: str = "p1", task_id: str | None = None, owner: str = ""
) -> str:
    """A task that waits for these inputs, or for one form."""
    if task_id is None:
        task_id = await running.create(owner=owner)
    inputs = tuple(Input(key, InputMethod.ROOTS, {}) for key in keys)
    pause = Pause(pause_id, "?", {"type": "object"}, [], inputs=inputs)
    await running.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 10.0, "{}"))
    return task_id


async def open_keys(running: Running, task_id: str, surface: str = "rest") -> list[str]:
    pause = (await running.tasks.get(task_id, owner=EVERY_OWNER)).pause
    return [each.key for each in pause.open_on(surface)]


def to(task_id: str, key: str, number: int = 1, **changes: Any) -> Any:
    return answer_to(task_id, number, input_key=key, **changes)


def decline(task_id: str, key: str, number: int = 1, **changes: Any) -> Any:
    return to(task_id, key, number, value=None, **({"action": AnswerAction.DECLINE} | changes))


async def test_a_question_is_stored_as_it_is_asked(running: Running) -> None:
    inputs = (
        Input("name", InputMethod.ELICITATION, {"message": "?", "requestedSchema": {}}, payload_key="/a/b"),
        Input("roots", InputMethod.ROOTS, {}),
    )
    pause = Pause("p1", "?", {}, [], {"n": 2**70}, inputs, "https://example.com", OnDecline.FAIL)
    task_id = await running.create()
    await running.tasks.pause(PauseReport(task_id, pause, TaskStatus.AUTH_REQUIRED, ROUTE, 10.0))
    found = (await running.tasks.get(task_id, owner=EVERY_OWNER)).pause
    assert replace(found, schema={}) == pause
    point = await running.tasks.pause_point(task_id, owner=EVERY_OWNER)
    assert (point.task.pause, point.values) == (found, {})


async def test_what_the_actor_gets_is_kept_as_text_until_the_last_answer(running: Running) -> None:
    task_id = await paused(running, "a", "b", "c")
    text = f'{{"n":{2**70},"s":"\\ud83d","z":"\\u0000"}}'
    assert await running.tasks.keep_answer(to(task_id, "b", value=text)) is Kept.KEPT
    assert await running.tasks.keep_answer(to(task_id, "a", 2, value="[1]")) is Kept.KEPT
    point = await running.tasks.pause_point(task_id, owner=EVERY_OWNER)
    assert point.values == {"a": "[1]", "b": text}
    assert [(each.key, each.answered) for each in point.task.pause.inputs] == [("a", True), ("b", True), ("c", False)]


async def test_only_the_owner_answers(running: Running) -> None:
    task_id = await paused(running, "a", "b", owner="alice")
    for owner in (OwnedBy(""), OwnedBy("bob")):
        assert await running.tasks.keep_answer(to(task_id, "a", owner=owner)) is Kept.TOO_LATE
        assert not await running.tasks.set_aside(decline(task_id, "a", owner=owner))
        assert not await running.tasks.fail_declined(decline(task_id, "a", owner=owner), failed(task_id))
        assert not await running.tasks.answer(to(task_id, "a", owner=owner), ONWARD)
    assert await running.kinds(task_id) == ["created", "paused"]
    assert await open_keys(running, task_id) == ["a", "b"]
    assert await running.tasks.keep_answer(to(task_id, "a", owner=OwnedBy("alice"))) is Kept.KEPT


async def test_of_the_two_last_answers_at_the_same_time_one_is_told_that_it_is_the_last(running: Running) -> None:
    task_id = await paused(running, "a", "b")
    kept = await asyncio.gather(*(running.tasks.keep_answer(to(task_id, key, ord(key))) for key in "ab"))
    assert sorted(kept) == [Kept.KEPT, Kept.LAST]


async def test_each_surface_that_declines_is_recorded_once(running: Running) -> None:
    task_id = await paused(running, "a", "b")
    for surface in ("mcp", "mcp", "a2a", "mcp"):
        assert await running.tasks.set_aside(decline(task_id, "a", surface=surface))
    assert await running.kinds(task_id) == ["created", "paused", "answered", "answered"]
    assert await open_keys(running, task_id, "mcp") == await open_keys(running, task_id, "a2a") == ["b"]
    assert await open_keys(running, task_id, "rest") == ["a", "b"]
    await running.tasks.keep_answer(to(task_id, "a"))
    assert not await running.tasks.set_aside(decline(task_id, "a", surface="rest"))


async def test_the_key_of_a_request_is_one_of_its_input(running: Running) -> None:
    task_id = await paused(running, "a", "b", "c")
    key = RequestKey("answer:a", "k", b"same")
    assert await running.tasks.keep_answer(to(task_id, "a", request=key)) is Kept.KEPT
    aside = RequestKey("answer:b", "k", b"same")
    assert await running.tasks.set_aside(decline(task_id, "b", request=aside))
    for known in (key, aside):
        assert await running.tasks.find_request(task_id, OwnedBy(""), known)
        with pytest.raises(KeyReused):
            await running.tasks.find_request(task_id, OwnedBy(""), replace(known, digest=b"other"))
    assert not await running.tasks.find_request(task_id, OwnedBy(""), RequestKey("answer:c", "k", b"same"))
    assert not await running.tasks.find_request(task_id, OwnedBy("bob"), key)


async def test_a_later_pause_may_not_use_a_key_again_and_changes_nothing(running: Running) -> None:
    task_id = await paused(running, "a")
    await running.tasks.answer(to(task_id, "a"), ONWARD)
    for keys, pause_id in ((("b", "a"), "p2"), (("p1",), "p2"), ((), "a")):
        with pytest.raises(InvalidInput, match="has not used before"):
            await paused(running, *keys, pause_id=pause_id, task_id=task_id)
    assert await running.kinds(task_id) == ["created", "paused", "resumed"]
    await paused(running, "b", pause_id="p3", task_id=task_id)
    assert await open_keys(running, task_id) == ["b"]


async def test_an_ended_task_and_one_that_waits_already_ask_nothing_more(running: Running) -> None:
    task_id = await paused(running, "a")
    await paused(running, "a", pause_id="p2", task_id=task_id)
    assert await open_keys(running, task_id) == ["a"]
    await running.tasks.finish(failed(task_id))
    await paused(running, "a", pause_id="p2", task_id=task_id)
    assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).pause is None


@pytest.mark.parametrize("said", ["answer", "decline", "fail"])
async def test_a_question_that_a_pod_of_the_version_before_has_stored_is_answered_here(
    running: Running, said: str
) -> None:
    task_id = await paused(running)
    await running.storage.database.execute(BEFORE)
    assert await open_keys(running, task_id) == ["p1"]
    if said == "decline":
        assert await running.tasks.set_aside(decline(task_id, "p1", surface="mcp"))
        assert await open_keys(running, task_id, "mcp") == []
    elif said == "fail":
        assert await running.tasks.fail_declined(decline(task_id, "p1"), failed(task_id))
        return
    assert await running.tasks.answer(to(task_id, "p1", 2), ONWARD)
    with pytest.raises(InvalidInput, match="used was p1"):
        await paused(running, "p1", pause_id="p2", task_id=task_id)


async def test_keys_of_pauses_that_a_pod_of_the_version_before_has_stored_are_used_too(running: Running) -> None:
    task_id = await paused(running)
    await running.tasks.answer(answer_to(task_id), ONWARD)
    await running.storage.database.execute(BEFORE)
    with pytest.raises(InvalidInput, match="used was p1"):
        await paused(running, "p1", pause_id="p2", task_id=task_id)


async def test_a_pod_of_the_version_before_reads_the_question_and_answers_all_of_it(running: Running) -> None:
    """It sees a form for the answers by key, and knows nothing of single ones."""
    task_id = await paused(running, "a", "b")
    stored = jsontext.loads(await running.storage.database.fetchval("SELECT question::text FROM task_pauses"))
    assert stored["schema"] == {
        "type": "object",
        "properties": {"a": {"type": "object"}, "b": {"type": "object"}},
        "required": ["a", "b"],
    }
    await running.storage.database.execute(
        "UPDATE task_pauses SET answer = '{}', answered_at = now() WHERE task_id = $1", task_id
    )
    await running.storage.database.execute(
        "UPDATE tasks SET status = 'running', pause_id = NULL WHERE id = $1", task_id
    )
    assert await running.tasks.keep_answer(to(task_id, "a")) is Kept.TOO_LATE
    assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).pause is None
