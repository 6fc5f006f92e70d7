"""docs/examples/fan-out: one task becomes several."""

import json
from typing import Any

import aiohttp
import pytest
from mcp import Client

from tests.support.dev import DevRun, run_asya
from tests.support.streams import events_of
from tests.support.waiting import until

# The first test of the module starts the example.
pytestmark = pytest.mark.timeout(200)

EXAMPLE = "fan-out"
TEXT = "one two\n\nthree\n\nfour five six"
CALL: dict[str, Any] = {"name": "count_chapters", "arguments": {"text": TEXT}}
FIRST = {"chapter": 1, "of": 3, "words": 2}


async def test_each_chapter_is_a_task_of_its_own(http: aiohttp.ClientSession) -> None:
    async with http.post("/tools/call", json=CALL, headers={"Prefer": "wait=30"}) as response:
        parent = await response.json()
    assert parent["result"] == FIRST

    async def finished() -> list[str]:
        async with http.get("/tasks", params={"parent_id": parent["id"], "status": "succeeded"}) as response:
            children = (await response.json())["tasks"]
        return [child["id"] for child in children] if len(children) == 2 else []

    results = []
    for child in await until(finished, what="both children"):
        async with http.get(f"/tasks/{child}") as response:
            results.append((await response.json())["result"])
    assert sorted(result["chapter"] for result in results) == [2, 3]
    assert {result["chapter"]: result["words"] for result in results} == {2: 1, 3: 3}


def test_the_command_line_lists_the_children(example: DevRun) -> None:
    handle = json.loads(run_asya("tool", "call", "count_chapters", f"text={TEXT}", "--no-wait", url=example.url).stdout)
    watched = run_asya("task", "watch", handle["task_id"], url=example.url)
    assert json.loads(watched.stdout) == FIRST
    listed = run_asya("task", "list", "--parent", handle["task_id"], "--json", url=example.url)
    assert len(json.loads(listed.stdout)["tasks"]) == 2


async def test_the_stream_of_the_parent_ends_with_the_first_chapter(http: aiohttp.ClientSession) -> None:
    async with http.post("/tools/call", json=CALL) as response:
        handle = json.loads((await response.json())["content"][0]["text"])
    async with http.get(handle["stream_url"]) as response:
        events = [event async for event in events_of(response)]
    assert events[-1].data["result"] == FIRST


async def test_an_mcp_client_gets_the_first_chapter(example: DevRun) -> None:
    async with Client(f"{example.url}/mcp") as client:
        result = await client.call_tool("count_chapters", CALL["arguments"])
    assert result.structured_content == FIRST
