"""Idempotency-Key over REST: a repeated request does nothing twice."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.http.keys import FLOWS
from tests.support.gateway import FLOWS as SERVED
from tests.support.gateway import Gateway, make_flows, start_gateway
from tests.support.principals import Tokens, bearer, closed
from tests.support.standing import AT_REST

CALL = {"name": "shout", "arguments": {"text": "hi", "times": 2}}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
PAUSE = {
    "prev": ["first"],
    "curr": "x-pause",
    "next": [],
    "status": "paused",
    "pause_metadata": {"prompt": "Approve?", "fields": [{"name": "ok", "type": "boolean"}]},
}


def task_id_of(answer: Any) -> str:
    return str(jsontext.loads(answer["content"][0]["text"])["task_id"])


async def test_a_repeated_call_gets_the_same_task(gateway: Gateway) -> None:
    status, first = await gateway.post("/tools/call", CALL, headers=KEY)
    reordered = '{"arguments": {"times": 2, "text": "\\u0068i"}, "name": "shout"}'
    assert (status, await gateway.post("/tools/call", reordered, headers=KEY)) == (200, (200, first))
    assert await gateway.stored() == len(gateway.running.handed) == 1


async def test_a_repeated_call_may_wait_for_the_first_ones_result(gateway: Gateway) -> None:
    task_id = task_id_of((await gateway.post("/tools/call", CALL, headers=KEY))[1])
    await gateway.finish(task_id, "HI")
    status, task = await gateway.post("/tools/call", CALL, headers={**KEY, "Prefer": "wait=5"})
    assert (status, task["id"], task["result"]) == (200, task_id, "HI")


@pytest.mark.parametrize(
    "other", [{"name": "shout", "arguments": {"text": "ho", "times": 2}}, {"name": "anything"}], ids=["args", "flow"]
)
async def test_another_call_under_the_same_key_is_422(gateway: Gateway, other: Any) -> None:
    await gateway.post("/tools/call", CALL, headers=KEY)
    status, answer = await gateway.post("/tools/call", other, headers=KEY)
    assert (status, answer["error"]["code"]) == (422, "idempotency_key_reused")
    assert answer["error"]["field"] == "Idempotency-Key"
    assert await gateway.stored() == 1


async def test_a_repeated_call_is_answered_though_the_flow_would_refuse_it_now(gateway: Gateway) -> None:
    _, first = await gateway.post("/tools/call", CALL, headers=KEY)
    narrower = [{**SERVED[0], "mcp": {"inputSchema": {"type": "object", "required": ["more"]}}}]
    gateway.app[FLOWS].swap(make_flows(narrower).table)
    assert (await gateway.post("/tools/call", CALL, headers=KEY))[1] == first
    status, answer = await gateway.post("/tools/call", CALL, headers={"Idempotency-Key": "another"})
    assert (status, answer["error"]["code"]) == (400, "invalid_arguments")


async def test_a_repeated_call_is_answered_though_its_flow_is_not_served_now(gateway: Gateway) -> None:
    _, first = await gateway.post("/tools/call", CALL, headers=KEY)
    gateway.app[FLOWS].swap(make_flows([]).table)
    assert await gateway.post("/tools/call", CALL, headers=KEY) == (200, first)
    other = {**CALL, "arguments": {}}
    assert (await gateway.post("/tools/call", other, headers=KEY))[0] == 422
    assert (await gateway.post("/tools/call", CALL, headers={"Idempotency-Key": "another"}))[0] == 404
    assert (await gateway.post("/tools/call", CALL))[0] == 404


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "naïve"], ids=["empty", "blank", "long", "not-ascii"])
@pytest.mark.parametrize("path", ["/tools/call", "/tasks/x/cancel", "/tasks/x/resume"])
@AT_REST
async def test_an_invalid_key_is_refused_naming_the_header(standing: Gateway, path: str, key: str) -> None:
    body = {"answer": 1} if path.endswith("resume") else CALL if path == "/tools/call" else {}
    status, answer = await standing.post(path, body, headers={"Idempotency-Key": key})
    assert (status, answer["error"]["field"]) == (400, "Idempotency-Key")
    assert await standing.stored() == 0


async def test_two_keys_are_refused(gateway: Gateway) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b"), ("Content-Type", "application/json")]
    async with gateway.session.post(f"{gateway.url}/tools/call", data=jsontext.dumps(CALL), headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["field"]) == (400, "Idempotency-Key")


async def test_a_repeated_cancel_is_200_and_a_strangers_409(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    path = f"/tasks/{task_id}/cancel"
    for _ in range(2):
        status, task = await gateway.post(path, {"reason": "no"}, headers=KEY)
        assert (status, task["status"], task["message"]) == (200, "canceled", "no")
    assert (await gateway.post(path, {"reason": "no"}))[0] == 409
    assert (await gateway.post(path, {"reason": "other"}, headers=KEY))[0] == 422


async def test_a_repeated_answer_is_200_whatever_became_of_the_task(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    await gateway.post(f"/mesh/{task_id}/progress", PAUSE)
    path = f"/tasks/{task_id}/resume"
    assert (await gateway.post(path, {"answer": {"ok": True}}, headers=KEY))[0] == 200
    await gateway.finish(task_id)
    status, task = await gateway.post(path, {"answer": {"ok": True}}, headers=KEY)
    assert (status, task["status"]) == (200, "succeeded")
    assert (await gateway.post(path, {"answer": {"ok": False}}, headers=KEY))[0] == 422
    assert (await gateway.post(path, {"answer": {"ok": True}}))[0] == 409
    assert [entry.actor for entry in gateway.running.handed] == ["first", "x-resume"]


async def test_two_answers_of_one_key_at_once_are_one_answer_and_both_200(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    await gateway.post(f"/mesh/{task_id}/progress", PAUSE)
    path, body = f"/tasks/{task_id}/resume", {"answer": {"ok": True}}
    answers = await asyncio.gather(*(gateway.post(path, body, headers=KEY) for _ in range(5)))
    assert [status for status, _ in answers] == [200] * 5
    assert [entry.actor for entry in gateway.running.handed] == ["first", "x-resume"]


async def test_keys_of_calls_cancels_and_answers_are_apart(gateway: Gateway) -> None:
    task_id = task_id_of((await gateway.post("/tools/call", CALL, headers=KEY))[1])
    await gateway.post(f"/mesh/{task_id}/progress", PAUSE)
    assert (await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"ok": True}}, headers=KEY))[0] == 200
    assert (await gateway.post(f"/tasks/{task_id}/cancel", headers=KEY))[0] == 200


async def test_a_key_shows_no_task_of_a_flow_that_its_caller_may_no_longer_read(database_url: str) -> None:
    tokens = Tokens(before="mcp:read mcp:invoke", after="flow:anything:invoke")
    # One principal: another key of the same name, a narrower token of the same client.
    tokens.principals["after"] = replace(tokens.principals["after"], owner=tokens.principals["before"].owner)
    async with start_gateway(database_url, doors=closed(tokens)) as made:
        status, first = await made.post("/tools/call", CALL, headers={**KEY, **bearer("before")})
        assert status == 200
        await made.finish(task_id_of(first), "HI")
        waiting = {**KEY, "Prefer": "wait=5"}
        assert (await made.post("/tools/call", CALL, headers={**waiting, **bearer("before")}))[1]["result"] == "HI"
        with_key = await made.post("/tools/call", CALL, headers={**waiting, **bearer("after")})
        without = await made.post("/tools/call", CALL, headers=bearer("after"))
        assert with_key == without
        assert without[0] == 404
