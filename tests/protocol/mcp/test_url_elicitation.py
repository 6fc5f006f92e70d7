"""Elicitations at a URL for clients of 2025-11-25 that read no stream: the call ends with where to go, and the same
call later has the result."""

import asyncio
from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.inputs import CONSENT_AT, NAME, pause_body
from tests.support.mcp import Actor, conforms, message, start_mcp
from tests.support.mcp_sessions import Client, connect

LINK = "https://login.example.com/start"
AUTHORIZE: dict[str, Any] = {"prompt": "Sign in", "url": LINK, "status": "auth_required"}
KEYED = {"Accept": "application/json", "Idempotency-Key": "k"}


async def answered(client: Client, gateway: Gateway, question: dict[str, Any], **headers: str) -> tuple[str, Any]:
    """A call whose task asks this: the task, and the call's answer."""
    actor = Actor(gateway)
    calling = asyncio.create_task(client.send(message("tools/call", {"name": "anything"}, 1), gateway, **headers))
    task_id, _ = await actor.take()
    status, refused = await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question))
    assert status == 200, refused
    status, answer = await calling
    assert status == 200, answer
    return task_id, answer


async def test_a_call_with_a_key_is_told_where_to_go_and_has_its_result_when_it_comes_back(database_url: str) -> None:
    """client/elicitation, "URL Elicitation Required Error": "the client ... can then retry the original request"."""
    async with start_mcp(database_url, public_url="https://gateway.example") as gateway:
        client = await connect(gateway)
        task_id, answer = await answered(client, gateway, AUTHORIZE, **KEYED)
        conforms(answer, "URLElicitationRequiredError", "2025-11-25")
        assert answer["error"]["code"] == -32042
        (elicitation,) = answer["error"]["data"]["elicitations"]
        assert (elicitation["url"], elicitation["message"]) == (LINK, "Sign in")
        # What stands behind the URL continues the task.
        assert (await gateway.post(f"/tasks/{task_id}/resume", {"answer": {}}))[0] == 200
        await Actor(gateway).end(task_id, result="done")
        status, again = await client.send(message("tools/call", {"name": "anything"}, 2), gateway, **KEYED)
        assert (status, again["result"]["content"][0]["text"]) == (200, "done")


@pytest.mark.parametrize(
    ("question", "headers", "changes", "why"),
    [
        (AUTHORIZE, {"Accept": "application/json"}, {}, "another call would start another task"),
        ({"inputs": {"a": CONSENT_AT, "b": NAME}}, KEYED, {}, "a form is open, too"),
        (AUTHORIZE, KEYED, {"version": "2025-06-18"}, "the revision has no such error"),
        (AUTHORIZE, KEYED, {"capabilities": {"elicitation": {}}}, "the client opens no URLs"),
    ],
    ids=["no key", "a form", "an older revision", "no URLs"],
)
async def test_any_other_call_is_told_by_its_result(
    database_url: str, question: dict[str, Any], headers: dict[str, str], changes: dict[str, Any], why: str
) -> None:
    async with start_mcp(database_url, public_url="https://gateway.example") as gateway:
        client = await connect(gateway, **changes)
        task_id, answer = await answered(client, gateway, question, **headers)
        assert f"The task {task_id} waits" in answer["result"]["content"][0]["text"], why
