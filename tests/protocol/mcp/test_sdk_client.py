"""The official SDK's client, which was not written here, in every era it speaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, MCPError

from tests.support.gateway import Gateway
from tests.support.mcp import TOOLS, Actor, serve_tools

MODES = ["legacy", "auto", "2026-07-28"]


@asynccontextmanager
async def connected(gateway: Gateway, mode: str) -> AsyncIterator[Client]:
    async with Client(f"{gateway.url}/mcp", mode=mode) as client:
        yield client


@pytest.mark.parametrize(
    ("mode", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")]
)
async def test_a_client_settles_on_the_newest_version_of_its_era(gateway: Gateway, mode: str, version: str) -> None:
    async with connected(gateway, mode) as client:
        assert client.protocol_version == version
        if mode != "2026-07-28":
            assert client.server_info is not None
            assert client.server_info.name == "asya"


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_lists_every_exposed_flow_with_its_schema(gateway: Gateway, mode: str) -> None:
    async with connected(gateway, mode) as client:
        tools = (await client.list_tools()).tools
    exposed = sorted(tool["name"] for tool in TOOLS if "mcp" in tool)
    assert [tool.name for tool in tools] == exposed
    assert all(tool.description for tool in tools)
    person = next(tool for tool in tools if tool.name == "person")
    assert person.input_schema["$defs"]["address"]["$anchor"] == "address"


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_calls_a_tool_and_hears_of_its_progress(gateway: Gateway, actor: Actor, mode: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with connected(gateway, mode) as client:
        serving = asyncio.create_task(actor.serve({"text": "HI", "n": 2**60}))
        result = await client.call_tool("shout", {"text": "hi"}, progress_callback=on_progress)
        await serving
    assert not result.is_error
    assert result.structured_content == {"text": "HI", "n": 2**60}
    assert result.content[0].text == '{"text":"HI","n":1152921504606846976}'  # type: ignore[union-attr]
    values = [progress for progress, _, _ in heard]
    assert values == sorted(set(values))
    assert len(values) >= 3
    assert {total for _, total, _ in heard} == {100}
    assert "first: processing" in {message for _, _, message in heard}


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_sees_an_actors_error_as_the_tools_own(gateway: Gateway, actor: Actor, mode: str) -> None:
    async def fail() -> None:
        task_id, _ = await actor.take()
        await actor.end(task_id, "failed", error="no such city", **{"class": "business"})

    async with connected(gateway, mode) as client:
        failing = asyncio.create_task(fail())
        result = await client.call_tool("anything", {})
        await failing
    assert result.is_error
    assert result.content[0].text == "no such city"  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_gets_an_error_for_a_tool_that_does_not_exist(gateway: Gateway, mode: str) -> None:
    async with connected(gateway, mode) as client:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("missing", {})
    assert (raised.value.code, raised.value.message) == (-32602, "Unknown tool: missing")


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_may_leave_a_call_whose_schema_promises_more_than_a_pause_gives(
    gateway: Gateway, actor: Actor, mode: str
) -> None:
    """The client holds results against outputSchema, and refuses one that breaks it unless it says isError."""

    async def pause() -> None:
        task_id, _ = await actor.take()
        await actor.report(task_id, "paused", pause_metadata={"prompt": "Sure?", "fields": []})

    async with connected(gateway, mode) as client:
        pausing = asyncio.create_task(pause())
        result = await client.call_tool("typed", {})
        await pausing
    assert result.is_error
    assert "Sure?" in result.content[0].text  # type: ignore[union-attr]


async def test_a_client_without_a_handshake_hears_when_the_tools_change(gateway: Gateway) -> None:
    async with connected(gateway, "2026-07-28") as client, client.listen(tools_list_changed=True) as events:
        serve_tools(gateway, [*TOOLS, {"name": "fresh", "entrypoint": "first", "mcp": {}}], 2)
        async with asyncio.timeout(5):
            event: Any = await anext(aiter(events))
    assert "tools" in type(event).__name__.lower() or "tools" in str(event).lower()
