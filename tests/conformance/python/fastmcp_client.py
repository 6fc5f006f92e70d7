# mypy: ignore-errors
# It runs in an environment of its own.
"""The client of fastmcp against the fixture, without its tasks ('auto', 'sse') and with them ('tasks').

The argument is JSON: mode, url, cutting, mark. The last line printed is JSON: what each step of a client's life
returned.
"""

import asyncio
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StreamableHttpTransport
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

if MODE == "tasks":
    # The import makes every client declare tasks.
    from fastmcp_tasks import ToolTask, call_tool_task


async def elicit(message: str, _: Any, params: Any, __: Any) -> Any:
    SEEN["asked"].append(message)
    return filled(params.requested_schema)


async def logged(message: Any) -> None:
    SEEN["logged"].append(message.level)


def connected(where: str, hasty: bool = False) -> tuple[Any, Resumptions]:
    """A client, and how often it took up a stream. A hasty one waits for PATIENCE only."""
    resumptions = Resumptions(hasty)

    def factory(**options: Any) -> Any:
        timeout = httpx2.Timeout(30, read=300)
        return httpx2.AsyncClient(**{**options, "timeout": timeout}, event_hooks={"request": [resumptions]})

    if MODE == "sse":
        transport = SSETransport(where, sse_read_timeout=PATIENCE if hasty else 300)
    else:
        transport = StreamableHttpTransport(where, httpx_client_factory=factory)
    return Client(transport, elicitation_handler=elicit, log_handler=logged), resumptions


def text(result: Any) -> Any:
    return result.content[0].text


async def quiet() -> dict[str, Any]:
    heard = Heard()
    made, resumptions = connected(OPTIONS["url"], hasty=True)
    async with made as client:
        said = text(await client.call_tool("slow_compute", SILENT, progress_handler=heard))
    return {"text": said, "progress": heard.values, "resumptions": resumptions.count}


async def reconnected() -> dict[str, Any]:
    """The stream of a call breaks. A client that does not take it up makes the call again, with its key."""
    async with connected(OPTIONS["cutting"])[0] as client:
        try:
            said = text(await client.call_tool("slow_compute", CUT, meta=KEY, progress_handler=Heard()))
        except Exception as error:  # noqa: BLE001 # what it raises is what is told
            lost = code_of(error)
        else:
            return {"text": said, "lost": None}
    async with connected(OPTIONS["cutting"])[0] as client:
        return {"text": text(await client.call_tool("slow_compute", CUT, meta=KEY)), "lost": lost}


async def handed_over() -> dict[str, Any]:
    """A task that one connection began, at another one."""
    async with connected(OPTIONS["url"])[0] as client:
        begun = await call_tool_task(client, "slow_compute", CUT)
    async with connected(OPTIONS["url"])[0] as client:
        return {
            "text": text(await ToolTask(client, "slow_compute", begun.create_result).result()),
            "lost": "handed over",
        }


async def tasks(client: Any) -> dict[str, Any]:
    confirmed = text(await client.call_tool("confirm_delete", {"filename": "a.txt"}))
    task = await call_tool_task(client, "slow_compute", {"seconds": 60, "label": f"{MARK}-task"})
    await task.cancel()
    return {"text": confirmed, "canceled": (await task.wait(timeout=30)).status}


async def life(client: Any) -> None:
    heard = Heard()
    SEEN["version"] = client.session.protocol_version
    SEEN["tools"] = [tool.name for tool in await client.list_tools()]
    SEEN["echoed"] = (await client.call_tool("a_first_tool", {"n": 1})).structured_content
    SEEN["progressed"] = text(await client.call_tool("test_tool_with_progress", {}, progress_handler=heard))
    SEEN["progress"] = heard.values
    SEEN["error"] = (await client.call_tool("test_error_handling", {}, raise_on_error=False)).is_error
    SEEN["unknown"] = await refused(client.call_tool("no_such_tool", {}))
    if MODE == "tasks":
        SEEN["tasks"] = await tasks(client)
    else:
        leaving = Heard()
        slow = client.call_tool("slow", {"seconds": 60, "name": MARK}, progress_handler=leaving)
        SEEN["canceled"] = await abandoned(slow, leaving)
        SEEN["elicited"] = [text(await client.call_tool(name, {"message": "Who?"})) for name in ASKING]
    SEEN["prompts"] = [prompt.name for prompt in await client.list_prompts()]
    SEEN["prompt"] = (await client.get_prompt("test_simple_prompt")).messages[0].content.text
    SEEN["resources"] = [str(resource.uri) for resource in await client.list_resources()]
    SEEN["resource"] = (await client.read_resource("test://static-text"))[0].text
    SEEN["templated"] = (await client.read_resource("test://template/123/data"))[0].text


async def main() -> None:
    cut = handed_over() if MODE == "tasks" else reconnected()
    async with connected(OPTIONS["url"])[0] as client, asyncio.TaskGroup() as group:
        waiting = {name: group.create_task(work) for name, work in (("quiet", quiet()), ("cut", cut))}
        await life(client)
        hasty = client.call_tool("slow_compute", SILENT, timeout=HASTE, progress_handler=Heard())
        SEEN["hasty"] = await refused(hasty)
    SEEN.update({name: task.result() for name, task in waiting.items()})


live(main)
