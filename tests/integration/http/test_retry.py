"""POST /tasks/{id}/retry: a task that has ended, run again as a new one."""

from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.http.keys import FLOWS
from tests.support.gateway import FLOWS as SERVED
from tests.support.gateway import Gateway, make_flows

ARGUMENTS = {"text": "hi", "n": 123456789012345678901234567890}


async def ended(gateway: Gateway) -> str:
    task_id = await gateway.submit("shout", ARGUMENTS)
    await gateway.finish(task_id)
    return task_id


async def test_an_ended_task_runs_again_as_a_new_one_that_names_it(gateway: Gateway) -> None:
    old = await ended(gateway)
    url = f"{gateway.url}/tasks/{old}/retry"
    async with gateway.session.post(url) as response:
        task = jsontext.loads(await response.read())
        assert (response.status, response.headers["Location"]) == (201, f"/tasks/{task['id']}")
    assert task["id"] != old
    assert (task["retry_of"], task["status"], task["flow"], task["payload"]) == (old, "pending", "shout", ARGUMENTS)
    assert (await gateway.get(f"/tasks/{old}"))[1]["retry_of"] is None
    envelope = jsontext.loads(gateway.running.handed[-1].body)
    assert (envelope["id"], envelope["payload"]) == (task["id"], ARGUMENTS)


async def test_the_payload_may_be_another_and_is_held_against_the_schema(gateway: Gateway) -> None:
    old = await ended(gateway)
    status, task = await gateway.post(f"/tasks/{old}/retry", {"payload": {"text": "ho"}})
    assert (status, task["payload"]) == (201, {"text": "ho"})
    wrongs: list[Any] = [{}, 7, [1]]
    for wrong in wrongs:
        status, answer = await gateway.post(f"/tasks/{old}/retry", {"payload": wrong})
        assert (status, answer["error"]["code"]) == (400, "invalid_arguments")


async def test_a_task_that_has_not_ended_or_is_a_child_is_409(gateway: Gateway) -> None:
    parent = await gateway.submit()
    status, answer = await gateway.post(f"/tasks/{parent}/retry", {})
    assert (status, answer["error"]["field"]) == (409, "status")
    child = {"id": "child", "parent_id": parent, "prev": [], "curr": "first", "next": []}
    assert (await gateway.post("/mesh", child))[0] == 201
    await gateway.finish("child")
    status, answer = await gateway.post("/tasks/child/retry", {})
    assert (status, answer["error"]["field"]) == (409, "parent_id")


async def test_a_repeated_retry_is_one_task_and_its_key_no_calls(gateway: Gateway) -> None:
    old, key = await ended(gateway), {"Idempotency-Key": "k"}
    first = await gateway.post(f"/tasks/{old}/retry", headers=key)
    again = await gateway.post(f"/tasks/{old}/retry", {"payload": ARGUMENTS}, headers=key)
    assert first[0] == again[0] == 201
    assert first[1]["id"] == again[1]["id"]
    assert await gateway.stored() == 2
    assert (await gateway.post(f"/tasks/{old}/retry", {"payload": {"text": "ho"}}, headers=key))[0] == 422
    assert (await gateway.post("/tools/call", {"name": "shout", "arguments": ARGUMENTS}, headers=key))[0] == 422


@pytest.mark.parametrize(
    ("body", "field"), [({"paylod": {}}, "paylod"), ({"payload": {}, "name": "x"}, "name")], ids=["typo", "more"]
)
async def test_an_unknown_member_is_400(gateway: Gateway, body: Any, field: str) -> None:
    status, answer = await gateway.post(f"/tasks/{await ended(gateway)}/retry", body)
    assert (status, answer["error"]["field"]) == (400, field)


async def test_a_task_of_a_removed_flow_or_an_unknown_task_is_404(gateway: Gateway) -> None:
    old = await ended(gateway)
    gateway.app[FLOWS].swap(make_flows(SERVED[1:]).table)
    assert (await gateway.post(f"/tasks/{old}/retry", {}))[1]["error"]["code"] == "flow_not_found"
    assert (await gateway.post("/tasks/unknown/retry", {}))[1]["error"]["code"] == "task_not_found"


async def test_what_retention_removes_leaves_nothing_behind(gateway: Gateway) -> None:
    _, task = await gateway.post(f"/tasks/{await ended(gateway)}/retry")
    await gateway.finish(task["id"])
    database = gateway.running.storage.database
    await database.execute("UPDATE tasks SET finished_at = now() - interval '1 year'")
    await gateway.running.storage.retention.retire()
    assert await database.fetchval("SELECT count(*) FROM task_retries") == 0
