"""How long a message waits for its task, and what becomes of a task whose client leaves."""

import asyncio
from typing import Any

import pytest

from asya_gateway.protocols.http.keys import HELD
from tests.support.a2a import SKILLS, envelope, open_post, post, rpc, streaming, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools
from tests.support.waiting import until

OLD = {"role": "user", "parts": [{"kind": "text", "type": "text", "text": "hi"}]}
SENDS: dict[str, dict[str, Any]] = {
    "SendMessage": {"message": text_message("hi")},
    "message/send": {"message": {"messageId": "m", **OLD}},
    "tasks/send": {"id": "own", "message": OLD},
}
STREAMS = {
    "SendStreamingMessage": SENDS["SendMessage"],
    "message/stream": SENDS["message/send"],
    "tasks/sendSubscribe": SENDS["tasks/send"],
}


def version_of(method: str) -> str | None:
    return None if "/" in method else "1.0"


async def test_a_send_that_waits_too_long_returns_the_task_as_it_is(database_url: str) -> None:
    """Never an error: the task goes on, and can be looked at."""
    async with start_gateway(database_url, a2a_block=0.3) as gateway:
        serve_tools(gateway, SKILLS)
        actor = Actor(gateway)
        for method, params in SENDS.items():
            answer = await rpc(gateway, method, params, path="/a2a/echo", version=version_of(method))
            task = answer["result"].get("task", answer["result"])
            assert task["status"]["state"].lower().removeprefix("task_state_") == "submitted"
            task_id, _ = await actor.take()
            await actor.end(task_id, result="done")
            found = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]
            assert found["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize("method", [*SENDS, *STREAMS])
async def test_a_client_that_leaves_cancels_nothing(gateway: Gateway, actor: Actor, method: str) -> None:
    params = {**SENDS, **STREAMS}[method]
    held = gateway.app[HELD]

    async def leave() -> None:
        sent = open_post(gateway, envelope(method, params), path="/a2a/echo", version=version_of(method))
        async with sent as response:
            await response.read()

    leaving = asyncio.create_task(leave())
    task_id, _ = await actor.take()
    await until(lambda: len(held) == 1, what="the request to be held")
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await until(lambda: len(held) == 0, what="the request to be noticed as left")
    assert await actor.status(task_id) == "pending"
    await actor.end(task_id, result="done")
    found = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]
    assert found["artifacts"][0]["parts"] == [{"text": "done"}]


@pytest.mark.parametrize("method", STREAMS)
async def test_a_quiet_stream_has_comments(gateway: Gateway, actor: Actor, method: str) -> None:
    options: dict[str, Any] = {"path": "/a2a/echo", "version": version_of(method)}
    async with streaming(gateway, method, STREAMS[method], **options) as reader:
        assert await reader.next() is not None
        assert await reader.comment() == "keep-alive"
        task_id, _ = await actor.take()
        await actor.end(task_id, result="done")
        assert await reader.all() != []


@pytest.mark.parametrize("held", ["SendMessage", "SendStreamingMessage"])
async def test_what_is_held_open_counts_against_the_limit_and_beyond_it_nothing_is_stored(
    database_url: str, held: str
) -> None:
    async with start_gateway(database_url, max_streams=1) as gateway:
        serve_tools(gateway, SKILLS)
        params = {"message": text_message("tell")}
        holding = asyncio.create_task(post(gateway, envelope(held, params), path="/a2a/echo"))
        await until(gateway.stored, what="the task of the held request")
        assert len(gateway.app[HELD]) == 1
        for method in ("SendMessage", "SendStreamingMessage"):
            status, answer = await post(gateway, envelope(method, params), path="/a2a/echo")
            assert (status, answer["error"]["code"]) == (503, -32603), answer
        assert await gateway.stored() == 1
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        await until(lambda: len(gateway.app[HELD]) == 0, what="a free slot")
