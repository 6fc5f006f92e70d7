"""Idempotency-Key over MCP: a repeated tools/call is the same task."""

import pytest

from asya_gateway.protocols.http.keys import FLOWS
from tests.support.gateway import Gateway, make_flows
from tests.support.mcp import BOTH, Actor, ask, calling, message, post
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
