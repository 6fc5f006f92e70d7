# mypy: ignore-errors
# It runs in an environment of its own.
"""The official Python client of the second generation, against the fixture: in either era over HTTP, over HTTP+SSE, and
before a bridge that speaks stdio.

The argument is JSON: mode ('auto', 'legacy', 'sse', 'stdio'), url, cutting, mark. With 'stdio' both addresses are
commands, and env is their environment. The last line printed is JSON: what each step of a client's life returned.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
from living import (
    ASKING,
    CUT,
    HASTE,
    KEY,
    MARK,
    MODE,
    OPTIONS,
    PATIENCE,
    SEEN,
    SILENT,
    Heard,
    Resumptions,
    abandoned,
    code_of,
    filled,
    live,
    refused,
)
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


async def elicit(_: Any, params: Any) -> Any:
    SEEN["asked"].append(params.message)
    return types.ElicitResult(action="accept", content=filled(params.requested_schema))


async def sample(_: Any, __: Any) -> Any:
    content = types.TextContent(type="text", text="sampled")
    return types.CreateMessageResult(role="assistant", content=content, model="none", stop_reason="endTurn")


async def roots(_: Any) -> Any:
    return types.ListRootsResult.model_validate({"roots": [{"uri": "file:///work", "name": "work"}]})


async def logged(params: Any) -> None:
    SEEN["logged"].append(params.level)


@asynccontextmanager
async def connected(where: Any, hasty: bool = False) -> AsyncIterator[tuple[Any, Resumptions]]:
    """A client, and how often it took up a stream. A hasty one waits for PATIENCE only."""
    resumptions = Resumptions(hasty)
    async with AsyncExitStack() as stack:
        if MODE == "stdio":
            server = StdioServerParameters(command=where[0], args=where[1:], env=OPTIONS["env"])
        elif MODE == "sse":
            server = sse_client(where, timeout=30, sse_read_timeout=PATIENCE if hasty else 300)
        else:
            hooks = {"request": [resumptions]}
            http = httpx2.AsyncClient(timeout=httpx2.Timeout(30, read=300), event_hooks=hooks)
            server = streamable_http_client(where, http_client=await stack.enter_async_context(http))
        client = Client(
            server,
            mode="auto" if MODE == "auto" else "legacy",
            elicitation_callback=elicit,
            sampling_callback=sample,
            list_roots_callback=roots,
            logging_callback=logged,
            log_level="debug" if MODE == "auto" else None,
        )
        yield await stack.enter_async_context(client), resumptions


async def text_of(client: Any, name: str, arguments: dict[str, Any], **more: Any) -> Any:
    return (await client.call_tool(name, arguments, **more)).content[0].text


async def quiet() -> dict[str, Any]:
    heard = Heard()
    async with connected(OPTIONS["url"], hasty=True) as (client, resumptions):
        text = await text_of(client, "slow_compute", SILENT, progress_callback=heard)
    return {"text": text, "progress": heard.values, "resumptions": resumptions.count}


async def reconnected() -> dict[str, Any]:
    """The stream of a call breaks. A client that does not take it up makes the call again, with its key."""
    # Where the loss is not told, the timer ends this call.
    limit = 8 if OPTIONS.get("loses") else 40
    async with connected(OPTIONS["cutting"]) as (client, _):
        try:
            text = await text_of(
                client, "slow_compute", CUT, meta=KEY, progress_callback=Heard(), read_timeout_seconds=limit
            )
        except MCPError as error:
            lost = code_of(error)
        else:
            return {"text": text, "lost": None}
    async with connected(OPTIONS["cutting"]) as (client, _):
        return {"text": await text_of(client, "slow_compute", CUT, meta=KEY), "lost": lost}


async def life(client: Any) -> None:
    heard = Heard()
    SEEN["version"] = client.protocol_version
    SEEN["tools"] = [tool.name for tool in (await client.list_tools()).tools]
    SEEN["echoed"] = (await client.call_tool("a_first_tool", {"n": 1})).structured_content
    SEEN["progressed"] = await text_of(client, "test_tool_with_progress", {}, progress_callback=heard)
    SEEN["progress"] = heard.values
    SEEN["error"] = (await client.call_tool("test_error_handling", {})).is_error
    SEEN["unknown"] = await refused(client.call_tool("no_such_tool", {}))
    leaving = Heard()
    slow = client.call_tool("slow", {"seconds": 60, "name": MARK}, progress_callback=leaving)
    SEEN["canceled"] = await abandoned(slow, leaving)
    SEEN["elicited"] = [await text_of(client, name, {"message": "Who?"}) for name in ASKING]
    SEEN["sampled"] = await text_of(client, "test_sampling", {"prompt": "Say"})
    if MODE != "auto":
        await client.set_logging_level("debug")
    await client.call_tool("test_tool_with_logging", {})
    SEEN["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
    SEEN["prompt"] = (await client.get_prompt("test_simple_prompt")).messages[0].content.text
    SEEN["resources"] = [str(resource.uri) for resource in (await client.list_resources()).resources]
    SEEN["resource"] = (await client.read_resource("test://static-text")).contents[0].text
    SEEN["templated"] = (await client.read_resource("test://template/123/data")).contents[0].text


async def hasty(client: Any) -> Any:
    return await refused(
        client.call_tool("slow_compute", SILENT, read_timeout_seconds=HASTE, progress_callback=Heard())
    )


async def main() -> None:
    async with connected(OPTIONS["url"]) as (client, _), asyncio.TaskGroup() as group:
        waiting = {name: group.create_task(work) for name, work in (("quiet", quiet()), ("cut", reconnected()))}
        await life(client)
        SEEN["hasty"] = await hasty(client)
    SEEN.update({name: task.result() for name, task in waiting.items()})


live(main)
