# mypy: ignore-errors
# It runs in an environment of its own, with another generation of the package.
"""The official Python client of the first generation, which most programs have, against the fixture.

The argument is JSON: url, sse, mark. The last line printed is JSON: what each step of a client's life returned.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import ClientSession, McpError, types  # type: ignore[attr-defined,unused-ignore]
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamablehttp_client  # type: ignore[attr-defined,unused-ignore]

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
SEEN: dict[str, Any] = {"asked": [], "logged": []}


async def elicit(_: Any, params: Any) -> Any:
    SEEN["asked"].append(params.message)
    wanted = params.requestedSchema["properties"]
    return types.ElicitResult(action="accept", content={name: f"my {name}" for name in wanted})


async def sample(_: Any, __: Any) -> Any:
    content = types.TextContent(type="text", text="sampled")
    return types.CreateMessageResult(role="assistant", content=content, model="none", stopReason="endTurn")


async def roots(_: Any) -> Any:
    return types.ListRootsResult.model_validate({"roots": [{"uri": "file:///work", "name": "work"}]})


async def logged(params: Any) -> None:
    SEEN["logged"].append(params.level)


@asynccontextmanager
async def connected() -> AsyncIterator[Any]:
    transport = sse_client if OPTIONS.get("sse") else streamablehttp_client
    async with transport(OPTIONS["url"]) as streams:
        callbacks = {"elicitation_callback": elicit, "sampling_callback": sample, "list_roots_callback": roots}
        async with ClientSession(streams[0], streams[1], logging_callback=logged, **callbacks) as session:
            SEEN["version"] = (await session.initialize()).protocolVersion
            yield session


async def refused(session: Any, name: str) -> Any:
    try:
        result = await session.call_tool(name, {})
    except McpError as error:
        return error.error.code
    return "isError" if result.isError else "nothing"


async def cancel(session: Any) -> str:
    """Cancel a call once it has made progress, as a host does."""
    started = asyncio.Event()

    async def progress(*_: Any) -> None:
        started.set()

    identity = session._request_id
    arguments = {"seconds": 60, "name": OPTIONS["mark"]}
    calling = asyncio.create_task(session.call_tool("slow", arguments, progress_callback=progress))
    await asyncio.wait_for(started.wait(), 20)
    params = types.CancelledNotificationParams(requestId=identity, reason="enough")
    notification = types.CancelledNotification(method="notifications/cancelled", params=params)
    await session.send_notification(types.ClientNotification(notification))
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    return "sent"


async def text_of(session: Any, name: str, arguments: dict[str, Any]) -> Any:
    return (await session.call_tool(name, arguments)).content[0].text


async def main() -> None:
    async with connected() as session:
        SEEN["tools"] = [tool.name for tool in (await session.list_tools()).tools]
        SEEN["echoed"] = (await session.call_tool("a_first_tool", {"n": 1})).structuredContent
        SEEN["progress"] = []

        async def progress(value: float, *_: Any) -> None:
            SEEN["progress"].append(value)

        done = await session.call_tool("test_tool_with_progress", {}, progress_callback=progress)
        SEEN["progressed"] = done.content[0].text
        SEEN["error"] = (await session.call_tool("test_error_handling", {})).isError
        SEEN["unknown"] = await refused(session, "no_such_tool")
        SEEN["canceled"] = await cancel(session)
        SEEN["elicited"] = await text_of(session, "test_elicitation", {"message": "Who?"})
        SEEN["sampled"] = await text_of(session, "test_sampling", {"prompt": "Say"})
        await session.set_logging_level("debug")
        await session.call_tool("test_tool_with_logging", {})
        SEEN["prompts"] = [prompt.name for prompt in (await session.list_prompts()).prompts]
        SEEN["prompt"] = (await session.get_prompt("test_simple_prompt")).messages[0].content.text
        SEEN["resources"] = [str(resource.uri) for resource in (await session.list_resources()).resources]
        SEEN["resource"] = (await session.read_resource("test://static-text")).contents[0].text
    async with connected() as session:
        SEEN["again"] = (await session.call_tool("a_first_tool", {"n": 2})).structuredContent
    print(json.dumps(SEEN))


asyncio.run(main())
