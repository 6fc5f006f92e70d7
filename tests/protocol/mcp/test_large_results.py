"""Large results of tools as a preview and a link that resources/read delivers in full."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_crds import jsontext
from tests.support.gateway import Gateway
from tests.support.mcp import Actor, ask, ask_old, conforms, start_mcp

LIMIT = 10_000


@pytest.fixture
async def linking(database_url: str) -> AsyncIterator[Gateway]:
    async with start_mcp(database_url, mcp_link_results_above=LIMIT) as made:
        yield made


async def called(gateway: Gateway, tool: str, result: Any, version: str = "2026-07-28") -> Any:
    params = {"name": tool, "arguments": {}}
    asking = asyncio.create_task(
        ask(gateway, "tools/call", params)
        if version == "2026-07-28"
        else ask_old(gateway, "tools/call", params, version)
    )
    await Actor(gateway).serve(result)
    _, answer = await asking
    conforms(answer["result"], "CallToolResult", version)
    return answer["result"]


@pytest.mark.parametrize(
    ("result", "whole", "media_type"),
    [
        ({"rows": list(range(5000))}, jsontext.dumps({"rows": list(range(5000))}), "application/json"),
        ("é" * 6000, "é" * 6000, "text/plain"),
    ],
    ids=["json", "text"],
)
@pytest.mark.parametrize("version", ["2025-06-18", "2026-07-28"])
async def test_a_large_result_is_a_preview_and_a_link_to_the_whole(
    linking: Gateway, version: str, result: Any, whole: str, media_type: str
) -> None:
    """server/tools, "Resource Links": 'A tool MAY return links to Resources, to provide additional context or data'."""
    found = await called(linking, "anything", result, version)
    preview, link = found["content"]
    assert whole[:2000] in preview["text"]
    assert len(preview["text"]) < 2500
    assert (link["type"], link["mimeType"], link["size"]) == ("resource_link", media_type, len(whole.encode()))
    assert "structuredContent" not in found
    _, answer = await ask(linking, "resources/read", {"uri": link["uri"]})
    assert answer["result"]["contents"] == [{"uri": link["uri"], "mimeType": media_type, "text": whole}]


@pytest.mark.parametrize(
    ("tool", "result", "version"),
    [
        ("anything", {"rows": list(range(5000))}, "2025-03-26"),
        ("listing", list(range(5000)), "2026-07-28"),
        ("anything", {"content": [{"type": "text", "text": "x" * 20_000}]}, "2026-07-28"),
        ("anything", {"rows": list(range(50))}, "2026-07-28"),
    ],
    ids=["revision without links", "output schema", "content of the flow", "small"],
)
async def test_every_other_result_goes_whole(linking: Gateway, tool: str, result: Any, version: str) -> None:
    found = await called(linking, tool, result, version)
    assert [block["type"] for block in found["content"]] == ["text"]
    assert found["isError"] is False


async def test_nothing_is_linked_unless_a_setting_says_so(gateway: Gateway) -> None:
    found = await called(gateway, "anything", "x" * 200_000)
    assert [(block["type"], len(block["text"])) for block in found["content"]] == [("text", 200_000)]
