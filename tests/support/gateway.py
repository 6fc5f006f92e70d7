"""The real web application on its own port with a real Storage, and helpers for requests to it."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.offloading import Offload
from asya_gateway.composition.agent_cards import agent_cards
from asya_gateway.composition.examining import Digesting, Examining, Filling
from asya_gateway.composition.identifying import Identifying
from asya_gateway.composition.limiting import Limiting
from asya_gateway.composition.pushing import Pushing, pushes
from asya_gateway.composition.web import build_app, serve
from asya_gateway.domain.backlog import Backlog
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.calls import TaskRules
from asya_gateway.domain.flows import FlowRegistry, FlowTable, ServedFlow
from asya_gateway.domain.identity.revocations import STALE_AFTER
from asya_gateway.domain.tasks import Tasks
from asya_gateway.identity.seal_ring import SealRing
from asya_gateway.outbound.client import OutboundClient
from asya_gateway.protocols.a2a.card_cache import CARDS
from asya_gateway.protocols.a2a.request import CONVERSATION_LISTS, CONVERSATIONS
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.keys import HELD, SEALING
from asya_gateway.settings import Settings
from asya_gateway.storage.a2a.conversations import PostgresConversations
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from asya_gateway.storage.identity.seal_keys import PostgresSealKeys
from asya_schemas.compiling import compile_schema
from asya_schemas.flows import compile_flow
from tests.support.storage import Running, make_storage

TEXT_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
FLOWS: list[dict[str, Any]] = [
    {"name": "shout", "entrypoint": "first", "route_next": ["second", "third"], "mcp": {"inputSchema": TEXT_SCHEMA}},
    {"name": "anything", "entrypoint": "first", "mcp": {}},
    {"name": "a2a-only", "entrypoint": "first", "a2a": {}},
]


@dataclass
class Event:
    """One server-sent event as a reader sees it."""

    name: str
    data: Any
    id: str | None = None


@dataclass
class Gateway:
    """A served application; `stop` begins its drain."""

    url: str
    app: web.Application
    session: aiohttp.ClientSession
    running: Running
    stop: asyncio.Event
    served: "asyncio.Task[None]"
    created: list[str] = field(default_factory=list)
    identifying: Identifying | None = None

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Send `body` as JSON (text and bytes as they are) and return status and decoded answer."""
        if body is not None:
            options["data"] = body if isinstance(body, bytes | str) else jsontext.dumps(body)
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        async with self.session.request(method, self.url + path, **options) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, jsontext.loads(text) if is_json else text

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        return await self.call("POST", path, body, **options)

    async def submit(self, name: str = "anything", arguments: Any = None) -> str:
        """Call a flow and return the task's id."""
        status, answer = await self.post("/tools/call", {"name": name, "arguments": arguments or {}})
        assert status == 200, answer
        handle = jsontext.loads(answer["content"][0]["text"])
        return str(handle["task_id"])

    async def finish(self, task_id: str, result: Any = None) -> None:
        status, _ = await self.post(f"/mesh/{task_id}/final", {"id": task_id, "status": "succeeded", "result": result})
        assert status == 200

    async def stored(self) -> int:
        """How many tasks there are."""
        return int(await self.running.storage.database.fetchval("SELECT count(*) FROM tasks"))

    @contextlib.asynccontextmanager
    async def stream(self, path: str, **headers: str) -> AsyncIterator["Reader"]:
        """Read an event stream; its status must be 200."""
        async with self.session.get(self.url + path, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield Reader(response)


def forget_the_database(gateway: Gateway) -> None:
    """Make what a closed gateway knows of revocations too old, as while the database is away."""
    assert gateway.identifying is not None
    assert gateway.identifying.keys is not None
    now = time.monotonic() + STALE_AFTER + 60
    gateway.identifying.keys.revocations._monotonic = lambda: now


async def send(gateway: Gateway, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    """Post as a stream, because a body in one piece would block the client's side of this event loop."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    async with gateway.session.post(gateway.url + path, data=io.BytesIO(body), headers=headers) as response:
        return response.status, jsontext.loads(await response.text() or "null")


class Reader:
    """Reads an event stream line by line."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments: list[str] = []

    async def next(self) -> Event | None:
        """The next event, None at the end of the stream."""
        name, data, last_id = "message", [], None
        async with asyncio.timeout(10):
            while line := await self.response.content.readline(max_line_length=2**24):
                text = line.decode().rstrip("\n")
                key, _, value = text.partition(": ")
                if text.startswith(":"):
                    self.comments.append(text[1:].strip())
                elif key == "event":
                    name = value
                elif key == "id":
                    last_id = value
                elif key == "data":
                    data.append(value)
                elif data:
                    return Event(name, jsontext.loads("\n".join(data)), last_id)
        return None

    async def comment(self) -> str:
        """The next line, which must be a comment."""
        async with asyncio.timeout(10):
            line = await self.response.content.readline()
            assert line.startswith(b":"), line
            await self.response.content.readline()
        return line[1:].strip().decode()

    async def all(self) -> list[Event]:
        """Every event to the end of the stream."""
        found = []
        while event := await self.next():
            found.append(event)
        return found


def make_flows(flows: Iterable[Mapping[str, Any]] = FLOWS) -> FlowRegistry:
    registry = FlowRegistry()
    parsed = [Flow.model_validate(flow) for flow in flows]
    registry.swap(FlowTable.of(1, [served(flow) for flow in parsed]))
    return registry


def served(flow: Flow) -> ServedFlow:
    """The flow as the registry serves it, but for its outputSchema."""
    checks = compile_flow(flow)
    return ServedFlow(flow, checks.call, check_arguments=checks.arguments)


def make_settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "gateway_mode": "testing",
        "gateway_host": "127.0.0.1",
        "gateway_port": 0,
        "drain_timeout": 4,
    }
    return Settings(**(values | changes))


@contextlib.asynccontextmanager
async def start_gateway(database_url: str, **changes: Any) -> AsyncGenerator[Gateway]:
    """Serve the application until the block ends; `changes` are settings, `budget` the memory budget, `embedded`
    whether its queues are in the database, `doors` who may call, `outbound` its client for other systems, `backlog`
    what waits to be delivered, `rules` what the queue system says of envelopes. Push notifications are delivered only
    with their client, `pushes_by`."""
    budget: Budget | None = changes.pop("budget", None)
    embedded: bool = changes.pop("embedded", False)
    doors: Admission | None = changes.pop("doors", None)
    outbound: OutboundClient | None = changes.pop("outbound", None)
    backlog: Backlog | None = changes.pop("backlog", None)
    pushes_by: OutboundClient | None = changes.pop("pushes_by", None)
    of_queues: Mapping[str, Any] = changes.pop("rules", {})
    settings = make_settings(database_url=database_url, **changes)
    namespace = settings.namespace if embedded else None
    running = make_storage(database_url, patience=1.0, budget=budget, namespace=namespace)
    storage = running.storage
    rules = TaskRules(mesh_url="http://mesh.example", default_timeout=settings.default_timeout)
    rules = replace(rules, caller_claims=frozenset(settings.caller_claims))
    rules = replace(rules, owner_cap=settings.max_open_tasks_per_owner or None)
    rules = replace(rules, flow_cap=settings.max_open_tasks_per_flow or None)
    # On a busy machine a check of a million values takes longer than a program would wait for it.
    offload, clock = Offload(seconds=120), storage.clock
    identifying = Identifying(settings, storage, outbound)
    limiting = Limiting(settings, storage.database)
    rules = replace(rules, flow_rate=limiting.flows, backlog=backlog, **of_queues)
    flows = make_flows()
    tasks = Tasks(
        storage.tasks,
        storage.feed,
        storage.fly,
        rules,
        compile_schema,
        examine=Examining(offload),
        fill=Filling(offload),
        digest=Digesting(offload),
        clock=clock,
        audit=identifying.audit,
        check_flow=flows.check,
        resources=storage.resources,
    )
    admission = doors or identifying.admission()
    app = build_app(
        settings,
        tasks,
        flows,
        identifying.routes(),
        offload=offload,
        budget=budget,
        admission=admission,
        limiter=limiting.limiter(),
        sessions=storage.sessions.parts,
    )
    sealing = app[SEALING] = SealRing(settings.seal_keys, PostgresSealKeys(storage.database), clock)
    app[CARDS] = agent_cards(flows, settings)
    app[CONVERSATIONS] = PostgresConversations(storage.database.hot)
    app[CONVERSATION_LISTS] = PostgresConversationLists(storage.database)
    pushing = None
    if pushes(settings):
        pushing = Pushing(settings, storage, tasks, identifying, sealing, budget=budget, client=pushes_by)
        pushing.install(app)
    identifying.on_revoked(app[HELD].revoke)
    identifying.on_revoked(storage.sessions.revoke)
    async with serving(app, running, identifying, pushing if pushes_by is not None else None) as gateway:
        yield gateway


@contextlib.asynccontextmanager
async def serving(
    app: web.Application,
    running: Running,
    identifying: Identifying | None = None,
    pushing: Pushing | None = None,
) -> AsyncGenerator[Gateway]:
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    connected = asyncio.Event()

    @contextlib.asynccontextmanager
    async def parts() -> AsyncGenerator[None]:
        await running.storage.start()
        try:
            async with contextlib.AsyncExitStack() as stack:
                for each in (identifying, pushing):
                    if each is not None:
                        await stack.enter_async_context(each.running())
                connected.set()
                yield
        finally:
            await running.storage.stop()

    served = asyncio.create_task(serve(app, parts(), stop, port.set_result))
    done, _ = await asyncio.wait({served, asyncio.ensure_future(port)}, return_when=asyncio.FIRST_COMPLETED)
    if served in done:
        served.result()
    await connected.wait()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        gateway = Gateway(f"http://127.0.0.1:{port.result()}", app, session, running, stop, served)
        gateway.identifying = identifying
        try:
            yield gateway
        finally:
            stop.set()
            await served
