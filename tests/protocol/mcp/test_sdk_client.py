"""The official SDK's client, which was not written here, in every era it speaks."""

import asyncio
import json
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
@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ({"n": "three", "note": "x"}, "- /n: "),
        ({}, "n"),
        ([1], "- /: "),
        ("text", "- /: "),
        (None, "- /: "),
        ({"content": [{"type": "text", "text": "own"}]}, "there is no structured result"),
        ({"content": [{"type": "text", "text": "own"}], "structuredContent": {"n": "x"}}, "- /n: "),
    ],
)
async def test_a_result_that_breaks_the_output_schema_is_an_error_that_says_so_and_shows_it(
    gateway: Gateway, actor: Actor, mode: str, returned: Any, says: str
) -> None:
    """tools, "Output Schema": "Servers MUST provide structured results that conform to this schema"."""
    async with connected(gateway, mode) as client:
        serving = asyncio.create_task(actor.serve(returned))
        result = await client.call_tool("typed", {})
        task_id = await serving
    assert result.is_error
    assert result.structured_content is None
    why, shown = (block.text for block in result.content)  # type: ignore[union-attr]
    assert why.startswith("The flow's result does not match the tool's output schema:\n- ")
    assert says in why
    assert json.loads(shown) == returned
    assert await actor.status(task_id) == "succeeded"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "returned",
    [
        {"n": 3, "more": True},
        {"content": [{"type": "text", "text": "own"}], "structuredContent": {"n": 3}},
    ],
)
async def test_a_result_that_keeps_the_output_schema_is_structured(
    gateway: Gateway, actor: Actor, mode: str, returned: Any
) -> None:
    async with connected(gateway, mode) as client:
        serving = asyncio.create_task(actor.serve(returned))
        result = await client.call_tool("typed", {})
        await serving
    assert not result.is_error
    assert result.structured_content == returned.get("structuredContent", returned)


async def test_a_flow_that_says_itself_that_it_failed_promises_nothing(gateway: Gateway, actor: Actor) -> None:
    own = {"content": [{"type": "text", "text": "no"}], "isError": True}
    async with connected(gateway, "auto") as client:
        serving = asyncio.create_task(actor.serve(own))
        result = await client.call_tool("typed", {})
        await serving
    assert (result.is_error, len(result.content), result.content[0].text) == (True, 1, "no")  # type: ignore[union-attr]


async def test_any_value_is_held_against_its_schema_where_the_revision_carries_it(
    gateway: Gateway, actor: Actor
) -> None:
    for returned, broken in (([1, 2], False), ([1, "x"], True)):
        async with connected(gateway, "2026-07-28") as client:
            serving = asyncio.create_task(actor.serve(returned))
            result = await client.call_tool("listing", {})
            await serving
        assert result.is_error is broken
        assert result.structured_content == (None if broken else returned)


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
