"""Who may send a message to a task that waits (docs/security.md)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.a2a import SKILLS, envelope, post, rpc, text_message
from tests.support.blocks import counted_blocks
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools
from tests.support.principals import Tokens, bearer, closed

ASKS = {"prompt": "Sure?", "fields": [{"name": "sure", "type": "boolean"}]}
SIGN_IN = {"prompt": "Sign in, please", "url": "https://login.example/start", "status": "auth_required"}
HOOK = {"taskPushNotificationConfig": {"url": "https://203.0.113.7/hook"}}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    tokens = Tokens(
        alice="mcp:read mcp:invoke",
        auditor="mcp:read task:any:read",
        approver="mcp:read task:any:read task:echo:answer",
    )
    async with start_gateway(database_url, doors=closed(tokens), outbound_allow=["203.0.113.0/24"]) as made:
        serve_tools(made, SKILLS)
        yield made


async def waiting_task(gateway: Gateway, actor: Actor, pause: dict[str, Any]) -> str:
    sent = {"message": text_message("hi"), "tenant": "echo", "configuration": {"returnImmediately": True}}
    await rpc(gateway, "SendMessage", sent, **bearer("alice"))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata=pause)
    return task_id


async def seen(gateway: Gateway, task_id: str) -> tuple[Any, Any]:
    """The task and where its changes are pushed, as its owner sees them."""
    alice = bearer("alice")
    task = (await rpc(gateway, "GetTask", {"id": task_id}, **alice))["result"]
    configs = await rpc(gateway, "ListTaskPushNotificationConfigs", {"taskId": task_id}, **alice)
    return task, configs["result"].get("configs", [])


@pytest.mark.parametrize("pause", [ASKS, SIGN_IN], ids=["asks", "sign-in"])
async def test_a_caller_that_may_only_read_a_task_sends_it_nothing(gateway: Gateway, pause: dict[str, Any]) -> None:
    """Nothing of its message is kept, nor where it wants changes to be pushed."""
    task_id = await waiting_task(gateway, Actor(gateway), pause)
    before = await seen(gateway, task_id)
    said = {"message": text_message("yes", taskId=task_id, messageId="m-2"), "configuration": HOOK}
    status, answer = await post(gateway, envelope("SendMessage", said), **bearer("auditor"))
    assert (status, answer["error"]["code"]) == (403, -32600), answer
    assert await seen(gateway, task_id) == before


async def test_a_message_that_is_refused_registers_nothing(gateway: Gateway) -> None:
    task_id = await waiting_task(
        gateway, Actor(gateway), {"prompt": "Which?", "fields": [{"name": "n", "type": "integer"}]}
    )
    before = await seen(gateway, task_id)
    said = {"message": text_message("none", taskId=task_id, messageId="m-2"), "configuration": HOOK}
    status, answer = await post(gateway, envelope("SendMessage", said), **bearer("alice"))
    assert "error" in answer, (status, answer)
    assert await seen(gateway, task_id) == before
    kept = {"taskId": task_id, "id": "mine", "url": "https://203.0.113.7/first"}
    await rpc(gateway, "CreateTaskPushNotificationConfig", kept, **bearer("alice"))
    replacing = {"taskPushNotificationConfig": {**HOOK["taskPushNotificationConfig"], "id": "mine"}}
    await post(gateway, envelope("SendMessage", {**said, "configuration": replacing}), **bearer("alice"))
    assert [config["url"] for config in (await seen(gateway, task_id))[1]] == [kept["url"]]


async def test_whether_a_caller_may_answer_is_asked_once(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is read to be shown, and nothing is read again to judge who answers it."""
    actor = Actor(gateway)
    for name in ("alice", "approver"):
        task_id = await waiting_task(gateway, actor, ASKS)
        said = {"message": text_message("yes", taskId=task_id), "configuration": {"returnImmediately": True}}
        with counted_blocks(monkeypatch) as counted:
            answer = await rpc(gateway, "SendMessage", said, **bearer(name))
            statements = [sql for _, sql in counted.statements if "pg_notify" not in sql]
        assert "result" in answer, answer
        await actor.take()
        # What is read before the answer is stored: how the client knows the task, the task, and its question twice.
        [stored] = [number for number, sql in enumerate(statements) if "FOR NO KEY UPDATE" in sql]
        assert stored == 4, "\n".join(statements[:stored])


async def test_an_approver_waits_for_the_task_of_another_that_it_has_answered(gateway: Gateway) -> None:
    actor = Actor(gateway)
    task_id = await waiting_task(gateway, actor, ASKS)
    said = {"message": text_message("yes", taskId=task_id, messageId="m-2")}
    sending = asyncio.create_task(rpc(gateway, "SendMessage", said, **bearer("approver")))
    await actor.take()
    await actor.end(task_id, result="done")
    answer = await sending
    assert "result" in answer, answer
    assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
