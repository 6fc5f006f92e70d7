"""The client of fastmcp, with and without its tasks, against the fixture.

The argument is JSON: url, mark. The last line printed is JSON: what each step of a client's life returned.
"""

import asyncio
import json
import sys
from typing import Any

import fastmcp_tasks  # type: ignore[import-not-found] # noqa: F401 # whose import makes every client declare tasks
from fastmcp import Client  # type: ignore[import-not-found]
from fastmcp.exceptions import ToolError  # type: ignore[import-not-found]

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
SEEN: dict[str, Any] = {"asked": [], "progress": []}


async def elicit(message: str, _: Any, params: Any, __: Any) -> Any:
    SEEN["asked"].append(message)
    schema = params.requested_schema if hasattr(params, "requested_schema") else params.requestedSchema
    return {name: part.get("type") == "boolean" or f"my {name}" for name, part in schema["properties"].items()}


async def progress(value: float, *_: Any) -> None:
    SEEN["progress"].append(value)


async def refused(client: Any, name: str) -> str:
    try:
        await client.call_tool(name, {})
    except Exception as error:  # noqa: BLE001 # what it raises is what is told
        return "ToolError" if isinstance(error, ToolError) else type(error).__name__
    return "nothing"


def text(result: Any) -> Any:
    return result.content[0].text


async def main() -> None:
    async with Client(OPTIONS["url"], elicitation_handler=elicit) as client:
        SEEN["tools"] = [tool.name for tool in await client.list_tools()]
        SEEN["echoed"] = (await client.call_tool("a_first_tool", {"n": 1})).structured_content
        done = await client.call_tool("test_tool_with_progress", {}, progress_handler=progress)
        SEEN["progressed"] = text(done)
        SEEN["error"] = await refused(client, "test_error_handling")
        SEEN["unknown"] = await refused(client, "no_such_tool")
        SEEN["quick"] = text(await client.call_tool("greet", {"name": "Ann"}))
        SEEN["long"] = text(await client.call_tool("slow_compute", {"seconds": 2, "label": "x"}))
        SEEN["confirmed"] = text(await client.call_tool("confirm_delete", {"filename": "a.txt"}))
        SEEN["prompts"] = [prompt.name for prompt in await client.list_prompts()]
        SEEN["prompt"] = (await client.get_prompt("test_simple_prompt")).messages[0].content.text
        SEEN["resources"] = [str(resource.uri) for resource in await client.list_resources()]
        SEEN["resource"] = (await client.read_resource("test://static-text"))[0].text
    print(json.dumps(SEEN))


asyncio.run(main())
