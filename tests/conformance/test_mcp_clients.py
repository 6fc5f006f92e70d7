"""Clients of others live their whole life with the gateway, each message of which may reach another replica."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.conformance import tools
from tests.conformance.served import Served
from tests.conformance.tools import Node, run

pytestmark = pytest.mark.timeout(180)

HERE = Path(__file__).parent
SIMPLE = "This is a simple text response for testing."
UNKNOWN = -32602


@pytest.fixture
def mark() -> str:
    """What a canceled task is found by."""
    return f"mark-{uuid.uuid4().hex}"


def lived(seen: dict[str, Any]) -> None:
    """What every client sees, whatever it speaks."""
    assert {"a_first_tool", "slow", "test_tool_with_progress"} <= set(seen["tools"])
    assert seen["echoed"] == {"n": 1}
    assert len(seen["progress"]) >= 3
    assert seen["progress"] == sorted(set(seen["progress"]))
    assert seen["progressed"]
    assert "test_simple_prompt" in seen["prompts"]
    assert seen["prompt"]
    assert "test://static-text" in seen["resources"]
    assert seen["resource"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_typescripts_second_generation(served: Served, node: Node, mark: str, mode: str) -> None:
    done = await node.run("mcp_v2_client.mjs", json.dumps({"url": served.both, "mode": mode, "mark": mark}))
    seen = done.answer
    lived(seen)
    assert seen["version"] == ("2026-07-28" if mode == "auto" else "2025-11-25")
    assert seen["error"] is True
    assert seen["unknown"] == UNKNOWN
    assert seen["patient"] == {"seconds": 4}
    assert seen["canceled"] != "nothing"
    assert await served.ended_as(mark) == "canceled"
    questions = 2 if mode == "auto" else 1
    assert len(seen["asked"]) == questions
    assert ["my " in answered for answered in seen["elicited"]] == [True] * questions
    assert "123" in seen["templated"]
    assert seen["again"] == {"n": 2}


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_typescripts_first_generation(served: Served, node: Node, mark: str, transport: str) -> None:
    url = served.both if transport == "http" else f"{served.both}/sse"
    done = await node.run("mcp_v1_client.mjs", json.dumps({"url": url, "sse": transport == "sse", "mark": mark}))
    seen = done.answer
    lived(seen)
    _after_a_handshake(seen)
    assert seen["patient"] == {"seconds": 4}
    assert await served.ended_as(mark) == "canceled"


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_pythons_first_generation(served: Served, mark: str, transport: str) -> None:
    url = served.both if transport == "http" else f"{served.both}/sse"
    arguments = json.dumps({"url": url, "sse": transport == "sse", "mark": mark})
    seen = (await run(tools.mcp1(), str(HERE / "python" / "mcp_v1_client.py"), arguments)).answer
    lived(seen)
    _after_a_handshake(seen)
    assert seen["version"] == "2025-11-25"
    assert await served.ended_as(mark) == "canceled"


def _after_a_handshake(seen: dict[str, Any]) -> None:
    assert seen["error"] is True
    assert seen["unknown"] == UNKNOWN
    assert seen["asked"] == ["Who?"]
    assert "my " in seen["elicited"]
    assert "sampled" in seen["sampled"]
    assert len(seen["logged"]) >= 3
    assert seen["again"] == {"n": 2}


async def test_fastmcp_and_its_tasks(served: Served, fastmcp: str) -> None:
    """It declares the tasks extension with every call, and follows a task without being told."""
    arguments = json.dumps({"url": served.both})
    seen = (await run(fastmcp, str(HERE / "python" / "fastmcp_client.py"), arguments)).answer
    lived(seen)
    assert (seen["error"], seen["unknown"]) != ("nothing", "nothing")
    assert seen["quick"] == "Hello, Ann!"
    assert seen["long"]
    assert len(seen["asked"]) == 1
    assert "a.txt" in seen["confirmed"]


@pytest.mark.parametrize("generation", ["v1", "v2"])
async def test_typescripts_tasks(served: Served, node: Node, mark: str, generation: str) -> None:
    options = {"url": served.both, "generation": generation, "mark": mark}
    seen = (await node.run("ext_tasks_client.mjs", json.dumps(options))).answer
    assert seen["quick"]["text"] == "Hello, Ann!"
    assert (seen["long"]["kind"], seen["long"]["status"]) == ("task", "completed")
    assert (seen["confirmed"]["kind"], seen["confirmed"]["status"]) == ("task", "completed")
    assert "a.txt" in seen["confirmed"]["text"]
    assert len(seen["asked"]) == 1
    assert seen["canceled"] == "cancelled"
    assert await served.ended_as(mark) == "canceled"


@pytest.mark.parametrize("transport", ["http-only", "sse-only"])
async def test_mcp_remote_bridges_a_client_of_stdio(served: Served, node: Node, tmp_path: Path, transport: str) -> None:
    url = served.both if transport == "http-only" else f"{served.both}/sse"
    program = "node_modules/mcp-remote/dist/proxy.js"
    command, *script = node.script(program)
    bridge = StdioServerParameters(
        command=command,
        args=[*script, url, "--transport", transport],
        env={"HOME": str(tmp_path), "MCP_REMOTE_CONFIG_DIR": str(tmp_path)},
    )
    async with stdio_client(bridge) as streams, ClientSession(*streams) as session:
        await session.initialize()
        names = [tool.name for tool in (await session.list_tools()).tools]
        assert "a_first_tool" in names
        assert (await session.call_tool("a_first_tool", {"n": 3})).structured_content == {"n": 3}


@pytest.mark.parametrize(
    ("method", "options", "wanted"),
    [
        ("tools/list", ["--strict"], "a_first_tool"),
        ("tools/call", ["--tool-name", "test_simple_text"], SIMPLE),
        ("prompts/list", [], "test_simple_prompt"),
        ("resources/read", ["--uri", "test://static-text"], "test://static-text"),
    ],
    ids=["tools", "call", "prompts", "resource"],
)
async def test_the_inspector_finds_nothing_to_complain_of(
    served: Served, node: Node, tmp_path: Path, method: str, options: list[str], wanted: str
) -> None:
    program = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    done = await node.run(
        program, "--cli", served.both, "--transport", "http", "--method", method, *options, HOME=str(tmp_path)
    )
    assert done.status == 0, done.stdout + done.stderr
    assert wanted in done.stdout
