"""docs/examples/token-stream: live events while the actor works."""

import json
from typing import Any

import aiohttp
import pytest
from mcp import Client

from tests.support.dev import DevRun, run_asya
from tests.support.streams import events_of

# The first test of the module starts the example.
pytestmark = pytest.mark.timeout(200)

EXAMPLE = "token-stream"
STORY = "Once upon a time an owl looked at the sea, wrote down what it said, and was never bored again."
CALL: dict[str, Any] = {"name": "tell_story", "arguments": {"hero": "an owl", "pause": 0.1}}


def test_the_command_line_shows_tokens_as_they_come_and_prints_the_result_alone(example: DevRun) -> None:
    done = run_asya("tool", "call", "tell_story", "hero=an owl", "pause=0.1", url=example.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"story": STORY}
    # Whoever comes a moment late misses the first tokens, which are not stored; the last ones everybody sees.
    assert "never bored again." in done.stderr


async def test_the_stream_carries_tokens_without_an_id_between_the_updates(http: aiohttp.ClientSession) -> None:
    async with http.post("/tools/call", json=CALL) as response:
        handle = json.loads((await response.json())["content"][0]["text"])
    async with http.get(handle["stream_url"]) as response:
        events = [event async for event in events_of(response)]
    tokens = [event for event in events if event.name == "partial"]
    told = "".join(event.data["token"] for event in tokens).strip()
    assert STORY.endswith(told)
    assert len(tokens) >= 10
    assert not any(event.id for event in tokens)
    assert events[-1].data["result"] == {"story": STORY}


async def test_rest_waits_for_the_whole_story(http: aiohttp.ClientSession) -> None:
    async with http.post("/tools/call", json=CALL, headers={"Prefer": "wait=30"}) as response:
        assert (await response.json())["result"] == {"story": STORY}


async def test_an_mcp_client_gets_the_whole_story(example: DevRun) -> None:
    async with Client(f"{example.url}/mcp") as client:
        result = await client.call_tool("tell_story", CALL["arguments"])
    assert result.structured_content == {"story": STORY}
