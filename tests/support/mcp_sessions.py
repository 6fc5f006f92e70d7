"""A client of MCP with a session, message by message, and two gateways on one database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Protocol

import aiohttp
from typing_extensions import override

from asya_crds import jsontext
from tests.support.gateway import Event, Gateway, Reader
from tests.support.mcp import BOTH, message, start_mcp

HEADER = "Mcp-Session-Id"
EVERYTHING = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": True}}


@contextlib.asynccontextmanager
async def replicas(database_url: str, number: int = 2, **changes: Any) -> AsyncIterator[list[Gateway]]:
    """Gateways on one database."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(start_mcp(database_url, **changes)) for _ in range(number)]


class Endpoint(Protocol):
    """Where a gateway is reached."""

    @property
    def url(self) -> str: ...

    @property
    def session(self) -> aiohttp.ClientSession: ...


class Stream(Reader):
    """Reads an event stream, with events of empty data and `retry`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response)
        self.last_id: str | None = None
        self.retry: int | None = None

    @override
    async def next(self) -> Event | None:
        """The next event, None at the end of the stream. The data of a priming event is None."""
        name, data, has_data, last_id = "message", [], False, None
        async with asyncio.timeout(20):
            while line := await self.response.content.readline(max_line_length=2**24):
                text = line.decode().rstrip("\n")
                key, _, value = text.partition(": ")
                match key.rstrip(":"):
                    case "" if text.startswith(":"):
                        self.comments.append(text[1:].strip())
                    case "event":
                        name = value
                    case "id":
                        self.last_id = last_id = value
                    case "retry":
                        self.retry = int(value)
                    case "data":
                        has_data = True
                        data.append(value)
                    case "" if has_data:
                        whole = "\n".join(data)
                        shown = jsontext.loads(whole) if whole.startswith("{") else whole or None
                        return Event(name, shown, last_id)
                    case _:
                        pass
        return None

    async def message(self) -> Any:
        """The next JSON-RPC message."""
        while (event := await self.next()) is not None:
            if event.data is not None:
                return event.data
        raise AssertionError("the stream ended")


@dataclass
class Client:
    """A client whose messages go to one gateway after the other."""

    gateways: Sequence[Endpoint]
    version: str
    id: str
    capabilities: Mapping[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "/mcp"

    def __post_init__(self) -> None:
        self._turn = cycle(self.gateways)
        self._ids = 0

    @property
    def all_headers(self) -> dict[str, str]:
        """Those of every request."""
        return {HEADER: self.id, "MCP-Protocol-Version": self.version, "Accept": BOTH, **self.headers}

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    async def send(self, body: Any, at: Endpoint | None = None, **headers: str) -> tuple[int, Any]:
        """POST any message; status, and the last message of the answer."""
        async with self.post(body, at, **headers) as response:
            if response.content_type == "text/event-stream":
                found = [event.data async for event in events(Stream(response)) if event.data is not None]
                return response.status, found[-1] if found else None
            text = await response.text()
            return response.status, jsontext.loads(text) if text else None

    async def ask(self, method: str, params: Any = None, at: Endpoint | None = None) -> Any:
        """The result of a request."""
        status, answer = await self.send(message(method, params, self.new_id()), at)
        assert status == 200, (status, answer)
        assert "result" in answer, answer
        return answer["result"]

    async def notify(self, method: str, params: Any = None, at: Endpoint | None = None) -> None:
        body = {"jsonrpc": "2.0", "method": f"notifications/{method}", "params": params or {}}
        assert await self.send(body, at) == (202, None)

    async def respond(self, id: Any, result: Any, at: Endpoint | None = None) -> None:
        """Answer a request of the server."""
        assert await self.send({"jsonrpc": "2.0", "id": id, "result": result}, at) == (202, None)

    @contextlib.asynccontextmanager
    async def post(
        self, body: Any, at: Endpoint | None = None, **headers: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        gateway = at or next(self._turn)
        data = body if isinstance(body, bytes) else jsontext.dumps(body).encode()
        sent = {"Content-Type": "application/json", **self.all_headers, **headers}
        async with gateway.session.post(gateway.url + self.path, data=data, headers=sent) as response:
            yield response

    @contextlib.asynccontextmanager
    async def call(
        self, name: str, arguments: Any = None, at: Endpoint | None = None, *, token: Any = None, id: Any = None
    ) -> AsyncIterator[Stream]:
        """A tools/call whose stream is read by the test."""
        meta = {} if token is None else {"_meta": {"progressToken": token}}
        body = message("tools/call", {"name": name, "arguments": arguments or {}, **meta}, id or self.new_id())
        async with self.post(body, at) as response:
            assert response.status == 200, await response.text()
            yield Stream(response)

    @contextlib.asynccontextmanager
    async def listen(
        self, at: Endpoint | None = None, *, last: str | None = None, status: int = 200
    ) -> AsyncIterator[Stream]:
        """GET a stream."""
        gateway = at or next(self._turn)
        sent = {**self.all_headers, "Accept": "text/event-stream"}
        if last is not None:
            sent["Last-Event-ID"] = last
        async with gateway.session.get(gateway.url + self.path, headers=sent) as response:
            assert response.status == status, await response.text()
            yield Stream(response)

    async def delete(self, at: Endpoint | None = None) -> int:
        gateway = at or next(self._turn)
        async with gateway.session.delete(gateway.url + self.path, headers=self.all_headers) as response:
            return response.status


async def events(stream: Stream) -> AsyncIterator[Event]:
    while (event := await stream.next()) is not None:
        yield event


async def connect(
    *gateways: Endpoint,
    version: str = "2025-11-25",
    capabilities: Mapping[str, Any] = EVERYTHING,
    headers: Mapping[str, str] | None = None,
    path: str = "/mcp",
    ready: bool = True,
) -> Client:
    """Shake hands at the first gateway, and say that the client is ready."""
    hello = {
        "protocolVersion": version,
        "capabilities": dict(capabilities),
        "clientInfo": {"name": "test", "version": "1"},
    }
    sent = {"Content-Type": "application/json", "Accept": BOTH, **(headers or {})}
    data = jsontext.dumps(message("initialize", hello, 0))
    async with gateways[0].session.post(gateways[0].url + path, data=data, headers=sent) as response:
        assert response.status == 200, await response.text()
        answer = jsontext.loads(await response.text())
        assert answer["result"]["protocolVersion"] == version
        client = Client(gateways, version, response.headers[HEADER], capabilities, dict(headers or {}), path)
    if ready:
        await client.notify("initialized")
    return client


class SseClient:
    """A client of HTTP+SSE, whose stream is at one gateway and whose messages go to another."""

    def __init__(self, stream: Stream, endpoint: str, at: Endpoint) -> None:
        self.stream = stream
        self.endpoint = endpoint
        self.at = at

    async def post(self, body: Any, at: Endpoint | None = None, **headers: str) -> int:
        gateway = at or self.at
        async with gateway.session.post(gateway.url + self.endpoint, json=body, headers=headers) as response:
            return response.status

    async def ask(self, method: str, params: Any = None, id: Any = 1) -> Any:
        assert await self.post(message(method, params, id)) == 202
        answer = await self.stream.message()
        assert answer["id"] == id
        return answer

    async def initialize(self, version: str = "2024-11-05") -> Any:
        hello = {"protocolVersion": version, "capabilities": EVERYTHING, "clientInfo": {"name": "t", "version": "1"}}
        answer = await self.ask("initialize", hello, 0)
        assert await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}) == 202
        return answer["result"]


@contextlib.asynccontextmanager
async def open_sse(gateways: Sequence[Endpoint], **headers: str) -> AsyncIterator[SseClient]:
    """A stream at the first gateway, with its messages posted at the last one."""
    sent = {"Accept": "text/event-stream", **headers}
    async with gateways[0].session.get(gateways[0].url + "/mcp/sse", headers=sent) as response:
        assert response.status == 200, await response.text()
        stream = Stream(response)
        first = await stream.next()
        assert first is not None
        assert first.name == "endpoint"
        yield SseClient(stream, first.data, gateways[-1])
