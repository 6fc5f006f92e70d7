"""2025-03-26, 2025-06-18 and 2025-11-25: what a call becomes for clients that shake hands."""

import asyncio
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.http.keys import STREAMS
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import (
    BOTH,
    HANDSHAKE_VERSIONS,
    Actor,
    calling,
    conforms,
    message,
    open_post,
    post,
)
from tests.support.waiting import until

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.mark.parametrize(
    ("version", "value", "structured"),
    [
        ("2025-03-26", {"n": 1}, None),
        ("2025-06-18", {"n": 1}, {"n": 1}),
        ("2025-11-25", {"n": 2**60}, {"n": 2**60}),
        ("2025-03-26", [1], None),
        ("2025-06-18", [1], {"result": [1]}),
        ("2025-11-25", "text", {"result": "text"}),
    ],
)
async def test_structured_content_is_an_object_where_there_is_any(
    gateway: Gateway, actor: Actor, version: str, value: Any, structured: Any
) -> None:
    """server/tools, "Structured Content": 'returned as a JSON object in the structuredContent field'."""
    async with calling(gateway, "anything", version=version) as call:
        await actor.serve(value)
        answer = (await call)[1][-1].data
    conforms(answer["result"], "CallToolResult", version)
    assert answer["result"].get("structuredContent") == structured
    assert "resultType" not in answer["result"]


async def test_content_blocks_that_a_revision_lacks_come_as_text(gateway: Gateway, actor: Actor) -> None:
    """resource_link came with 2025-06-18."""
    result = {"content": [{"type": "resource_link", "uri": "test://y", "name": "y"}]}
    kinds = []
    for version in HANDSHAKE_VERSIONS:
        async with calling(gateway, "anything", version=version) as call:
            await actor.serve(result)
            answer = (await call)[1][-1].data
        conforms(answer["result"], "CallToolResult", version)
        kinds.append(answer["result"]["content"][0]["type"])
    assert kinds == ["text", "text", "resource_link", "resource_link"]


async def test_audio_came_with_the_second_revision(gateway: Gateway, actor: Actor) -> None:
    result = {"content": [{"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}]}
    kinds = []
    for version in HANDSHAKE_VERSIONS[:2]:
        async with calling(gateway, "anything", version=version) as call:
            await actor.serve(result)
            answer = (await call)[1][-1].data
        conforms(answer["result"], "CallToolResult", version)
        kinds.append(answer["result"]["content"][0]["type"])
    assert kinds == ["text", "audio"]


@pytest.mark.parametrize("version", HANDSHAKE_VERSIONS)
async def test_progress_travels_on_the_calls_own_stream(gateway: Gateway, actor: Actor, version: str) -> None:
    body = message("tools/call", {"name": "anything", "arguments": {}, "_meta": {"progressToken": 7}})
    async with open_post(gateway, body, {"Accept": BOTH, "MCP-Protocol-Version": version}) as response:
        await actor.serve({})
        events = await Reader(response).all()
    assert [event.data["params"]["progress"] for event in events[:-1]][-2:] == [99.0, 100]
    for event in events[:-1]:
        conforms(event.data, "ProgressNotification", version)
    conforms(events[-1].data["result"], "CallToolResult", version)
    assert all(event.id is None for event in events)


async def test_leaving_is_not_canceling(gateway: Gateway, actor: Actor) -> None:
    """transports: 'Disconnection ... SHOULD NOT be interpreted as the client cancelling its request'."""
    async with calling(gateway, "anything", version="2025-11-25") as call:
        task_id, _ = await actor.take()
        call.cancel()
    await until(lambda: len(gateway.app[STREAMS]) == 0)
    await actor.report(task_id, "received")
    assert await actor.status(task_id) == "running"
    await actor.end(task_id, result=1)
    assert await actor.status(task_id) == "succeeded"


async def test_a_cancel_by_request_id_reaches_no_other_client(gateway: Gateway, actor: Actor) -> None:
    """utilities/cancellation: ids are unique within a session; without one they say nothing about whose call it is."""
    async with calling(gateway, "anything", version="2025-11-25") as call:
        task_id, _ = await actor.take()
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await post(gateway, body, {"Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}))[0] == 202
        await actor.end(task_id, result=1)
        assert "result" in (await call)[1][-1].data


@pytest.mark.parametrize("version", [None, "2025-03-26"])
async def test_a_batch_is_answered_in_one_array(gateway: Gateway, actor: Actor, version: str | None) -> None:
    """2025-03-26, basic, "Batching": 'MCP implementations ... MUST support receiving JSON-RPC batches'."""
    batch = [
        message("ping", id="a"),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        message("tools/call", {"name": "anything"}, id=2),
        message("nothing", id=3),
        message("initialize", HELLO, id=4),
        {"jsonrpc": "2.0", "id": 5},
        7,
    ]
    headers = {"Accept": BOTH, "Content-Type": "application/json"}
    if version is not None:
        headers["MCP-Protocol-Version"] = version
    data = jsontext.dumps(batch)
    serving = asyncio.create_task(actor.serve({"ok": True}))
    async with gateway.session.post(gateway.url + "/mcp", data=data, headers=headers) as response:
        await serving
        assert response.status == 200
        answers = jsontext.loads(await response.text())
    assert [answer.get("id") for answer in answers] == ["a", 2, 3, 4, 5, None]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, None, -32601, -32600, -32600, -32600]
