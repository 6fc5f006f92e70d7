"""A real worker asks several inputs; they are answered and declined over REST and by Tasks.answer."""

from typing import Any

import pytest

from asya_crds.answers import AnswerAction
from asya_gateway.domain.errors import Conflict, InvalidInput
from asya_gateway.domain.identity.principals import OPEN
from tests.support.actors import Mesh
from tests.support.handlers import CALLS
from tests.support.inputs import LISTED
from tests.support.lives import EITHER

ADA = {"name": "Ada"}
ACCEPTED = {"action": "accept", "content": ADA}


async def asked(mesh: Mesh, route: list[str], **question: Any) -> str:
    await mesh.run(mesh.worker("asks", "asks_inputs"), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(route, {"n": 1, "question": question})
    waiting = await mesh.status_is(task_id, "paused")
    assert list(waiting["pause"]["inputs"]) == ["name", "folders"]
    return task_id


async def say(mesh: Mesh, task_id: str, **body: Any) -> dict[str, Any]:
    status, task = await mesh.post(f"/tasks/{task_id}/resume", body)
    assert status == 200, task
    answered: dict[str, Any] = task
    return answered


@pytest.mark.parametrize("route", [["asks", "echo"], ["asks", "x-pause", "echo"]], ids=["own", "x-pause"])
@EITHER
async def test_two_inputs_answered_by_two_surfaces_reach_the_next_actor_by_key(mesh: Mesh, route: list[str]) -> None:
    task_id = await asked(mesh, route)
    task = await say(mesh, task_id, key="folders", answer=LISTED)
    assert (task["status"], list(task["pause"]["inputs"])) == ("paused", ["name"])
    assert CALLS == []
    with pytest.raises(Conflict):
        await mesh.gateway.tasks.answer(task_id, OPEN, LISTED, input_key="folders", surface="mcp")
    head = await mesh.gateway.tasks.answer(task_id, OPEN, ADA, input_key="name", surface="mcp")
    assert not head.status.waiting
    ended = await mesh.ended(task_id)
    assert (ended["status"], ended["result"]) == ("succeeded", {"n": 1, "name": ACCEPTED, "folders": LISTED})
    kinds = [kind for kind, _ in await mesh.updates(task_id) if kind != "progress"]
    assert kinds == ["created", "paused", "answered", "resumed", "final"]


async def test_a_declined_input_stays_open_for_other_surfaces(mesh: Mesh) -> None:
    task_id = await asked(mesh, ["asks", "echo"])
    tasks = mesh.gateway.tasks
    for _ in range(2):
        await tasks.answer(task_id, OPEN, None, input_key="name", action=AnswerAction.DECLINE, surface="mcp")
    task = await tasks.get(task_id, OPEN)
    assert task.pause is not None
    assert [each.key for each in task.pause.open_on("mcp")] == ["folders"]
    assert [each.key for each in task.pause.open_on("rest")] == ["name", "folders"]
    with pytest.raises(InvalidInput, match="name, folders"):
        await tasks.answer(task_id, OPEN, ADA)
    await say(mesh, task_id, key="name", answer=ADA)
    await say(mesh, task_id, answer=LISTED)
    assert (await mesh.ended(task_id))["result"] == {"n": 1, "name": ACCEPTED, "folders": LISTED}


async def test_a_declined_input_fails_the_task_if_the_handler_says_so(mesh: Mesh) -> None:
    task_id = await asked(mesh, ["asks", "echo"], on_decline="fail")
    await say(mesh, task_id, key="folders", answer=LISTED)
    assert (await say(mesh, task_id, key="name", action="decline"))["status"] == "failed"
    error = (await mesh.task(task_id))["error"]
    assert (error["class"], error["code"], error["message"]) == ("business", "declined", "The input name was declined")
    assert CALLS == []


async def test_a_declined_input_is_handed_to_the_actor_if_the_handler_says_so(mesh: Mesh) -> None:
    task_id = await asked(mesh, ["asks", "echo"], on_decline="continue")
    await say(mesh, task_id, key="folders", action="cancel")
    await say(mesh, task_id, action="decline")
    declined = {"n": 1, "name": {"action": "decline"}, "folders": {"action": "cancel"}}
    assert (await mesh.ended(task_id))["result"] == declined


async def test_a_handler_that_waits_for_an_authorization_names_where_it_is_given(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("asks", "asks_for_an_authorization"), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["asks", "echo"], {"n": 1})
    waiting = await mesh.status_is(task_id, "auth_required")
    assert waiting["pause"]["url"] == "https://login.example.com/start"
    consent = AnswerAction.CONSENT
    for _ in range(2):
        head = await mesh.gateway.tasks.answer(task_id, OPEN, None, action=consent, surface="mcp")
        assert head.status.waiting
    task = await mesh.gateway.tasks.get(task_id, OPEN)
    assert task.pause is not None
    assert task.pause.open_on("mcp") == ()
    await say(mesh, task_id, answer={"token": "stored"})
    assert (await mesh.ended(task_id))["result"] == {"n": 1, "token": "stored"}


async def test_a_handler_that_asks_under_a_key_again_fails_its_task(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("asks", "asks_inputs"))
    task_id = await mesh.submit(["asks", "asks"], {"n": 1})
    await mesh.status_is(task_id, "paused")
    await say(mesh, task_id, key="name", answer=ADA)
    await say(mesh, task_id, key="folders", answer=LISTED)
    error = (await mesh.ended(task_id))["error"]
    assert (error["class"], error["details"]["type"]) == ("runtime", "BadPause")
    assert "used was folders, name" in error["message"]
