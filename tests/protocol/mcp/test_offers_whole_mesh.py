"""Prompts, resources and tool sets with the official client, real queues and real workers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp import Client

from tests.support.actors import Mesh, start_mesh
from tests.support.waiting import until

FLOWS = """
sets:
  docs: [handbook]
flows:
  - name: greeting
    description: Greets somebody
    entrypoint: greets
    mcp:
      tool: false
      prompt: {arguments: [{name: who, required: true, enum: [Ann, Bob]}]}
  - name: handbook
    description: The handbook
    entrypoint: reads
    mcp:
      tool: false
      resource: {uri: "docs://handbook", mimeType: text/markdown, changes: true}
  - name: page
    description: A page
    entrypoint: reads
    mcp:
      inputSchema: {type: object, properties: {id: {type: integer}}}
      resource: {uriTemplate: "docs://pages/{id}"}
  - {name: editor, entrypoint: announces, mcp: {}}
"""


@pytest.fixture
async def mesh(database_url: str, tmp_path: Path) -> AsyncIterator[Mesh]:
    flows = tmp_path / "flows.yaml"
    flows.write_text(FLOWS)
    async with start_mesh(database_url, config_path=str(flows)) as made:
        await until(lambda: len(made.gateway.flows.table.flows) == 4, what="the flows")
        names = ("greets", "reads", "announces")
        await made.run(*(made.worker(name, name, resiliency_actor_retry_max_attempts=1) for name in names))
        yield made


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_prompt_is_listed_completed_and_run(mesh: Mesh, mode: str) -> None:
    async with Client(f"{mesh.url}/mcp", mode=mode) as client:
        (prompt,) = (await client.list_prompts()).prompts
        assert (prompt.name, [argument.name for argument in prompt.arguments or ()]) == ("greeting", ["who"])
        result = await client.get_prompt("greeting", {"who": "Ann"})
        assert [message.role for message in result.messages] == ["assistant", "user"]
        assert result.messages[0].content.text == "Hello, Ann!"  # type: ignore[union-attr]
        assert result.messages[1].content.type == "image"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_resources_are_listed_and_read_and_missing_ones_are_errors(mesh: Mesh, mode: str) -> None:
    async with Client(f"{mesh.url}/mcp", mode=mode) as client:
        (resource,) = (await client.list_resources()).resources
        assert (str(resource.uri), resource.mime_type) == ("docs://handbook", "text/markdown")
        (text,) = (await client.read_resource("docs://handbook")).contents
        assert (text.mime_type, text.text) == ("text/markdown", "# Handbook {}")  # type: ignore[union-attr]
        (blob,) = (await client.read_resource("docs://pages/7")).contents
        assert blob.blob == "aGk="  # type: ignore[union-attr]
        for missing in ("docs://pages/404", "docs://nothing"):
            with pytest.raises(Exception, match="Resource not found"):
                await client.read_resource(missing)


async def test_a_tool_set_is_an_endpoint_of_its_own(mesh: Mesh) -> None:
    async with Client(f"{mesh.url}/mcp/docs", mode="auto") as client:
        assert (await client.list_tools()).tools == []
        assert [str(each.uri) for each in (await client.list_resources()).resources] == ["docs://handbook"]
    async with Client(f"{mesh.url}/mcp?flows=editor", mode="auto") as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["editor"]


async def test_a_handler_announces_a_changed_resource_to_subscribers(mesh: Mesh) -> None:
    async with (
        Client(f"{mesh.url}/mcp", mode="2026-07-28") as client,
        client.listen(resource_subscriptions=["docs://handbook"]) as events,
    ):
        await client.call_tool("editor", {"uri": "docs://handbook"})
        async with asyncio.timeout(10):
            event = await anext(aiter(events))
        assert "docs://handbook" in repr(event)
