"""Two replicas over one database: a task that one has begun is streamed, answered and canceled by the other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.a2a import SKILLS, rest, rest_stream, rpc, streaming, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools

SEND = {"message": text_message("tell")}
NOW = {"configuration": {"returnImmediately": True}}
SURE = {"prompt": "Sure?", "fields": [{"name": "sure", "type": "boolean"}]}


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[tuple[Gateway, Gateway]]:
    async with start_gateway(database_url) as one, start_gateway(database_url) as other:
        for each in (one, other):
            serve_tools(each, SKILLS)
        yield one, other


def results(events: list[Any]) -> list[Any]:
    return [event.data["result"] for event in events]


async def test_a_task_of_one_is_streamed_and_answered_by_the_other(two: tuple[Gateway, Gateway]) -> None:
    """3.1.6: the first event is 'the current state of the task at the time of subscription', on whichever replica."""
    one, other = two
    actor = Actor(one)
    begun = await rpc(one, "SendMessage", {**SEND, **NOW}, path="/a2a/echo")
    task_id, _ = await actor.take()
    await actor.report(task_id, "received", message="on it")
    async with (
        streaming(one, "SubscribeToTask", {"id": task_id}) as here,
        streaming(other, "SubscribeToTask", {"id": task_id}) as there,
        rest_stream(other, "GET", f"/tasks/{task_id}:subscribe") as plain,
    ):
        firsts = [await reader.next() for reader in (here, there, plain)]
        snapshots = [first.data.get("result", first.data)["task"] for first in firsts if first is not None]
        assert snapshots[0] == snapshots[1] == snapshots[2]
        assert snapshots[0]["status"]["state"] == "TASK_STATE_WORKING"
        await actor.fly(task_id, {"token": "Once"})
        await actor.report(task_id, "paused", pause_metadata=SURE)
        answer = {"message": text_message("yes", taskId=task_id), **NOW}
        assert (await rest(other, "POST", "/message:send", answer)).status == 200
        assert (await Actor(other).take())[1]["payload"]["sure"] is True
        await actor.end(task_id, result={"n": 1})
        seen = [results(await reader.all()) for reader in (here, there)]
        seen.append([event.data for event in await plain.all()])
    assert seen[0] == seen[1] == seen[2]
    states = [event["statusUpdate"]["status"]["state"] for event in seen[0] if "statusUpdate" in event]
    assert states == ["TASK_STATE_INPUT_REQUIRED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]
    found = [(await rpc(each, "GetTask", {"id": task_id}))["result"] for each in two]
    assert found[0] == found[1]
    assert found[0]["id"] == begun["result"]["task"]["id"]


async def test_a_send_that_waits_at_one_hears_of_a_cancel_by_the_other(two: tuple[Gateway, Gateway]) -> None:
    one, other = two
    actor = Actor(one)
    waiting = asyncio.create_task(rpc(one, "SendMessage", SEND, path="/a2a/echo"))
    task_id, _ = await actor.take()
    canceled = (await rpc(other, "CancelTask", {"id": task_id}))["result"]
    waited = (await waiting)["result"]["task"]
    assert waited["status"] == canceled["status"]
    assert waited["status"]["state"] == "TASK_STATE_CANCELED"
    # A late result is dropped.
    await one.post(f"/mesh/{task_id}/final", {"id": task_id, "status": "succeeded", "result": 1})
    assert (await rpc(other, "GetTask", {"id": task_id}))["result"]["status"] == canceled["status"]


async def test_a_client_of_the_oldest_dialect_finds_its_task_by_its_own_id_anywhere(
    two: tuple[Gateway, Gateway],
) -> None:
    one, other = two
    actor = Actor(one)
    message = {"role": "user", "parts": [{"type": "text", "text": "hi"}]}
    params = {"id": "mine", "message": message, "metadata": {"skill": "echo"}}
    sending = asyncio.create_task(rpc(one, "tasks/send", params, version=None))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata=SURE)
    assert (await sending)["result"]["status"]["state"] == "input-required"
    yes = {**params, "message": {"role": "user", "parts": [{"type": "text", "text": "yes"}]}}
    async with streaming(other, "tasks/sendSubscribe", yes, version=None) as reader:
        await Actor(other).take()
        await actor.end(task_id, result="done")
        last = results(await reader.all())[-1]
    assert (last["id"], last["status"]["state"], last["final"]) == ("mine", "completed", True)
