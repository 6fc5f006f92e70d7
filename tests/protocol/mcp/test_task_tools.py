"""task_get, task_answer and task_cancel: tasks as tools, for clients without MCP tasks."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.inputs import FOLDERS, LISTED, NAME, pause_body
from tests.support.mcp import (
    HANDSHAKE_VERSIONS,
    LATEST,
    TOOLS,
    Actor,
    ask,
    ask_old,
    conforms,
    open_post,
    serve_tools,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.mcp_sessions import Stream
from tests.support.mcp_tasks import in_background, pause
from tests.support.principals import Tokens, bearer, closed

NAMES = ["task_answer", "task_cancel", "task_get"]


@pytest.fixture
async def helped(database_url: str) -> AsyncIterator[Gateway]:
    changes = {"mcp_task_tools": True, "mcp_max_wait": 0.2, "mcp_progress_interval": 0.02}
    async with start_mcp(database_url, **changes) as made:
        yield made


async def use(gateway: Gateway, name: str, version: str = LATEST, **arguments: Any) -> Any:
    """The result of one of the tools."""
    params = {"name": name, "arguments": arguments}
    called = (
        ask(gateway, "tools/call", params) if version == LATEST else ask_old(gateway, "tools/call", params, version)
    )
    _, answer = await called
    conforms(answer["result"], "CallToolResult", version)
    return answer["result"]


def text_of(result: Any) -> str:
    return str(result["content"][0]["text"])


async def test_they_are_no_tools_by_default(gateway: Gateway) -> None:
    _, answer = await ask(gateway, "tools/list")
    assert not set(NAMES) & {tool["name"] for tool in answer["result"]["tools"]}
    status, answer = await ask(gateway, "tools/call", {"name": "task_get", "arguments": {"task_id": "t"}})
    assert (status, answer["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize("version", [*HANDSHAKE_VERSIONS, LATEST])
async def test_they_stand_at_the_end_of_the_list(helped: Gateway, version: str) -> None:
    _, answer = await (ask(helped, "tools/list") if version == LATEST else ask_old(helped, "tools/list", {}, version))
    conforms(answer["result"], "ListToolsResult", version)
    assert [tool["name"] for tool in answer["result"]["tools"]][-3:] == NAMES


async def test_waiting_for_a_task_goes_on_with_progress(helped: Gateway) -> None:
    """It may wait for a minute, after which a client without progress has given up."""
    task_id = await helped.submit()
    params = {"name": "task_get", "arguments": {"task_id": task_id, "wait": 60}, "_meta": {"progressToken": "t"}}
    body = stateless_body("tools/call", params)
    async with open_post(helped, body, stateless_headers(body)) as response:
        stream = Stream(response)
        told = [await stream.message() for _ in range(3)]
        assert [each["params"]["progressToken"] for each in told] == ["t"] * 3
        await Actor(helped).end(task_id, result={"n": 1})
        while "method" in (answer := await stream.message()):
            pass
    assert answer["result"]["structuredContent"] == {"n": 1}


async def test_a_flow_of_the_same_name_gives_way(helped: Gateway) -> None:
    serve_tools(helped, [*TOOLS, {"name": "task_get", "entrypoint": "first", "mcp": {}}], 2)
    _, answer = await ask(helped, "tools/list")
    (shown,) = [tool for tool in answer["result"]["tools"] if tool["name"] == "task_get"]
    assert "task_id" in shown["inputSchema"]["properties"]
    assert "not found" in text_of(await use(helped, "task_get", task_id="t"))


@pytest.mark.parametrize("version", [*HANDSHAKE_VERSIONS, LATEST])
async def test_a_client_without_tasks_follows_one_to_its_result(helped: Gateway, version: str) -> None:
    """The call's own answer names the tool; after that the model asks by itself."""
    actor = Actor(helped)
    started = await use(helped, "anything", version)
    assert "task_get" in text_of(started)
    task_id, _ = await actor.take()
    assert "pending" in text_of(await use(helped, "task_get", version, task_id=task_id))
    await actor.report(task_id, "processing")
    await pause(actor, task_id)
    asked = await use(helped, "task_get", version, task_id=task_id)
    assert asked["_meta"]["sh.asya/task"]["question"]["prompt"] == "Go on?"
    wrong = await use(helped, "task_answer", version, task_id=task_id, answer={"yes": "perhaps"})
    assert (wrong["isError"], "/yes" in text_of(wrong)) == (True, True)
    answered = await use(helped, "task_answer", version, task_id=task_id, answer={"yes": True})
    assert "running" in text_of(answered)
    async with in_background(use(helped, "task_get", version, task_id=task_id, wait=30)) as waiting:
        await actor.end(task_id, result={"n": 1})
        done = await waiting
    assert (text_of(done), done["isError"]) == ('{"n":1}', False)


async def test_a_call_that_asks_something_names_the_tool(helped: Gateway) -> None:
    actor = Actor(helped)
    async with in_background(use(helped, "anything")) as call:
        task_id, _ = await actor.take()
        await helped.post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": {"name": NAME, "of": FOLDERS}}))
        result = await call
    assert 'task_answer, {"key": …, "answer": …} for each input' in text_of(result)
    assert "Who are you?" in text_of(result)
    await use(helped, "task_answer", task_id=task_id, key="name", answer={"name": "Ada"})
    left = await use(helped, "task_get", task_id=task_id)
    assert list(left["_meta"]["sh.asya/task"]["question"]["inputs"]) == ["of"]
    assert "running" in text_of(await use(helped, "task_answer", task_id=task_id, key="of", answer=LISTED))


async def test_what_a_model_can_mend_is_the_tools_own_error(helped: Gateway) -> None:
    kept = await helped.submit()
    assert "canceled: no longer needed" in text_of(
        await use(helped, "task_cancel", task_id=kept, reason="no longer needed")
    )
    for name, arguments in (
        ("task_get", {"task_id": "none"}),
        ("task_get", {}),
        ("task_get", {"task_id": kept, "wait": 61}),
        ("task_get", {"task_id": "a\x00"}),
        ("task_answer", {"task_id": kept, "answer": 1}),
        ("task_answer", {"task_id": kept}),
        ("task_answer", {"task_id": kept, "answer": 1, "action": "perhaps"}),
        ("task_cancel", {"task_id": kept}),
        ("task_cancel", {"task_id": "none"}),
        ("task_cancel", {"task_id": kept, "force": True}),
        ("task_get", {"task_id": kept}),
    ):
        assert (await use(helped, name, **arguments))["isError"] is True, (name, arguments)


async def test_a_decline_is_an_answer(helped: Gateway) -> None:
    actor = Actor(helped)
    task_id = await helped.submit()
    await actor.report(task_id, "processing")
    await pause(actor, task_id, on_decline="fail")
    await use(helped, "task_answer", task_id=task_id, action="decline")
    assert await actor.status(task_id) == "failed"


async def test_they_are_not_called_as_tasks(helped: Gateway) -> None:
    params = {"name": "task_get", "arguments": {"task_id": "t"}, "task": {}}
    _, answer = await ask_old(helped, "tools/call", params)
    assert answer["error"]["code"] == -32601


async def test_tasks_of_others_are_unknown_to_them(database_url: str) -> None:
    tokens = Tokens(alice="mcp:read mcp:invoke", bob="mcp:read mcp:invoke", reader="mcp:read")
    async with start_mcp(database_url, mcp_task_tools=True, doors=closed(tokens)) as gateway:
        await gateway.post("/tools/call", {"name": "anything"}, headers=bearer("alice"))
        (theirs,) = [task["id"] for task in (await gateway.get("/tasks", headers=bearer("alice")))[1]["tasks"]]
        seen = []
        for task_id in (theirs, theirs[:-1] + ("0" if theirs[-1] != "0" else "1")):
            for name, more in (("task_get", {"wait": 1}), ("task_answer", {"answer": 1}), ("task_cancel", {})):
                params = {"name": name, "arguments": {"task_id": task_id, **more}}
                _, answer = await ask(gateway, "tools/call", params, **bearer("bob"))
                seen.append(text_of(answer["result"]).replace(task_id, "ID"))
        assert seen[:3] == seen[3:]
        own = {"name": "task_cancel", "arguments": {"task_id": theirs}}
        _, answer = await ask(gateway, "tools/call", own, **bearer("reader"))
        assert "not found" in text_of(answer["result"])
        assert (await gateway.get(f"/tasks/{theirs}", headers=bearer("alice")))[1]["status"] == "pending"
