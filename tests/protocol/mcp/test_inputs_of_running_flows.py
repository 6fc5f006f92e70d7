"""What a running flow asks a client of 2026-07-28 that has no tasks: its call is answered with the questions, and the
retry that brings the answers waits on for the same task."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp import Client, types

from tests.support.asking import EVERYTHING, ask_tool
from tests.support.gateway import Gateway, Reader
from tests.support.inputs import FOLDERS, LISTED, NAME, SAMPLED, SUMMARY, pause_body
from tests.support.late_readers import readers_wait
from tests.support.mcp import (
    TASKS_DECLARED,
    TOOLS,
    Actor,
    conforms,
    open_post,
    post,
    serve_tools,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.principals import Tokens, bearer, closed

ADA = {"action": "accept", "content": {"name": "Ada"}}
INVALID = {"code": -32602, "message": "Invalid or expired requestState"}
OFFERS = [
    {"name": "told", "description": "T", "entrypoint": "first", "mcp": {"tool": False, "prompt": {}}},
    {
        "name": "read",
        "description": "R",
        "entrypoint": "first",
        "mcp": {"tool": False, "resource": {"uri": "docs://handbook"}},
    },
]
ASKED = {"prompts/get": {"name": "told"}, "resources/read": {"uri": "docs://handbook"}}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_mcp(database_url, keepalive_interval=0.2, public_url="https://gateway.example") as made:
        serve_tools(made, [*TOOLS, *OFFERS])
        yield made


@pytest.fixture
def actor(gateway: Gateway) -> Actor:
    return Actor(gateway)


async def paused(actor: Actor, question: dict[str, Any]) -> str:
    """Take a call and let it ask."""
    task_id, _ = await actor.take()
    status, answer = await actor.gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question))
    assert status == 200, answer
    return task_id


async def questions_of(
    gateway: Gateway, actor: Actor, question: dict[str, Any], **more: Any
) -> tuple[str, dict[str, Any]]:
    """Make a call whose flow asks this: its task, and the result that asks."""
    call = asyncio.create_task(ask_tool(gateway, "anything", {"n": 1}, **more))
    task_id = await paused(actor, question)
    status, answer = await call
    assert status == 200, answer
    return task_id, asking(answer)


def asking(answer: Any) -> dict[str, Any]:
    result: dict[str, Any] = answer["result"]
    assert result["resultType"] == "input_required", result
    conforms(result, "InputRequiredResult")
    assert "ttlMs" not in result
    return result


@contextlib.asynccontextmanager
async def retried(
    gateway: Gateway, first: dict[str, Any], responses: Any, **more: Any
) -> AsyncIterator["asyncio.Task[tuple[int, Any]]"]:
    params = {"inputResponses": responses, "requestState": first["requestState"], **more}
    call = asyncio.create_task(ask_tool(gateway, "anything", params.pop("arguments", {"n": 1}), **params))
    try:
        yield call
    finally:
        call.cancel()
        await asyncio.wait([call])


async def test_the_answers_of_the_retry_go_to_the_task_and_it_is_waited_for(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr, "Basic Workflow": the client retries with inputResponses and the exact requestState."""
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME, "summary": SUMMARY, "all": FOLDERS}})
    assert {key: each["method"] for key, each in first["inputRequests"].items()} == {
        "name": "elicitation/create", "summary": "sampling/createMessage", "all": "roots/list",
    }  # fmt: skip
    assert first["_meta"]["sh.asya/task"]["task_id"] == task_id
    # What is missing is asked again, what is not known is ignored.
    async with retried(gateway, first, {"name": ADA, "other": {}}) as call:
        second = asking((await call)[1])
    assert set(second["inputRequests"]) == {"summary", "all"}
    async with retried(gateway, second, {"summary": SAMPLED, "all": LISTED}) as call:
        _, envelope = await actor.take()
        await actor.end(task_id, result={"done": True})
        status, answer = await call
    assert (status, answer["result"]["structuredContent"]) == (200, {"done": True})
    assert answer["result"]["_meta"]["sh.asya/task"]["task_id"] == task_id
    assert "Ada" in str(envelope)
    assert await gateway.stored() == 1


async def test_the_same_retry_twice_answers_once_and_both_wait_for_the_task(gateway: Gateway, actor: Actor) -> None:
    """patterns/cancellation: a client whose stream broke issues its request again."""
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME}})
    async with retried(gateway, first, {"name": ADA}) as one, retried(gateway, first, {"name": ADA}) as other:
        await actor.take()
        await actor.end(task_id, result="done")
        for _, answer in (await one, await other):
            assert answer["result"]["content"][0]["text"] == "done"
    assert len(gateway.running.handed) == 2


async def test_content_that_breaks_the_form_is_asked_again_with_the_reason(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr, "Error Handling": "respond with a new InputRequiredResult"."""
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME}})
    for content in ({"name": ""}, {}):
        async with retried(gateway, first, {"name": {"action": "accept", "content": content}}) as call:
            again = asking((await call)[1])
        message = again["inputRequests"]["name"]["params"]["message"]
        assert message.startswith("Who are you?")
        assert "name" in message.removeprefix("Who are you?")
    assert await actor.status(task_id) == "paused"


async def test_a_response_of_the_wrong_type_changes_nothing(gateway: Gateway, actor: Actor) -> None:
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME, "all": FOLDERS}})
    for response in (7, {"action": "perhaps"}, {"action": "accept", "content": {"name": {}}}):
        async with retried(gateway, first, {"all": LISTED, "name": response}) as call:
            status, answer = await call
        assert (status, answer["error"]["code"]) == (400, -32602)
        assert answer["error"]["message"].startswith("inputResponses.name")
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert set(task["pause"]["inputs"]) == {"name", "all"}


async def test_what_is_declined_is_answered_elsewhere_and_not_asked_again(gateway: Gateway, actor: Actor) -> None:
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME}})
    async with retried(gateway, first, {"name": {"action": "decline"}}) as call:
        status, answer = await call
    assert (status, answer["result"]["resultType"]) == (200, "complete")
    assert f"/tasks/{task_id}/resume" in answer["result"]["content"][0]["text"]
    assert await actor.status(task_id) == "paused"


async def test_who_has_gone_to_the_url_of_a_question_waits_for_what_comes_after_it(
    gateway: Gateway, actor: Actor
) -> None:
    question = {
        "prompt": "Approve it",
        "url": "https://approvals.example/1",
        "schema": {"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "object"}}}},
    }
    task_id, first = await questions_of(gateway, actor, question)
    [(key, request)] = first["inputRequests"].items()
    assert request["params"]["url"] == "https://approvals.example/1"
    async with retried(gateway, first, {key: {"action": "accept"}}) as call:
        done, _ = await asyncio.wait([call], timeout=0.5)
        assert not done
        status, _ = await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"lines": []}})
        assert status == 200
        await actor.take()
        await actor.end(task_id, result="approved")
        _, answer = await call
    assert answer["result"]["content"][0]["text"] == "approved"


async def test_a_state_is_good_for_its_own_call_only(gateway: Gateway, actor: Actor) -> None:
    """patterns/mrtr, "Server Requirements": the state is bound to the request that it was made for."""
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME}})
    tampered = {**first, "requestState": first["requestState"] + "-TAMPERED"}
    for state, arguments in ((first, {"n": 2}), (tampered, {"n": 1})):
        async with retried(gateway, state, {"name": ADA}, arguments=arguments) as call:
            status, answer = await call
        assert (status, answer["error"]) == (400, INVALID)
    assert await actor.status(task_id) == "paused"
    assert await gateway.stored() == 1


async def test_a_state_of_another_caller_answers_nothing(database_url: str) -> None:
    """patterns/mrtr: 'the authenticated principal, rejecting state presented by a different principal'."""
    tokens = Tokens(alice="mcp:read mcp:invoke", bob="mcp:read mcp:invoke")
    async with start_mcp(database_url, doors=closed(tokens)) as gateway:
        _, first = await questions_of(gateway, Actor(gateway), {"inputs": {"name": NAME}}, headers=bearer("alice"))
        async with retried(gateway, first, {"name": ADA}, headers=bearer("bob")) as call:
            assert (await call)[1]["error"] == INVALID
        assert len(gateway.running.handed) == 1


async def test_only_a_client_without_tasks_is_asked_so(gateway: Gateway, actor: Actor) -> None:
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME}})
    # In this request the client has tasks, and it gets one.
    able = {**EVERYTHING, **TASKS_DECLARED}
    async with retried(gateway, first, {}, capabilities=able) as call:
        _, answer = await call
    assert (answer["result"]["resultType"], answer["result"]["taskId"]) == ("task", task_id)
    # Here it can be asked nothing, and gets the text.
    async with retried(gateway, first, {}, capabilities={}) as call:
        _, answer = await call
    assert f"/tasks/{task_id}/resume" in answer["result"]["content"][0]["text"]


def with_progress(first: dict[str, Any]) -> dict[str, Any]:
    """The retry of a call whose flow has asked for a name."""
    params = {
        "name": "anything",
        "arguments": {"n": 1},
        "inputResponses": {"name": ADA},
        "requestState": first["requestState"],
        "_meta": {"progressToken": "p", "io.modelcontextprotocol/clientCapabilities": EVERYTHING},
    }
    return stateless_body("tools/call", params)


async def test_what_an_actor_says_at_once_after_the_answer_is_told(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may run again before the retry follows the task."""
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME}})
    begins = readers_wait(gateway, monkeypatch)
    body = with_progress(first)

    async def retry() -> list[Any]:
        async with open_post(gateway, body, stateless_headers(body)) as response:
            return [each.data for each in await Reader(response).all()]

    retrying = asyncio.create_task(retry())
    await actor.take()
    await actor.fly(task_id, {"token": "Hello Ada"})
    begins.set()
    await actor.end(task_id, result=1)
    told = await retrying
    assert "Hello Ada" in [each["params"].get("message") for each in told[:-1]]


async def test_progress_of_the_retry_begins_after_the_question(gateway: Gateway, actor: Actor) -> None:
    task_id, first = await questions_of(gateway, actor, {"inputs": {"name": NAME}})
    body = with_progress(first)
    async with open_post(gateway, body, stateless_headers(body)) as response:
        await actor.take()
        await actor.report(task_id, "processing", "second", message="after")
        await actor.end(task_id, result=1)
        told = [each.data["params"].get("message") for each in (await Reader(response).all())[:-1]]
    assert "after" in told
    assert not any("paused" in (text or "") for text in told)


async def test_the_official_client_answers_by_itself(gateway: Gateway, actor: Actor) -> None:
    asked: list[str] = []

    async def elicit(context: Any, params: Any) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def serve() -> None:
        task_id = await paused(actor, {"inputs": {"name": NAME}})
        await actor.take()
        await actor.end(task_id, result={"done": True})

    async with Client(f"{gateway.url}/mcp", mode="auto", elicitation_callback=elicit) as client:
        serving = asyncio.create_task(serve())
        result = await client.call_tool("anything", {})
        await serving
        assert client.protocol_version == "2026-07-28"
    assert (asked, result.structured_content) == (["Who are you?"], {"done": True})


@pytest.mark.parametrize("method", ASKED)
async def test_flows_as_prompts_and_resources_ask_alike(gateway: Gateway, actor: Actor, method: str) -> None:
    """patterns/mrtr: tools/call, prompts/get and resources/read may be answered with inputs that are required."""

    async def ask(**more: Any) -> Any:
        meta = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING}
        body = stateless_body(method, {**ASKED[method], **more, "_meta": meta})
        return (await post(gateway, body, stateless_headers(body)))[1]

    call = asyncio.create_task(ask())
    task_id = await paused(actor, {"inputs": {"name": NAME}})
    first = asking(await call)
    call = asyncio.create_task(ask(inputResponses={"name": ADA}, requestState=first["requestState"]))
    await actor.take()
    await actor.end(task_id, result="for Ada")
    answer = await call
    assert "for Ada" in str(answer["result"])
    assert await gateway.stored() == 1
