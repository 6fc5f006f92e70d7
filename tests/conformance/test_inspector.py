"""The inspector's command line, which asks once and ends, in each of its eras and transports."""

import asyncio
import json
import signal
import uuid
from pathlib import Path

import aiohttp
import pytest

from tests.conformance.cutting import Cutting
from tests.conformance.served import Served
from tests.conformance.tools import Finished, Node, run
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)

PROGRAM = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
WAYS = {
    "2025-11-25": ("", ["--transport", "http", "--protocol-era", "legacy"]),
    "2026-07-28": ("", ["--transport", "http", "--protocol-era", "modern"]),
    "HTTP+SSE": ("/sse", ["--transport", "sse"]),
}
"""What follows the endpoint, and the options."""
HANDSHAKES = [way for way in WAYS if way != "2026-07-28"]
FINE, NOT_FOUND_OR_ERROR, USAGE = 0, 5, 1
"""Exit statuses."""
ASKS: dict[str, tuple[list[str], int, str]] = {
    "initialize": (["initialize"], FINE, '"name": "asya"'),
    "tools": (["tools/list", "--strict"], FINE, "a_first_tool"),
    "call": (["tools/call", "--tool-name", "test_simple_text"], FINE, "This is a simple text response for testing."),
    "long call": (["tools/call", "--tool-name", "slow_compute", "--tool-arg", "seconds=2"], FINE, "Computed  in 2 s"),
    "error": (["tools/call", "--tool-name", "test_error_handling"], NOT_FOUND_OR_ERROR, '"isError": true'),
    "unknown": (["tools/call", "--tool-name", "no_such_tool"], NOT_FOUND_OR_ERROR, "tool_not_found"),
    "prompts": (["prompts/list"], FINE, "test_simple_prompt"),
    "prompt": (["prompts/get", "--prompt-name", "test_simple_prompt"], FINE, "This is a simple prompt for testing."),
    "resources": (["resources/list"], FINE, "test://static-text"),
    "templates": (["resources/templates/list"], FINE, "test://template/{id}/data"),
    "resource": (["resources/read", "--uri", "test://static-text"], FINE, "content of the static text resource"),
}
"""Options after --method, the exit status, and what is printed."""


class Inspector:
    def __init__(self, url: str, node: Node, home: Path, way: str) -> None:
        path, options = WAYS[way]
        self.command = [*node.script(PROGRAM), "--cli", url + path, *options, "--method"]
        self.home = home

    async def __call__(self, *options: str) -> Finished:
        return await run(*self.command, *options, HOME=str(self.home))


@pytest.fixture
def inspector(served: Served, node: Node, tmp_path: Path, way: str) -> Inspector:
    return Inspector(served.both, node, tmp_path, way)


@pytest.fixture
def mark() -> str:
    """What a task is found by."""
    return f"mark-{uuid.uuid4().hex}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ask", ASKS)
async def test_the_inspector_finds_nothing_to_complain_of(inspector: Inspector, ask: str) -> None:
    """With --strict it judges the tools' schemas, too."""
    options, status, wanted = ASKS[ask]
    done = await inspector(*options)
    assert done.status == status, done.stdout + done.stderr
    assert wanted in done.stdout + done.stderr


@pytest.mark.parametrize("way", WAYS)
async def test_strict_judges_tools_only(inspector: Inspector) -> None:
    """So it cannot be asked for with every method."""
    done = await inspector("prompts/list", "--strict")
    assert done.status == USAGE
    assert "--strict requires --method tools/list" in done.stderr


@pytest.mark.parametrize("way", HANDSHAKES)
async def test_a_question_is_answered_elsewhere_after_a_handshake(inspector: Inspector, mark: str) -> None:
    """The inspector's command line cannot ask, so its result says where the answer goes."""
    done = await inspector("tools/call", "--tool-name", "test_elicitation", "--tool-arg", f"message={mark}")
    task = json.loads(done.stdout)["_meta"]["sh.asya/task"]
    assert (done.status, task["status"]) == (FINE, "paused")
    assert task["answer_url"] == f"/tasks/{task['task_id']}/resume"


@pytest.mark.parametrize("way", ["2026-07-28"])
async def test_a_task_that_asks_is_awaited_until_somebody_answers(
    inspector: Inspector, served: Served, mark: str
) -> None:
    """In the newest revision the inspector has tasks, and polls."""
    options = ["tools/call", "--tool-name", "test_elicitation", "--tool-arg", f"message={mark}"]
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
        asking = group.create_task(inspector(*options))
        task = await served.task_that_is("paused", mark)
        url = served.both.removesuffix("/mcp") + f"/tasks/{task}/resume"
        answer = {"answer": {"username": "Ann", "email": "ann@example.com"}}
        async with session.post(url, json=answer) as response:
            assert response.status < 300, await response.text()
    done = asking.result()
    assert done.status == FINE, done.stderr
    assert "User response: " in done.stdout
    assert "ann@example.com" in done.stdout


@pytest.mark.parametrize("way", ["2025-11-25"])
async def test_an_inspector_in_a_session_goes_on_after_its_call_was_cut(
    served: Served, node: Node, tmp_path: Path, way: str, mark: str
) -> None:
    front, process = await cut_off(served, node, tmp_path, way, mark, "slow_compute")
    done, _ = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, f"Computed {mark} in 3 s" in done.decode()) == (FINE, True)
    assert front.resumptions == 1
    assert [status for _, status in await served.tasks(mark)] == ["succeeded"]


@pytest.mark.parametrize(
    ("way", "tool", "ended"), [("HTTP+SSE", "slow_compute", "succeeded"), ("2026-07-28", "slow_answer", "canceled")]
)
async def test_an_inspector_loses_a_call_that_is_cut_and_its_task_ends_as_the_revision_has_it(
    served: Served, node: Node, tmp_path: Path, way: str, tool: str, ended: str, mark: str
) -> None:
    """With HTTP+SSE a call goes on as a task. In the newest revision its connection cancels it, unless the client had
    a task by then."""
    _, process = await cut_off(served, node, tmp_path, way, mark, tool)
    try:
        assert await served.ended_as(mark) == ended
        assert len(await served.tasks(mark)) == 1
    finally:
        # It may wait for as long as its own timer, for an answer that does not come.
        if process.returncode is None:
            process.kill()
        printed, _ = await process.communicate()
    assert f"Computed {mark}" not in printed.decode()


async def cut_off(
    served: Served, node: Node, folder: Path, way: str, mark: str, tool: str
) -> tuple[Cutting, asyncio.subprocess.Process]:
    """An inspector whose connections end in the middle of its call, and the front that has ended them."""
    front, url = served.cutting()
    inspector = Inspector(url, node, folder, way)
    options = ["tools/call", "--tool-name", tool, "--tool-arg", "seconds=3", f"label={mark}"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *inspector.command, *options, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    await served.task_that_is("running", mark)
    await until(lambda: front.begun, what="the stream of the call")
    front.cut()
    await until(lambda: front.cuts, what="the cut")
    return front, process


@pytest.mark.parametrize("way", WAYS)
async def test_an_interrupted_inspector_cancels_nothing(
    served: Served, node: Node, tmp_path: Path, way: str, mark: str
) -> None:
    """It says nothing to the server. After a handshake a lost connection is no cancellation, and in the newest revision
    the call is a task by then, which only `tasks/cancel` ends."""
    front, url = served.cutting()
    inspector = Inspector(url, node, tmp_path, way)
    options = ["tools/call", "--tool-name", "slow_compute", "--tool-arg", "seconds=3", f"label={mark}"]
    process = await asyncio.create_subprocess_exec(*inspector.command, *options, stdout=asyncio.subprocess.DEVNULL)
    try:
        await served.task_that_is("running", mark)
        if way not in HANDSHAKES:
            await until(lambda: front.methods["tasks/get"], what="the first look at the task")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            assert await process.wait() != 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert await served.ended_as(mark) == "succeeded"
