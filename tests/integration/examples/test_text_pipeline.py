"""docs/examples/text-pipeline, called in every way that its page and the README name."""

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mcp import Client

from tests.support.dev import DevRun, run_asya
from tests.support.streams import events_of

# The first test of the module starts the example.
pytestmark = pytest.mark.timeout(200)

EXAMPLE = "text-pipeline"
TEXT = "the sea, the sky and the sea"
RESULT = {"summary": "7 words, most often the (3), sea (2).", "words": 7, "top": {"the": 3, "sea": 2}}
CALL: dict[str, Any] = {"name": "text_report", "arguments": {"text": TEXT, "top": 2}}


def test_the_command_line_prints_the_result_and_shows_the_way_there(example: DevRun) -> None:
    done = run_asya("tool", "call", "text_report", f"text={TEXT}", "top=2", url=example.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == RESULT
    for actor in ("clean", "count-words", "summarize"):
        assert f"{actor}: " in done.stderr


def test_the_command_line_lists_the_tool_with_its_arguments(example: DevRun) -> None:
    done = run_asya("tool", "list", url=example.url)
    assert done.returncode == 0, done.stderr
    assert "text_report" in done.stdout
    assert "text=string [top=integer]" in done.stdout


def test_the_command_line_names_the_tools_that_are_near(example: DevRun) -> None:
    done = run_asya("tool", "call", "text_reports", url=example.url)
    assert done.returncode == 1
    assert done.stderr == "error: no tool 'text_reports'; there is text_report\n"


def test_arguments_that_break_the_schema_are_refused_with_their_place(example: DevRun) -> None:
    done = run_asya("tool", "call", "text_report", "text=x", "top=0", url=example.url)
    assert done.returncode == 1
    assert "/top" in done.stderr


def test_a_call_that_is_not_waited_for_can_be_watched_and_read(example: DevRun) -> None:
    handle = json.loads(run_asya("tool", "call", "text_report", f"text={TEXT}", "--no-wait", url=example.url).stdout)
    watched = run_asya("task", "watch", handle["task_id"], url=example.url)
    assert watched.returncode == 0, watched.stderr
    task = json.loads(run_asya("task", "get", handle["task_id"], "--json", url=example.url).stdout)
    assert task["status"] == "succeeded"
    assert task["result"] == json.loads(watched.stdout)
    shown = run_asya("task", "get", handle["task_id"], url=example.url).stdout
    assert "clean ✓ → count-words ✓ → summarize ✓" in shown
    listed = run_asya("task", "list", "--status", "succeeded", "--flow", "text_report", url=example.url).stdout
    assert handle["task_id"] in listed


async def test_rest_waits_for_the_result(http: aiohttp.ClientSession) -> None:
    async with http.post("/tools/call", json=CALL, headers={"Prefer": "wait=30"}) as response:
        assert response.status == 200
        task = await response.json()
    assert (task["status"], task["result"]) == ("succeeded", RESULT)


async def test_the_stream_has_every_update_once_and_ends(http: aiohttp.ClientSession) -> None:
    async with http.post("/tools/call", json=CALL) as response:
        handle = json.loads((await response.json())["content"][0]["text"])
    async with http.get(handle["stream_url"]) as response:
        events = [event async for event in events_of(response)]
    updates = [event for event in events if event.name == "update"]
    assert [int(update.id) for update in updates] == list(range(1, len(updates) + 1))
    assert updates[-1].data["status"] == "succeeded"
    assert updates[-1].data["result"] == RESULT
    states = [(update.data["actor"], update.data["task_state"]) for update in updates if "task_state" in update.data]
    assert [actor for actor, state in states if state == "completed"] == ["clean", "count-words", "summarize"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_an_mcp_client_lists_and_calls_it(example: DevRun, mode: str) -> None:
    heard: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with Client(f"{example.url}/mcp", mode=mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["text_report"]
        result = await client.call_tool("text_report", CALL["arguments"], progress_callback=on_progress)
    assert result.structured_content == RESULT
    assert heard == sorted(heard)
    assert heard


def test_what_to_paste_is_printed_and_true(example: DevRun) -> None:
    assert f"claude mcp add --transport http asya {example.url}/mcp" in example.text
    assert json.dumps({"mcpServers": {"asya": {"url": f"{example.url}/mcp"}}}) in example.text


def test_the_readmes_python_client_prints_the_result(example: DevRun) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    block = re.search(r"\n((?:    .*\n|\n)*    asyncio\.run\(main\(\)\)\n)", readme)
    assert block, "the README shows a Python client"
    script = textwrap.dedent(block[1]).replace("http://127.0.0.1:8080", example.url)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout)["words"] == RESULT["words"]


def blocks_of_clients_page(language: str, url: str) -> list[str]:
    """The blocks of docs/how-to/mcp-clients.md in this language, with the example's URL."""
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "mcp-clients.md").read_text()
    found = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert all("http://127.0.0.1:8080/mcp" in block for block in found)
    return [block.replace("http://127.0.0.1:8080", url) for block in found]


def test_the_requests_of_the_clients_page_are_answered(example: DevRun) -> None:
    blocks = blocks_of_clients_page("sh", example.url)
    answers = []
    for block in blocks:
        command = block.replace("curl -s ", "curl -s -w '\\n' ")
        done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=60, check=True)
        answers.append([json.loads(line) for line in done.stdout.splitlines() if line])
    (stateless,), (initialized, called) = answers
    assert initialized["result"]["protocolVersion"] == "2025-11-25"
    for answer in (stateless, called):
        assert answer["result"]["structuredContent"]["words"] == 7
    assert stateless["result"]["resultType"] == "complete"


def test_the_python_of_the_clients_page_runs(example: DevRun) -> None:
    (block,) = blocks_of_clients_page("python", example.url)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=60, check=True)
    assert ast.literal_eval(done.stdout)["words"] == 7
