"""The official client with the real gateway, real queues and real workers: nothing is simulated."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.support import handlers
from tests.support.actors import Mesh, start_mesh
from tests.support.waiting import until

FLOWS = """
flows:
  - name: shout
    description: Says it louder.
    entrypoint: upper
    routeNext: [exclaim]
    mcp:
      inputSchema: {type: object, properties: {text: {type: string}}, required: [text]}
      outputSchema: {type: object, properties: {text: {type: string}}, required: [text]}
  - {name: refuse, entrypoint: refuse, mcp: {}}
  - {name: tokens, entrypoint: tokens, mcp: {}}
"""


@pytest.fixture(autouse=True)
def _fresh_handlers() -> Iterator[None]:
    handlers.reset()
    yield
    handlers.GATE.set()


@pytest.fixture
async def mesh(database_url: str, tmp_path: Path) -> AsyncIterator[Mesh]:
    flows = tmp_path / "flows.yaml"
    flows.write_text(FLOWS)
    async with start_mesh(database_url, config_path=str(flows)) as made:
        await until(lambda: len(made.gateway.flows.table.flows) == 3, what="the flows")
        names = ("upper", "exclaim", "refuse", "tokens")
        await made.run(*(made.worker(name, name, resiliency_actor_retry_max_attempts=1) for name in names))
        yield made


@asynccontextmanager
async def connected(mesh: Mesh, mode: str) -> AsyncIterator[Client]:
    async with Client(f"{mesh.url}/mcp", mode=mode) as client:
        yield client


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_tool_is_listed_called_and_watched(mesh: Mesh, mode: str) -> None:
    heard: list[Any] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    async with connected(mesh, mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["refuse", "shout", "tokens"]
        result = await client.call_tool("shout", {"text": "hi"}, progress_callback=on_progress)
        wrong = await client.call_tool("shout", {"text": 7})
    assert (result.is_error, result.structured_content) == (False, {"text": "HI!"})
    assert wrong.is_error
    assert "/text" in wrong.content[0].text  # type: ignore[union-attr]
    values = [progress for progress, _ in heard]
    assert values == sorted(set(values))
    assert values[-1] == 100
    said = " ".join(message or "" for _, message in heard)
    assert said.index("upper") < said.index("exclaim")


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_handlers_refusal_is_the_tools_error(mesh: Mesh, mode: str) -> None:
    async with connected(mesh, mode) as client:
        result = await client.call_tool("refuse", {})
    assert result.is_error
    assert result.content[0].text == "Refusal: no, thank you"  # type: ignore[union-attr]


async def test_tokens_arrive_as_progress(mesh: Mesh) -> None:
    heard: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with connected(mesh, "auto") as client:
        result = await client.call_tool("tokens", {"count": 3}, progress_callback=on_progress)
    assert result.structured_content == {"said": 3}
    assert [message for message in heard if message in ("t0", "t1", "t2")] == ["t0", "t1", "t2"]
