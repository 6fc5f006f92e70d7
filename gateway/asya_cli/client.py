"""The client for the gateway's callers: tools, tasks and streams over HTTP."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

import aiohttp

from asya_cli.bearers import NOBODY, Bearer
from asya_cli.errors import CliError, ExitCode
from asya_cli.options import unreachable
from asya_cli.refusals import refusal
from asya_crds import jsontext
from asya_crds.status import TERMINAL

if TYPE_CHECKING:
    from asya_crds.call_messages import (
        AnswerJson,
        CallJson,
        CallResultJson,
        CancelJson,
        HandleJson,
        RetryJson,
    )
    from asya_crds.flows_json import FlowsJson
    from asya_crds.task_json import TaskJson, TaskPageJson

MCP_VERSION = "2026-07-28"
RECONNECTS = 10
"""How often in a row a stream without any event is reopened."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a task's stream; `id` is the seq of an update, "" for live events."""

    name: str
    data: Any
    id: str = ""


LOST = Event("", None)
"""Not of the gateway: the connection was lost, and is opened again."""


class GatewayClient:
    """Calls one gateway. Every method raises CliError: with the gateway's message if it refuses, with
    ExitCode.UNREACHABLE if there is no response."""

    def __init__(self, session: aiohttp.ClientSession, url: str, bearer: Bearer = NOBODY) -> None:
        self._session, self._bearer = session, bearer
        self._url = url.rstrip("/") + "/"

    async def tools(self) -> list[dict[str, Any]]:
        """Every tool in MCP's form: {name, description?, inputSchema, outputSchema?} (MCP 2026-07-28, tools/list)."""
        return await self._listed("tools/list", "tools")

    async def prompts(self) -> list[dict[str, Any]]:
        """Every prompt in MCP's form: {name, description?, arguments?} (prompts/list)."""
        return await self._listed("prompts/list", "prompts")

    async def resources(self) -> list[dict[str, Any]]:
        """Every resource and every template of resources: {uri or uriTemplate, name, description?}."""
        fixed = await self._listed("resources/list", "resources")
        return fixed + await self._listed("resources/templates/list", "resourceTemplates")

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        """What a prompt gives for these arguments: {messages, description?} (prompts/get)."""
        return await self._mcp("prompts/get", {"name": name, "arguments": dict(arguments)}, named=name)

    async def read(self, uri: str) -> dict[str, Any]:
        """What a resource contains: {contents} (resources/read)."""
        return await self._mcp("resources/read", {"uri": uri}, named=uri)

    async def _listed(self, method: str, member: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self._mcp(method, {} if cursor is None else {"cursor": cursor})
            found += page[member]
            cursor = page.get("nextCursor")
            if not cursor:
                return found

    async def flows(self) -> "FlowsJson":
        """The flows that the gateway serves and those that it leaves out."""
        flows: FlowsJson = await self._request("GET", "health/flows")
        return flows

    async def ready(self) -> bool:
        """Whether the gateway has started and can answer."""
        try:
            async with self._session.get(urljoin(self._url, "health/ready")) as response:
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientConnectionError, TimeoutError):
            return False

    async def call(self, name: str, arguments: Mapping[str, Any]) -> "HandleJson":
        """Start a flow; returns its handle {task_id, message, status_url, stream_url}."""
        call: CallJson = {"name": name, "arguments": dict(arguments)}
        answer: CallResultJson = await self._request("POST", "tools/call", call)
        handle: HandleJson = jsontext.loads(answer["content"][0]["text"])
        return handle

    async def task(self, task_id: str) -> "TaskJson":
        """One task with payload and result."""
        task: TaskJson = await self._request("GET", _task_path(task_id))
        return task

    async def tasks(self, **filters: str | int | None) -> "TaskPageJson":
        """A page of tasks, newest first: {tasks, next_cursor}."""
        query = {key: str(value) for key, value in filters.items() if value is not None}
        page: TaskPageJson = await self._request("GET", "tasks", query=query)
        return page

    async def cancel(self, task_id: str, reason: str | None = None) -> "TaskJson":
        """Cancel a task, with the reason as its message; returns the task."""
        body: CancelJson = {} if reason is None else {"reason": reason}
        task: TaskJson = await self._request("POST", _task_path(task_id) + "/cancel", body)
        return task

    async def answer(self, task_id: str, body: "AnswerJson") -> "TaskJson":
        """Answer an input that a task waits on, or decline it; returns the task."""
        task: TaskJson = await self._request("POST", _task_path(task_id) + "/resume", body)
        return task

    async def retry(self, task_id: str, body: "RetryJson") -> "TaskJson":
        """Run an ended task again, with the payload in `body` if it has one; returns the new task."""
        task: TaskJson = await self._request("POST", _task_path(task_id) + "/retry", body)
        return task

    async def follow(self, task_id: str) -> AsyncGenerator[Event]:
        """The task's updates from the first one, and its live events, until the end. Reconnects and continues after the
        last update. LOST is yielded once each time that the connection is lost."""
        last, misses, told = "", 0, False
        while misses <= RECONNECTS:
            ended = False
            try:
                async for event in self._stream(task_id, last):
                    misses, told = 0, False
                    last = event.id or last
                    yield event
                    ended = event.name == "update" and event.data.get("status") in TERMINAL
                if ended:
                    return
            except _StreamOver:
                return
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
                if not told:
                    yield LOST
                told = True
            misses += 1
            await asyncio.sleep(min(0.1 * 2**misses, 2.0))
        raise CliError(f"the stream of {task_id} was interrupted and could not be opened again", ExitCode.UNREACHABLE)

    async def _stream(self, task_id: str, last: str) -> AsyncGenerator[Event]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
        url = urljoin(self._url, "stream/" + quote(task_id, safe=""))
        async with self._response("GET", url, headers, timeout=timeout) as response:
            if response.status == HTTPStatus.NO_CONTENT:
                raise _StreamOver
            if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                raise aiohttp.ClientConnectionError("the gateway is not ready")
            if response.status != HTTPStatus.OK:
                raise await self._refusal(response)
            async for event in events_of(response.content):
                yield event

    async def _mcp(self, method: str, params: dict[str, Any], *, named: str | None = None) -> dict[str, Any]:
        """The result of a request; what runs a flow is held until its end, and says what it calls in `named`."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": MCP_VERSION,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "asya", "version": "1"},
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MCP_VERSION,
            "Mcp-Method": method,
        }
        if named is not None:
            headers |= {"Mcp-Name": _header_value(named), "Accept": "application/json"}
        answer = await self._request("POST", "mcp", body, headers=headers, held=named is not None)
        if "error" in answer:
            raise CliError(f"{method}: {answer['error'].get('message', answer['error'])}")
        result: dict[str, Any] = answer["result"]
        return result

    async def _request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        held: bool = False,
    ) -> Any:
        url = urljoin(self._url, path)
        all_headers = {"Accept": "application/json", **(headers or {})}
        content = None
        if body is not None:
            all_headers["Content-Type"] = "application/json"
            content = jsontext.dumps(body).encode()
        try:
            options = {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=5)} if held else {}
            async with self._response(
                method, url, all_headers, data=content, params=query or {}, **options
            ) as response:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise await self._refusal(response)
                return await response.json(loads=jsontext.loads, content_type=None)
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise unreachable(self._url) from error
        except ValueError as error:
            raise CliError(f"{url} is not an asya gateway; check ASYA_URL") from error

    @asynccontextmanager
    async def _response(
        self, method: str, url: str, headers: Mapping[str, str], **options: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The response to a request with the caller's token. A token that is refused is renewed, if it can be, and the
        request is sent once more: nothing was done for it."""
        token = await self._bearer.token()
        async with self._session.request(method, url, headers=_with(token, headers), **options) as response:
            refused = bool(token) and response.status == HTTPStatus.UNAUTHORIZED
            renewed = await self._bearer.renewed(token) if refused else ""
            if not renewed:
                yield response
                return
        async with self._session.request(method, url, headers=_with(renewed, headers), **options) as response:
            yield response

    async def _refusal(self, response: aiohttp.ClientResponse) -> CliError:
        return await refusal(response, self._url, self._bearer.held)


class _StreamOver(Exception):
    """The stream has no further events (204)."""


@asynccontextmanager
async def connect(url: str, bearer: Bearer = NOBODY) -> AsyncGenerator[GatewayClient]:
    """A client of the gateway at `url`, which sends the tokens of `bearer`."""
    timeout = aiohttp.ClientTimeout(total=60, sock_connect=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield GatewayClient(session, url, bearer)


def _with(token: str, headers: Mapping[str, str]) -> Mapping[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


def _header_value(text: str) -> str:
    """The value of Mcp-Name for any text (MCP 2026-07-28, streamable HTTP, "Value Encoding")."""
    if text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?"):
        return text
    return f"=?base64?{b64encode(text.encode()).decode()}?="


def _task_path(task_id: str) -> str:
    return "tasks/" + quote(task_id, safe="")


async def events_of(content: aiohttp.StreamReader) -> AsyncGenerator[Event]:
    """Server-sent events of a stream (HTML standard, "Interpreting an event stream")."""
    name, id_, lines = "", "", list[str]()
    async for line in _lines(content):
        if not line:
            if lines:
                yield Event(name or "message", jsontext.loads("\n".join(lines)), id_)
            name, id_, lines = "", "", []
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match field:
                case "event":
                    name = value
                case "id":
                    id_ = value
                case "data":
                    lines.append(value)
                case _:
                    pass


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[str]:
    """Lines of any length: a result of several MiB is a single line, which readline() would refuse."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
