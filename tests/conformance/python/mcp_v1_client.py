# mypy: ignore-errors
# It runs in an environment of its own, with another generation of the package.
"""The official Python client of the first generation, which most programs have, against the fixture: over HTTP, over
HTTP+SSE, and before a bridge that speaks stdio.

The argument is JSON: mode ('http', 'sse', 'stdio'), url, cutting, mark, loses. With 'stdio' both addresses are
commands, and env is their environment. The last line printed is JSON: what each step of a client's life returned.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
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
    code_of,
    filled,
    live,
    refused,
)
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


async def elicit(_: Any, params: Any) -> Any:
    SEEN["asked"].append(params.message)
    return types.ElicitResult(action="accept", content=filled(params.requestedSchema))


async def sample(_: Any, __: Any) -> Any:
    content = types.TextContent(type="text", text="sampled")
    return types.CreateMessageResult(role="assistant", content=content, model="none", stopReason="endTurn")


async def roots(_: Any) -> Any:
    return types.ListRootsResult.model_validate({"roots": [{"uri": "file:///work", "name": "work"}]})


async def logged(params: Any) -> None:
    SEEN["logged"].append(params.level)


@asynccontextmanager
async def connected(where: Any, hasty: bool = False) -> AsyncIterator[tuple[Any, Resumptions]]:
    """A session, and how often it took up a stream. A hasty one waits for PATIENCE only."""
    resumptions = Resumptions(hasty)
    async with AsyncExitStack() as stack:
        if MODE == "stdio":
            transport = stdio_client(StdioServerParameters(command=where[0], args=where[1:], env=OPTIONS["env"]))
        elif MODE == "sse":
            transport = sse_client(where, timeout=30, sse_read_timeout=PATIENCE if hasty else 300)
        else:
            hooks = {"request": [resumptions]}
            http = httpx.AsyncClient(timeout=httpx.Timeout(30, read=300), event_hooks=hooks)
            transport = streamable_http_client(where, http_client=await stack.enter_async_context(http))
        streams = await stack.enter_async_context(transport)
        callbacks = {"elicitation_callback": elicit, "sampling_callback": sample, "list_roots_callback": roots}
        made = ClientSession(streams[0], streams[1], logging_callback=logged, **callbacks)
        session = await stack.enter_async_context(made)
        SEEN["version"] = (await session.initialize()).protocolVersion
        yield session, resumptions


async def cancel(session: Any) -> str:
    """Cancel a call once it has made progress, as a host does: this generation does not tell the server by itself."""
    heard, identity = Heard(), session._request_id
    slow = session.call_tool("slow", {"seconds": 60, "name": MARK}, progress_callback=heard)
    calling = asyncio.create_task(slow)
    await heard.first()
    params = types.CancelledNotificationParams(requestId=identity, reason="enough")
    notification = types.CancelledNotification(method="notifications/cancelled", params=params)
    await session.send_notification(types.ClientNotification(notification))
    calling.cancel()
    [outcome] = await asyncio.gather(calling, return_exceptions=True)
    return type(outcome).__name__


async def text_of(session: Any, name: str, arguments: dict[str, Any], **more: Any) -> Any:
    return (await session.call_tool(name, arguments, **more)).content[0].text


async def quiet() -> dict[str, Any]:
    heard = Heard()
    async with connected(OPTIONS["url"], hasty=True) as (session, resumptions):
        text = await text_of(session, "slow_compute", SILENT, progress_callback=heard)
    return {"text": text, "progress": heard.values, "resumptions": resumptions.count}


async def reconnected() -> dict[str, Any]:
    """The stream of a call breaks. A client that does not take it up makes the call again, with its key."""
    # Where the loss is not told, the timer ends this call.
    limit = timedelta(seconds=8 if OPTIONS["loses"] else 40)
    async with connected(OPTIONS["cutting"]) as (session, _):
        try:
            text = await text_of(
                session, "slow_compute", CUT, meta=KEY, progress_callback=Heard(), read_timeout_seconds=limit
            )
        except McpError as error:
            lost = code_of(error)
        else:
            return {"text": text, "lost": None}
    async with connected(OPTIONS["cutting"]) as (session, _):
        return {"text": await text_of(session, "slow_compute", CUT, meta=KEY), "lost": lost}


async def tasks(session: Any) -> dict[str, Any]:
    """The experimental ones of 2025-11-25: one that asks, and one that is canceled."""
    features = session.experimental
    made = (await features.call_tool_as_task("confirm_delete", {"filename": "a.txt"})).task.taskId
    statuses = []
    async for polled in features.poll_task(made):
        statuses.append(polled.status)
        if polled.status == "input_required":
            break
    result = await features.get_task_result(made, types.CallToolResult)
    ended = (await features.get_task(made)).status
    arguments = {"seconds": 60, "label": f"{MARK}-task"}
    canceled = (await features.call_tool_as_task("slow_compute", arguments)).task.taskId
    await features.cancel_task(canceled)
    last = (await features.get_task(canceled)).status
    return {"asked": statuses[-1], "text": result.content[0].text, "ended": ended, "canceled": last}


async def life(session: Any) -> None:
    heard = Heard()
    SEEN["tools"] = [tool.name for tool in (await session.list_tools()).tools]
    SEEN["echoed"] = (await session.call_tool("a_first_tool", {"n": 1})).structuredContent
    SEEN["progressed"] = await text_of(session, "test_tool_with_progress", {}, progress_callback=heard)
    SEEN["progress"] = heard.values
    SEEN["error"] = (await session.call_tool("test_error_handling", {})).isError
    SEEN["unknown"] = await refused(session.call_tool("no_such_tool", {}))
    SEEN["canceled"] = await cancel(session)
    SEEN["elicited"] = [await text_of(session, name, {"message": "Who?"}) for name in ASKING]
    SEEN["sampled"] = await text_of(session, "test_sampling", {"prompt": "Say"})
    await session.set_logging_level("debug")
    await session.call_tool("test_tool_with_logging", {})
    SEEN["prompts"] = [prompt.name for prompt in (await session.list_prompts()).prompts]
    SEEN["prompt"] = (await session.get_prompt("test_simple_prompt")).messages[0].content.text
    SEEN["resources"] = [str(resource.uri) for resource in (await session.list_resources()).resources]
    SEEN["resource"] = (await session.read_resource("test://static-text")).contents[0].text
    SEEN["templated"] = (await session.read_resource("test://template/123/data")).contents[0].text
    SEEN["tasks"] = await tasks(session)


async def hasty(session: Any) -> Any:
    limit = timedelta(seconds=HASTE)
    return await refused(
        session.call_tool("slow_compute", SILENT, read_timeout_seconds=limit, progress_callback=Heard())
    )


async def main() -> None:
    async with connected(OPTIONS["url"]) as (session, _), asyncio.TaskGroup() as group:
        waiting = {name: group.create_task(work) for name, work in (("quiet", quiet()), ("cut", reconnected()))}
        await life(session)
        SEEN["hasty"] = await hasty(session)
    SEEN.update({name: task.result() for name, task in waiting.items()})


live(main)
