"""Requests of clients with the tasks extension, and the extension's own schema for checking answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tests.support.gateway import Gateway
from tests.support.mcp import (
    EXT_TASKS,
    LATEST,
    TASKS_DECLARED,
    Actor,
    conforms,
    post,
    stateless_body,
    stateless_headers,
)
from tests.support.waiting import until

CAPABILITIES = "io.modelcontextprotocol__clientCapabilities"
FORMS = {**TASKS_DECLARED, "elicitation": {}}
QUESTION = {
    "prompt": "Go on?",
    "schema": {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]},
}


async def ask_with(
    gateway: Gateway,
    method: str,
    params: Mapping[str, Any],
    capabilities: Mapping[str, Any] = TASKS_DECLARED,
    **headers: str,
) -> tuple[int, Any]:
    """A stateless request of a client with these capabilities: status and the response message."""
    body = stateless_body(method, params, **{CAPABILITIES: capabilities})
    return await post(gateway, body, {**stateless_headers(body), **headers})


async def call_with(
    gateway: Gateway, name: str, capabilities: Mapping[str, Any] = TASKS_DECLARED, **headers: str
) -> Any:
    """The result of a tools/call."""
    status, answer = await ask_with(gateway, "tools/call", {"name": name, "arguments": {}}, capabilities, **headers)
    assert status == 200, answer
    return answer["result"]


async def started(gateway: Gateway, name: str = "tasked", **headers: str) -> str:
    """The id of a task that a tools/call created."""
    result = await call_with(gateway, name, TASKS_DECLARED, **headers)
    conforms(result, "CreateTaskResult", EXT_TASKS)
    return str(result["taskId"])


async def seen(
    gateway: Gateway, task_id: str, capabilities: Mapping[str, Any] = TASKS_DECLARED, **headers: str
) -> dict[str, Any]:
    """The result of tasks/get, which keeps the extension's schema and that of every result."""
    status, answer = await ask_with(gateway, "tasks/get", {"taskId": task_id}, capabilities, **headers)
    assert status == 200, answer
    result: dict[str, Any] = answer["result"]
    conforms(result, "GetTaskResult", EXT_TASKS)
    conforms(result, "Result", LATEST)
    if "result" in result:
        conforms(result["result"], "CallToolResult", LATEST)
    return result


async def becomes(gateway: Gateway, task_id: str, status: str, **capabilities: Any) -> dict[str, Any]:
    """The task once it has this status."""
    found: dict[str, Any] = {}

    async def reached() -> bool:
        nonlocal found
        found = await seen(gateway, task_id, {**TASKS_DECLARED, **capabilities})
        return bool(found["status"] == status)

    await until(reached, what=f"status {status}")
    return found


async def pause(actor: Actor, task_id: str, **metadata: Any) -> None:
    """Report a question of the task."""
    await actor.report(task_id, "paused", pause_metadata={**QUESTION, **metadata})


@contextlib.asynccontextmanager
async def in_background(work: Any) -> AsyncIterator["asyncio.Task[Any]"]:
    """A request under way."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
