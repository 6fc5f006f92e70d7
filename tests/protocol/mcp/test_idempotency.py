"""Idempotency-Key over MCP: a repeated tools/call is the same task."""

import asyncio
from typing import Any

import pytest

from asya_gateway.protocols.http.keys import FLOWS
from tests.support.gateway import Gateway, make_flows
from tests.support.mcp import BOTH, Actor, ask, calling, message, post
from tests.support.standing import AT_REST
from tests.support.waiting import until

KEY = {"Idempotency-Key": "once"}
CALL = {"name": "anything", "arguments": {"n": 1}}


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_a_repeated_call_gets_the_result_of_the_first(gateway: Gateway, actor: Actor, version: str) -> None:
    async with calling(gateway, "anything", {"n": 1}, version=version, **KEY) as call:
        await actor.serve({"done": 1})
        _, first = await call
    async with calling(gateway, "anything", {"n": 1}, version=version, **KEY) as call:
        _, again = await call
    assert first[-1].data == again[-1].data
    assert await gateway.stored() == 1


async def test_another_call_under_the_same_key_is_invalid_params(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "anything", {"n": 1}, **KEY) as call:
        await actor.serve({"done": 1})
        await call
    status, answer = await ask(gateway, "tools/call", {"name": "anything", "arguments": {"n": 2}}, **KEY)
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert "Idempotency-Key" in answer["error"]["message"]


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_header_and_meta_name_the_same_task(gateway: Gateway, actor: Actor, version: str) -> None:
    """The digest is of the flow and its arguments, never of `_meta`."""
    async with calling(gateway, "anything", {"n": 1}, version=version, **KEY) as call:
        await actor.serve({"done": 1})
        _, first = await call
    params = {**CALL, "_meta": {"sh.asya/idempotencyKey": "once"}}
    for headers in ({}, KEY):
        status, again = await ask_in(gateway, version, params, headers)
        assert (status, again["result"]) == (200, first[-1].data["result"])
    assert await gateway.stored() == 1


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_two_different_keys_are_refused(gateway: Gateway, version: str) -> None:
    params = {**CALL, "_meta": {"sh.asya/idempotencyKey": "twice"}}
    status, answer = await ask_in(gateway, version, params, KEY)
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert "expected the same key" in answer["error"]["message"]
    assert await gateway.stored() == 0


@pytest.mark.parametrize("key", [7, "", "a b", "x" * 256, ["once"], {}, True])
@AT_REST
async def test_a_key_in_meta_has_the_form_of_the_header(idle: Gateway, key: Any) -> None:
    params = {**CALL, "_meta": {"sh.asya/idempotencyKey": key}}
    status, answer = await ask(idle, "tools/call", params)
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert "sh.asya/idempotencyKey" in answer["error"]["message"]
    assert await idle.stored() == 0


async def test_messages_of_a_batch_have_their_own_keys(gateway: Gateway, actor: Actor) -> None:
    """In a batch `_meta` is the only place: the header would apply to several calls."""
    calls = [
        message("tools/call", {**CALL, "_meta": {"sh.asya/idempotencyKey": key}}, id)
        for id, key in enumerate(["a", "b", "a"])
    ]
    headers = {"Accept": BOTH, "MCP-Protocol-Version": "2025-03-26"}
    batch = asyncio.create_task(post(gateway, calls, headers))
    await actor.serve({"done": 1})
    await actor.serve({"done": 1})
    status, answers = await batch
    tasks = [answer["result"]["_meta"]["sh.asya/task"]["task_id"] for answer in answers]
    assert (status, tasks[0] == tasks[2], tasks[0] == tasks[1]) == (200, True, False)
    assert await gateway.stored() == 2


async def ask_in(gateway: Gateway, version: str, params: Any, headers: dict[str, str]) -> tuple[int, Any]:
    if version == "2026-07-28":
        return await ask(gateway, "tools/call", params, **headers)
    all_headers = {"Accept": BOTH, "MCP-Protocol-Version": version, **headers}
    return await post(gateway, message("tools/call", params), all_headers)


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_a_repeated_call_is_answered_though_its_tool_is_gone(
    gateway: Gateway, actor: Actor, version: str
) -> None:
    async with calling(gateway, "anything", {"n": 1}, version=version, **KEY) as call:
        await actor.serve({"done": 1})
        _, first = await call
    gateway.app[FLOWS].swap(make_flows([]).table)
    async with calling(gateway, "anything", {"n": 1}, version=version, **KEY) as call:
        _, again = await call
    assert first[-1].data["result"]["structuredContent"] == again[-1].data["result"]["structuredContent"]
    assert await gateway.stored() == 1
    for headers, message_of in (
        (KEY, "Idempotency-Key"),
        ({"Idempotency-Key": "another"}, "Unknown tool"),
        ({}, "Unknown tool"),
    ):
        other = {"name": "anything", "arguments": {"n": 2}}
        _, answer = await ask(gateway, "tools/call", other, **headers)
        assert answer["error"]["code"] == -32602
        assert message_of in answer["error"]["message"]


async def test_a_caller_who_left_a_keyed_call_finds_it_still_running(gateway: Gateway, actor: Actor) -> None:
    """A disconnect does not cancel a keyed call."""
    async with calling(gateway, "anything", {"n": 1}, **KEY):
        task_id, _ = await actor.take()
    async with calling(gateway, "anything", {"n": 1}) as unkeyed:
        abandoned, _ = await actor.take()
        assert not unkeyed.done()

    async def ended() -> bool:
        return await actor.status(abandoned) == "canceled"

    await until(ended, what="the end of the call without a key")
    assert await actor.status(task_id) == "pending"
    async with calling(gateway, "anything", {"n": 1}, **KEY) as call:
        await actor.end(task_id, result={"done": 1})
        _, events = await call
    assert events[-1].data["result"]["structuredContent"] == {"done": 1}


async def test_an_invalid_key_is_invalid_params(gateway: Gateway) -> None:
    status, answer = await ask(gateway, "tools/call", CALL, **{"Idempotency-Key": "a b"})
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert "Idempotency-Key: expected 1 to 255 visible" in answer["error"]["message"]
    assert await gateway.stored() == 0


async def test_a_batch_has_no_key(gateway: Gateway) -> None:
    headers = {"Accept": BOTH, "MCP-Protocol-Version": "2025-03-26", **KEY}
    status, answer = await post(gateway, [message("tools/call", CALL)], headers)
    assert (status, answer["error"]["code"]) == (400, -32600)
    assert await gateway.stored() == 0
