"""The deployment of a chaos run: two api and two mesh processes, two workers an actor, two crews, each behind what a
Service or a network is."""

import os
from pathlib import Path

from typing_extensions import override

from servers.postgres import PostgresServer
from servers.proxy import TcpProxy
from servers.rabbitmq import RabbitNode
from tests.chaos.service import Service
from tests.faults.world import Process, World

FAKETIME = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1")
FLOWS = """
flows:
  - {name: work, entrypoint: first, routeNext: [second], timeout: 20m, mcp: {}, a2a: {}}
  - {name: ask, entrypoint: asking, routeNext: [second], timeout: 20m, mcp: {}}
  - {name: spread, entrypoint: spread, routeNext: [second], timeout: 20m, mcp: {}}
  - {name: slow, entrypoint: slow, timeout: 20m, mcp: {}}
"""
ACTORS = ("first", "second", "asking", "spread", "slow")
REPLICAS = 2


class ChaosWorld(World):
    """Everything that the controller may break. `ready`: everything runs."""

    flows = FLOWS
    workers = ACTORS
    handlers = Path(__file__).parent
    mesh: Service
    api: Service
    to_database: TcpProxy
    to_broker: TcpProxy | None = None

    def __init__(self, folder: Path, postgres: PostgresServer, rabbit: RabbitNode | None, rabbit_url: str = "") -> None:
        super().__init__(folder, postgres, rabbit, rabbit_url)
        self.direct_url = self.database_url
        """The database without the proxy, for the audit."""

    @override
    async def up(self, *, migrated: bool = False) -> None:
        self.migrate()
        self.to_database, self.database_url = await TcpProxy.before(self.direct_url)
        if self.rabbit is not None:
            self.to_broker, self.rabbit_url = await TcpProxy.before(self.rabbit_url)
        names = [f"mesh-{number}" for number in range(REPLICAS)]
        self.mesh = Service([self.gateway(name, "mesh").url for name in names])
        await self.mesh.start()
        self.processes["mesh"] = Process("mesh", [], {}, self.folder / "mesh.log", self.mesh.url)
        names = [f"api-{number}" for number in range(REPLICAS)]
        self.api = Service([self.gateway(name, "api").url for name in names])
        await self.api.start()
        self.processes["api"] = Process("api", [], {}, self.folder / "api.log", self.api.url)
        for actor in ACTORS:
            for number in range(REPLICAS):
                # One of the two has a clock of its own.
                self.worker(actor, f"{actor}-{number}", **(self._skewed("-90s") if number else {}))
        for number in range(REPLICAS):
            self.crew(f"crew-{number}")
        for name in ("mesh", "api"):
            for number in range(REPLICAS):
                await self.ready(f"{name}-{number}")
        await self.call_until_done()

    def _skewed(self, by: str) -> dict[str, str]:
        return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": by} if FAKETIME.exists() else {}

    def replicas(self, *kinds: str) -> list[Process]:
        """The processes of these kinds: api, mesh, crew, or an actor."""
        return [each for name, each in self.processes.items() if name.rpartition("-")[0] in kinds]

    @override
    async def close(self) -> None:
        for name in ("api", "mesh"):
            self.processes.pop(name, None)
        await super().close()
        for proxy in (self.mesh, self.api, self.to_database, self.to_broker):
            if proxy is not None:
                await proxy.close()
