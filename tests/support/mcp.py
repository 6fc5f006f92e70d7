"""Raw MCP over HTTP, a scripted actor, and the protocol's own schemas for checking answers."""

import asyncio
import contextlib
import functools
import io
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import jsonschema_rs

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_gateway.domain.flows import FlowTable, ServedFlow
from asya_gateway.protocols.http.keys import FLOWS
from asya_gateway.protocols.mcp.routing import NAMED_BY
from asya_schemas.flows import compile_flow
from tests.support.gateway import TEXT_SCHEMA, Event, Gateway, Reader, start_gateway
from tests.support.waiting import until

SCHEMAS = Path(__file__).parent.parent / "protocol" / "mcp" / "schemas"
LATEST = "2026-07-28"
EXT_TASKS = "ext-tasks.draft"
TASKS_DECLARED: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
HANDSHAKE_VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
VERSIONS = [*HANDSHAKE_VERSIONS, LATEST]
BOTH = "application/json, text/event-stream"

PERSON = {
    "type": "object",
    "properties": {"person": {"type": "object", "properties": {"age": {"type": "integer"}}}, "n": {"type": "integer"}},
    "required": ["n"],
    "$defs": {"address": {"$anchor": "address", "type": "object"}},
}
REGIONAL = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
    },
}
TOOLS: list[dict[str, Any]] = [
    {
        "name": "shout",
        "description": "Says it louder.",
        "entrypoint": "first",
        "route_next": ["second"],
        "mcp": {"inputSchema": TEXT_SCHEMA, "title": "Shout", "annotations": {"readOnlyHint": True}},
    },
    {"name": "anything", "entrypoint": "first", "mcp": {}},
    {"name": "person", "entrypoint": "first", "mcp": {"inputSchema": PERSON}},
    {"name": "regional", "entrypoint": "first", "mcp": {"inputSchema": REGIONAL}},
    {"name": "hasty", "entrypoint": "first", "timeout": 1, "mcp": {}},
    {
        "name": "typed",
        "entrypoint": "first",
        "mcp": {"outputSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
    },
    {
        "name": "listing",
        "entrypoint": "first",
        "mcp": {"outputSchema": {"type": "array", "items": {"type": "integer"}}},
    },
    {"name": "quiet", "entrypoint": "first", "mcp": {"progress": False}},
    {"name": "skill", "entrypoint": "first", "a2a": {}},
    {"name": "inline", "entrypoint": "first", "mcp": {"task": "never"}},
    {"name": "tasked", "entrypoint": "first", "mcp": {"task": "required"}},
]


CHANGED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
"""When the registry's generation was made."""


def serve_tools(
    gateway: Gateway,
    tools: list[dict[str, Any]],
    generation: int = 1,
    *,
    sets: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> None:
    flows = [Flow.model_validate(tool) for tool in tools]
    made = [served(flow) for flow in flows]
    gateway.app[FLOWS].swap(FlowTable.of(generation, made, changed_at=CHANGED, sets=sets))


def served(flow: Flow) -> ServedFlow:
    checks = compile_flow(flow)
    size = len(jsontext.dumps(flow.document()))
    return ServedFlow(flow, checks.call, check_result=checks.result, size=size, check_arguments=checks.arguments)


@contextlib.asynccontextmanager
async def start_mcp(database_url: str, **changes: Any) -> AsyncIterator[Gateway]:
    """A gateway with the tools above."""
    async with start_gateway(database_url, **changes) as gateway:
        serve_tools(gateway, TOOLS)
        yield gateway


class Actor:
    """Takes envelopes from the gateway, and reports through the mesh routes."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._taken = 0

    @property
    def waits(self) -> bool:
        """Whether there is a call to be taken."""
        return len(self.gateway.running.handed) > self._taken

    async def take(self) -> tuple[str, dict[str, Any]]:
        """The next call: the task's id and its envelope."""
        await until(lambda: self.waits, what="a call")
        entry = self.gateway.running.handed[self._taken]
        self._taken += 1
        return entry.task_id, jsontext.loads(entry.body)

    async def report(self, task_id: str, status: str, curr: str = "first", **more: Any) -> None:
        body = {"prev": [], "curr": curr, "next": [], "status": status, **more}
        code, answer = await self.gateway.post(f"/mesh/{task_id}/progress", body)
        assert code == 200, answer

    async def fly(self, task_id: str, payload: dict[str, Any]) -> None:
        code, answer = await self.gateway.post(f"/mesh/{task_id}/fly", {"payload": payload})
        assert code == 200, answer

    async def end(self, task_id: str, status: str = "succeeded", **more: Any) -> None:
        code, answer = await self.gateway.post(f"/mesh/{task_id}/final", {"id": task_id, "status": status, **more})
        assert code == 200, answer

    async def serve(self, result: Any) -> str:
        """Take one call, work on it, and succeed with `result`."""
        task_id, _ = await self.take()
        for state in ("received", "processing", "completed"):
            await self.report(task_id, state)
        await self.end(task_id, result=result)
        return task_id

    async def status(self, task_id: str) -> str:
        _, task = await self.gateway.get(f"/tasks/{task_id}")
        return str(task["status"])


def message(method: str, params: Mapping[str, Any] | None = None, id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": dict(params)})}


def stateless_body(method: str, params: Mapping[str, Any] | None = None, *, id: Any = 1, **meta: Any) -> dict[str, Any]:
    """A request with the `_meta` of 2026-07-28; `meta` overrides members, None removes them."""
    values = {
        "io.modelcontextprotocol/protocolVersion": LATEST,
        "io.modelcontextprotocol/clientCapabilities": {},
        **{key.replace("__", "/"): value for key, value in meta.items()},
    }
    params = dict(params or {})
    params["_meta"] = {**values, **params.get("_meta", {})}
    return message(method, params, id)


def stateless_headers(body: Mapping[str, Any], **changes: str | None) -> dict[str, str]:
    """The headers that repeat the body; `changes` with underscores for hyphens, None leaves a header out."""
    params = body["params"]
    headers: dict[str, str | None] = {"Accept": BOTH, "MCP-Protocol-Version": LATEST, "Mcp-Method": body["method"]}
    name = params.get("uri") if body["method"] == "resources/read" else params.get("name")
    if body["method"] in ("tasks/get", "tasks/update", "tasks/cancel"):
        name = params.get("taskId")
    if body["method"] in NAMED_BY and isinstance(name, str):
        headers["Mcp-Name"] = name
    headers |= {key.replace("_", "-"): value for key, value in changes.items()}
    return {key: value for key, value in headers.items() if value is not None}


async def ask(
    gateway: Gateway, method: str, params: Mapping[str, Any] | None = None, **headers: str | None
) -> tuple[int, Any]:
    """A stateless request as it should be, but for `headers`: status and the response message."""
    body = stateless_body(method, params)
    return await post(gateway, body, stateless_headers(body, **headers))


async def ask_old(
    gateway: Gateway, method: str, params: Mapping[str, Any] | None = None, version: str | None = "2025-11-25"
) -> tuple[int, Any]:
    """A request after a handshake."""
    headers = {"Accept": BOTH, **({} if version is None else {"MCP-Protocol-Version": version})}
    return await post(gateway, message(method, params), headers)


async def ask_in(gateway: Gateway, version: str, method: str, params: Mapping[str, Any] | None = None) -> Any:
    """The answer's message in either era."""
    if version == LATEST:
        return (await ask(gateway, method, params))[1]
    return (await ask_old(gateway, method, params, version))[1]


async def post(gateway: Gateway, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
    """POST to /mcp; the status and the last message of the answer, None where there is none."""
    async with open_post(gateway, body, headers) as response:
        if response.content_type == "text/event-stream":
            return response.status, (await Reader(response).all())[-1].data
        text = await response.text()
        return response.status, jsontext.loads(text) if text else None


@contextlib.asynccontextmanager
async def open_post(
    gateway: Gateway, body: Any, headers: Mapping[str, str], *, path: str = "/mcp"
) -> AsyncIterator[aiohttp.ClientResponse]:
    data = io.BytesIO(body if isinstance(body, bytes) else jsontext.dumps(body).encode())
    headers = {"Content-Type": "application/json", **headers}
    async with gateway.session.post(gateway.url + path, data=data, headers=headers) as response:
        yield response


@contextlib.asynccontextmanager
async def calling(
    gateway: Gateway, name: str, arguments: Any = None, *, version: str = LATEST, token: Any = None, **headers: str
) -> AsyncIterator[asyncio.Task[tuple[int, list[Event]]]]:
    """A tools/call in the background: a task that ends with status and every event of the stream."""
    params: dict[str, Any] = {"name": name, "arguments": arguments or {}}
    if token is not None:
        params["_meta"] = {"progressToken": token}
    if version == LATEST:
        body = stateless_body("tools/call", params)
        all_headers = stateless_headers(body)
    else:
        body = message("tools/call", params)
        all_headers = {"Accept": BOTH, "MCP-Protocol-Version": version}

    async def read() -> tuple[int, list[Event]]:
        async with open_post(gateway, body, all_headers | headers) as response:
            if response.content_type == "text/event-stream":
                return response.status, await Reader(response).all()
            return response.status, [Event("json", jsontext.loads(await response.text()))]

    task = asyncio.create_task(read())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@functools.cache
def validator(version: str, definition: str) -> Any:
    document = json.loads((SCHEMAS / f"{version}.schema.json").read_text())
    key = "$defs" if "$defs" in document else "definitions"
    return jsonschema_rs.validator_for(
        {"$schema": document["$schema"], key: document[key], "$ref": f"#/{key}/{definition}"}
    )


def conforms(value: Any, definition: str, version: str = LATEST) -> None:
    """Fail if the value breaks the protocol's own schema."""
    errors = [
        f"{list(error.instance_path)}: {error.message}" for error in validator(version, definition).iter_errors(value)
    ]
    assert not errors, errors
