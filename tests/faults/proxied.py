"""A world in which every report of a hop passes a proxy that may lose or swallow it."""

from typing_extensions import override

from servers.proxy import TcpProxy
from tests.faults.world import World
from tests.support.waiting import until

BEGIN, END = b'"kind":"begin"', b'"kind":"end"'
FLOWS = """
flows:
  - {name: work, entrypoint: first, routeNext: [second], timeout: 10m, mcp: {}}
  - {name: spread, entrypoint: spread, routeNext: [second], timeout: 10m, mcp: {}}
"""


class ProxiedWorld(World):
    """Everyone reaches mesh through a proxy, and mesh reaches the broker, if there is one, through another. Workers
    know that mesh takes reports together since their first hop."""

    flows = FLOWS
    workers = ("first", "second", "spread")
    proxy: TcpProxy
    to_broker: TcpProxy | None = None

    @override
    async def up(self, *, migrated: bool = False) -> None:
        self.migrate()
        more = {}
        if self.rabbit is not None:
            self.to_broker, more["ASYA_RABBITMQ_URL"] = await TcpProxy.before(self.queues.address)
        mesh = self.gateway("mesh", "mesh", **more)
        self.proxy, mesh.url = await TcpProxy.before(mesh.url)
        self.gateway("api", "api")
        self.gateway("api2", "api")
        for actor in self.workers:
            self.worker(actor)
        self.crew()
        for name in ("mesh", "api", "api2"):
            await self.ready(name)
        await self.call_until_done()
        spread = await self.call("api", "spread", parts=1)
        assert spread is not None
        await until(lambda: self.ended(spread), 60, "the first spread task's end")
        self.proxy.swallowed.clear()

    async def held_task(self) -> str:
        """A task whose first hop has begun and waits for `gate`."""
        self.gate.unlink(missing_ok=True)
        task_id = await self.call("api", first_waits_for=str(self.gate))
        assert task_id is not None
        await until(lambda: self.begun(task_id), 60, "the hop that waits")
        return task_id

    async def restart_killed(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].start()

    @override
    async def close(self) -> None:
        await super().close()
        await self.proxy.close()
        if self.to_broker is not None:
            await self.to_broker.close()
