"""Direct messages: `a2a.reply` of a flow (specification 1.0, sections 3.1.1 and 3.1.2)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.a2a import conforms, rpc, streaming, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools

PAUSE = {"prompt": "Sure?", "fields": [{"name": "sure", "type": "boolean"}]}
OLD = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
CHOSEN = {"parts": [{"text": "hello"}], "reply": "message"}
NO_WAIT = {"returnImmediately": True}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    """One flow that replies by messages, and one whose actor chooses."""
    async with start_gateway(database_url, keepalive_interval=0.2) as made:
        flows = [{"name": mode, "entrypoint": "first", "a2a": {"reply": mode}} for mode in ("message", "auto")]
        serve_tools(made, flows)
        yield made


async def answer_to(gateway: Gateway, actor: Actor, flow: str, status: str, **end: Any) -> tuple[str, Any]:
    """The task's id, and the result of a SendMessage whose task ends so."""
    message = text_message("hi", contextId="chat")
    sending = asyncio.create_task(rpc(gateway, "SendMessage", {"message": message}, path=f"/a2a/{flow}"))
    task_id, _ = await actor.take()
    await actor.end(task_id, status, **end)
    return task_id, (await sending)["result"]


async def is_known(gateway: Gateway, task_id: str) -> bool:
    return "result" in await rpc(gateway, "GetTask", {"id": task_id})


@pytest.mark.parametrize(("flow", "result"), [("message", "hello"), ("message", CHOSEN), ("auto", CHOSEN)])
async def test_the_result_is_a_message_of_the_context_and_its_task_is_unknown(
    gateway: Gateway, actor: Actor, flow: str, result: Any
) -> None:
    """3.1.1: the response is a Task or 'a Message object', 'a direct response message (for simple interactions that
    don't require task tracking)'."""
    task_id, answer = await answer_to(gateway, actor, flow, "succeeded", result=result)
    conforms(answer["message"], "Message")
    assert answer["message"] == {
        "messageId": answer["message"]["messageId"],
        "role": "ROLE_AGENT",
        "contextId": "chat",
        "parts": [{"text": "hello"}],
    }
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        assert (await rpc(gateway, method, {"id": task_id}))["error"]["code"] == -32001
    listed = (await rpc(gateway, "ListTasks", {}))["result"]
    assert (listed["tasks"], listed["totalSize"]) == ([], 0)
    for about in ({"taskId": task_id}, {"referenceTaskIds": [task_id]}):
        said = await rpc(gateway, "SendMessage", {"message": text_message("x", **about)}, path=f"/a2a/{flow}")
        assert said["error"]["code"] == -32001


async def test_in_0_3_it_is_a_message_and_in_the_oldest_dialect_a_task(gateway: Gateway, actor: Actor) -> None:
    sending = asyncio.create_task(rpc(gateway, "message/send", {"message": OLD}, path="/a2a/message", version=None))
    await actor.end((await actor.take())[0], result={"n": 1})
    message = (await sending)["result"]
    conforms(message, "Message", "0.3")
    assert (message["kind"], message["role"], message["parts"]) == (
        "message",
        "agent",
        [{"kind": "data", "data": {"n": 1}}],
    )
    params = {"id": "mine", "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]}}
    sending = asyncio.create_task(rpc(gateway, "tasks/send", params, path="/a2a/message", version=None))
    await actor.end((await actor.take())[0], result="hello")
    task = (await sending)["result"]
    assert task["artifacts"][0]["parts"] == [{"type": "text", "text": "hello"}]
    assert (await rpc(gateway, "tasks/get", {"id": "mine"}, version=None))["result"] == task


async def test_what_no_message_can_say_is_a_task_from_then_on(gateway: Gateway, actor: Actor) -> None:
    failed, answer = await answer_to(gateway, actor, "message", "failed", error="it broke")
    assert answer["task"]["status"]["state"] == "TASK_STATE_FAILED"
    artifact, answer = await answer_to(gateway, actor, "auto", "succeeded", result="hello")
    assert answer["task"]["artifacts"][0]["parts"] == [{"text": "hello"}]
    params = {"message": text_message("hi"), "configuration": NO_WAIT}
    at_once = (await rpc(gateway, "SendMessage", params, path="/a2a/message"))["result"]["task"]["id"]
    await actor.take()
    await actor.end(at_once, result="hello")
    for task_id in (failed, artifact, at_once):
        assert await is_known(gateway, task_id)


async def test_a_flow_that_asks_is_a_task_and_stays_one_after_the_answer(gateway: Gateway, actor: Actor) -> None:
    sending = asyncio.create_task(rpc(gateway, "SendMessage", {"message": text_message("hi")}, path="/a2a/message"))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata=PAUSE)
    assert (await sending)["result"]["task"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    yes = {"message": text_message("yes", taskId=task_id)}
    sending = asyncio.create_task(rpc(gateway, "SendMessage", yes))
    await actor.take()
    await actor.end(task_id, result="done")
    assert (await sending)["result"]["task"]["artifacts"][0]["parts"] == [{"text": "done"}]
    assert await is_known(gateway, task_id)


async def test_a_flow_that_outlasts_the_block_is_a_task(database_url: str) -> None:
    async with start_gateway(database_url, a2a_block=0.3, keepalive_interval=0.2) as gateway:
        serve_tools(gateway, [{"name": "late", "entrypoint": "first", "a2a": {"reply": "message"}}])
        actor, said = Actor(gateway), {"message": text_message("hi")}
        task = (await rpc(gateway, "SendMessage", said))["result"]["task"]
        assert task["status"]["state"] in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")
        assert await is_known(gateway, task["id"])
        await actor.take()
        async with streaming(gateway, "SendStreamingMessage", said) as reader:
            task_id, _ = await actor.take()
            first = await reader.next()
            assert first is not None
            assert first.data["result"]["task"]["id"] == task_id
            await actor.end(task_id, result="done")
            rest = [next(iter(event.data["result"])) for event in await reader.all()]
        assert rest == ["artifactUpdate", "statusUpdate"]


@pytest.mark.parametrize("flow", ["message", "auto"])
async def test_its_stream_is_the_message_alone(gateway: Gateway, actor: Actor, flow: str) -> None:
    """3.1.2: 'the stream MUST contain exactly one Message object and then close immediately'."""
    async with streaming(
        gateway, "SendStreamingMessage", {"message": text_message("hi")}, path=f"/a2a/{flow}"
    ) as reader:
        task_id, _ = await actor.take()
        await actor.report(task_id, "received")
        if flow == "message":
            await actor.fly(task_id, {"token": "hel"})
        await actor.end(task_id, result=CHOSEN)
        [event] = await reader.all()
    assert event.id is None
    assert event.data["result"]["message"]["parts"] == [{"text": "hello"}]
    assert not await is_known(gateway, task_id)


@pytest.mark.parametrize("by", ["chunk", "result", "question"])
async def test_the_stream_of_a_flow_that_shows_a_task_has_all_its_events(
    gateway: Gateway, actor: Actor, by: str
) -> None:
    """3.1.2: the stream 'MUST begin with the Task object'."""
    said = {"message": text_message("hi")}
    async with streaming(gateway, "SendStreamingMessage", said, path="/a2a/auto") as reader:
        task_id, _ = await actor.take()
        await actor.report(task_id, "received")
        match by:
            case "chunk":
                await actor.fly(task_id, {"token": "hel"})
                await actor.end(task_id, result=CHOSEN)
            case "result":
                await actor.end(task_id, result="hello")
            case _:
                await actor.report(task_id, "paused", pause_metadata=PAUSE)
        events = [event.data["result"] for event in await reader.all()]
    expected = {
        "chunk": ["task", "statusUpdate", "artifactUpdate", "artifactUpdate", "statusUpdate"],
        "result": ["task", "statusUpdate", "artifactUpdate", "statusUpdate"],
        "question": ["task", "statusUpdate", "statusUpdate"],
    }
    assert [next(iter(event)) for event in events] == expected[by]
    assert await is_known(gateway, task_id)
