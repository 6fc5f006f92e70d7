"""A whole mesh in one process: the real gateway, real queues, and workers with the test's handlers."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from typing_extensions import override

from asya_actor.app import run_many
from asya_actor.mesh.client import BatchLimits, MeshClient
from asya_actor.settings import CrewSettings, WorkerSettings
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route, format_time
from asya_crds.flow import Flow
from asya_gateway.composition.program import Gateway
from asya_gateway.composition.web import serve
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.settings import Settings
from asya_transports.opening import open_transport
from asya_transports.port import OutboundMessage, Queue, Transport
from asya_transports.postgres.settings import PostgresSettings
from servers.ports import free_port
from tests.support.waiting import until

HANDLERS = "tests.support.handlers"

OFFER = BatchLimits(256, 1024 * 1024)
FEW_CONNECTIONS = {"db_min_conns": 1, "db_max_conns": 4}
"""A mesh whose parts begin at once opens as many as it may, and each costs the server more than a small test does."""


class NoOffers(dict[str, BatchLimits]):
    """Stays empty."""

    @override
    def __setitem__(self, base: str, offer: BatchLimits) -> None: ...


@dataclass
class Mesh:
    """The gateway in mode testing at `url`, and a transport for the test."""

    url: str
    gateway: Gateway
    transport: Transport
    session: aiohttp.ClientSession
    serving: "tuple[asyncio.Event, asyncio.Task[None]] | None" = None
    place: str = ""
    """Where the transport keeps its queues."""
    life: str = "usual"
    """Whether workers report hops together: `usual` from the second on, `batched` from the first, `single` never."""
    clients: list[MeshClient] = field(default_factory=list)
    """Those of the workers that were started."""
    _stops: list[tuple[asyncio.Event, "asyncio.Task[int]"]] = field(default_factory=list)

    def worker(self, name: str, handler: str, **changes: Any) -> WorkerSettings:
        """Settings of an actor; `handler` is a name of tests/support/handlers.py."""
        values: dict[str, Any] = {
            "actor_name": name,
            "handler": handler if "." in handler else f"{HANDLERS}.{handler}",
            "gateway_url": self.url,
            "metrics_port": -1,
            "actor_shutdown_timeout": 2,
        }
        return WorkerSettings(**(values | changes))

    def crew(self, **changes: Any) -> CrewSettings:
        values: dict[str, Any] = {"gateway_url": self.url, "metrics_port": -1, "actor_shutdown_timeout": 2}
        return CrewSettings(**(values | changes))

    async def run(self, *workers: WorkerSettings, crew: bool | CrewSettings = True) -> "asyncio.Task[int]":
        """Start the actors; returns when they consume."""
        stop, started = asyncio.Event(), asyncio.Event()
        settings = crew if isinstance(crew, CrewSettings) else self.crew() if crew else None
        client = MeshClient(offers={self.url: OFFER} if self.life == "batched" else None)
        if self.life == "single":
            client.offers = NoOffers()
        self.clients.append(client)
        running = asyncio.create_task(
            run_many(
                workers,
                settings,
                stop=stop,
                transport=self.transport,
                place=self.place,
                client=client,
                started=started.set,
            )
        )
        self._stops.append((stop, running))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([running, waiting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        assert started.is_set()
        return running

    async def stop_serving(self) -> None:
        """Stop the gateway; nothing listens on its port."""
        assert self.serving is not None
        stop, served = self.serving
        stop.set()
        await served
        self.serving = None

    async def serve_again(self) -> None:
        """A gateway on the same port and database, as a restarted pod."""
        self.gateway = Gateway(self.gateway.settings)
        stop, listening = asyncio.Event(), asyncio.Event()
        served = asyncio.create_task(serve(self.gateway.web(), self.gateway.running(), stop, lambda _: listening.set()))
        self.serving = (stop, served)

        async def ready() -> bool:
            if served.done():
                served.result()
            if not listening.is_set():
                return False
            async with self.session.get(f"{self.url}/health/ready") as response:
                return response.status == 200

        await until(ready, 20, "the gateway")

    async def stop_first(self) -> None:
        """Stop the actors that were started first."""
        stop, running = self._stops.pop(0)
        stop.set()
        await running

    async def stop(self) -> None:
        for stop, running in self._stops:
            stop.set()
            await running
        self._stops.clear()

    async def submit(self, route: list[str], payload: Any, **changes: Any) -> str:
        """Create a task whose route is these actors, as a call of a flow does."""
        name = f"flow-{uuid.uuid4().hex[:8]}"
        flow = Flow.model_validate({"name": name, "entrypoint": route[0], "route_next": route[1:], **changes})
        from asya_gateway.domain.calls import Call
        from asya_gateway.domain.identity.principals import OPEN

        call = Call(ServedFlow(flow, lambda _: ()), payload, OPEN, "rest", check=False)
        return await self.gateway.tasks.submit(call)

    async def task(self, task_id: str) -> dict[str, Any]:
        async with self.session.get(f"{self.url}/mesh/{task_id}") as response:
            assert response.status == 200, await response.text()
            found: dict[str, Any] = jsontext.loads(await response.read())
            return found

    async def ended(self, task_id: str, seconds: float = 20.0) -> dict[str, Any]:
        """The task once it is terminal."""

        async def terminal() -> dict[str, Any] | None:
            task = await self.task(task_id)
            return task if task["status"] in ("succeeded", "failed", "canceled") else None

        found: dict[str, Any] = await until(terminal, seconds, f"the end of {task_id}")
        return found

    async def status_is(self, task_id: str, status: str, seconds: float = 20.0) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            task = await self.task(task_id)
            return task if task["status"] == status else None

        found: dict[str, Any] = await until(there, seconds, f"{task_id} {status}")
        return found

    async def updates(self, task_id: str) -> list[tuple[str, dict[str, Any]]]:
        """(kind, detail) of the task's log; its seq must be free of gaps."""
        rows = await self.gateway.database.fetch(
            "SELECT seq, kind, detail::text FROM task_updates WHERE task_id = $1 ORDER BY seq", task_id
        )
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        return [(row["kind"], jsontext.loads(row["detail"])) for row in rows]

    async def children(self, task_id: str) -> list[str]:
        rows = await self.gateway.database.fetch("SELECT id FROM tasks WHERE parent_id = $1 ORDER BY id", task_id)
        return [row["id"] for row in rows]

    async def publish(self, envelope: Envelope, actor: str | None = None) -> None:
        answers = await self.transport.publish(
            [OutboundMessage(actor or envelope.route.curr, envelope.to_json().encode(), envelope.id)]
        )
        assert answers == [None]

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.session.post(self.url + path, json=body) as response:
            return response.status, jsontext.loads(await response.read())


def envelope_of(task_id: str, route: list[str], payload: Any, **changes: Any) -> Envelope:
    from datetime import UTC, datetime

    stamp = format_time(datetime.now(UTC))
    status = {"phase": "pending", "actor": route[0], "attempt": 1, "max_attempts": 1, "created_at": stamp}
    values: dict[str, Any] = {"headers": {}, "status": status}
    return Envelope(task_id, Route((), route[0], tuple(route[1:])), payload, **(values | changes))


@contextlib.asynccontextmanager
async def start_mesh(
    database_url: str,
    *,
    visibility_timeout: float = 60.0,
    port: int | None = None,
    life: str = "usual",
    poll_interval: float = 0.2,
    **changes: Any,
) -> AsyncIterator[Mesh]:
    """Serve until the block ends; then the workers are stopped first."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        gateway_mode="testing",
        gateway_host="127.0.0.1",
        gateway_port=port,
        metrics_port=0,
        database_url=database_url,
        mesh_url=url,
        drain_timeout=2,
        **(FEW_CONNECTIONS | changes),
    )
    gateway = Gateway(settings)
    postgres = PostgresSettings(
        database_url, visibility_timeout=visibility_timeout, poll_interval=poll_interval, pool_size=2
    )
    queues = postgres if settings.transport == postgres.name else settings.queues
    transport = open_transport(queues, settings.namespace)
    async with aiohttp.ClientSession() as session:
        mesh = Mesh(url, gateway, transport, session, place=queues.place, life=life)
        try:
            await mesh.serve_again()
            yield mesh
        finally:
            # Each whatever becomes of the others: what stays open would be a warning in a later test of this process.
            try:
                await mesh.stop()
            finally:
                try:
                    await transport.close()
                finally:
                    if mesh.serving is not None:
                        await mesh.stop_serving()


async def declare(mesh: Mesh, *actors: str) -> None:
    for actor in actors:
        await mesh.transport.declare(Queue(actor))
