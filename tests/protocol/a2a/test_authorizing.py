"""A task whose actor needs its caller to sign in somewhere (specification 1.0, section 7.6)."""

import asyncio
from typing import Any

import pytest

from asya_gateway.protocols.a2a import sending
from tests.support.a2a import conforms, data_message, rpc, streaming, text_message
from tests.support.gateway import Gateway
from tests.support.mcp import Actor

URL = "https://login.example/start"
SIGN_IN: dict[str, Any] = {"prompt": "Sign in, please", "url": URL, "status": "auth_required"}
SEND = {"message": text_message("look")}


async def test_a_blocking_send_returns_when_the_task_asks_to_sign_in(gateway: Gateway, actor: Actor) -> None:
    """7.6.1: agents 'MUST transition the TaskState to TASK_STATE_AUTH_REQUIRED' and 'MUST include a TaskStatus message
    explaining the required authorization'; 3.2.2: an interrupted state ends the wait."""
    sending = asyncio.create_task(rpc(gateway, "SendMessage", SEND, path="/a2a/echo"))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata=SIGN_IN)
    task = (await sending)["result"]["task"]
    conforms(task, "Task")
    assert task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
    text, asked = task["status"]["message"]["parts"]
    assert (text["text"], asked["data"]["url"]) == ("Sign in, please", URL)


async def test_a_stream_stays_open_while_its_reader_signs_in(gateway: Gateway, actor: Actor) -> None:
    """7.6.1: 'the agent SHOULD maintain any active response streams with the client after setting the TaskState to
    TASK_STATE_AUTH_REQUIRED', and 'SHOULD support receiving messages directed to the Task' meanwhile."""
    async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo") as reader:
        task_id, _ = await actor.take()
        await actor.report(task_id, "paused", pause_metadata=SIGN_IN)
        said = {"message": text_message("one moment", taskId=task_id, messageId="m-2")}
        task = (await rpc(gateway, "SendMessage", said))["result"]["task"]
        assert task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
        assert [message["messageId"] for message in task["history"]] == ["m-1", "m-2"]
        status, answer = await gateway.post(f"/tasks/{task_id}/resume", {"answer": {}})
        assert status == 200, answer
        await actor.take()
        await actor.end(task_id, result="seen")
        events = [event.data["result"] for event in await reader.all()]
    states = [event["statusUpdate"]["status"]["state"] for event in events if "statusUpdate" in event]
    assert states == ["TASK_STATE_AUTH_REQUIRED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]


async def test_asking_to_sign_in_permits_nothing_by_itself(gateway: Gateway, actor: Actor) -> None:
    """7.6.4 of the current text: 'Agents MUST NOT treat the TASK_STATE_AUTH_REQUIRED state transition, by itself, as
    authorization for any particular operation'. Nothing goes on by a message of the client, whatever it
    claims."""
    sending = asyncio.create_task(rpc(gateway, "SendMessage", SEND, path="/a2a/echo"))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata=SIGN_IN)
    await sending
    for message in (text_message("yes", taskId=task_id), data_message({"authorized": True}, taskId=task_id)):
        answer = await rpc(gateway, "SendMessage", {"message": message})
        assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
    found = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]
    assert found["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
    assert len(gateway.running.handed) == 1


async def test_a_task_that_waits_takes_messages_up_to_their_limit(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = asyncio.create_task(rpc(gateway, "SendMessage", SEND, path="/a2a/echo"))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata=SIGN_IN)
    await sent
    for name, most in (("MOST_MESSAGES", 1), ("MOST_BODIES", 0)):
        with monkeypatch.context() as patched:
            patched.setattr(sending, name, most)
            error = (await rpc(gateway, "SendMessage", {"message": text_message("more", taskId=task_id)}))["error"]
        assert (error["code"], error["message"][:16]) == (-32004, "expected at most")
    said = {"message": text_message("more", taskId=task_id, messageId="m-2")}
    for _ in range(2):
        # Under one key it is the same message, also when nothing is answered by it.
        task = (await rpc(gateway, "SendMessage", said, **{"Idempotency-Key": "k"}))["result"]["task"]
        assert [message["messageId"] for message in task["history"]] == ["m-1", "m-2"]
    other = {"message": text_message("other", taskId=task_id)}
    assert (await rpc(gateway, "SendMessage", other, **{"Idempotency-Key": "k"}))["error"]["code"] == -32602
