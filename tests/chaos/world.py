"""The deployment of a chaos run: two api and two mesh processes, two workers an actor, two crews, each behind what a
Service or a network is."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
  - {name: stages, entrypoint: slow, routeNext: [slow, slow, slow], timeout: 20m, mcp: {}, a2a: {}}
"""
ACTORS = ("first", "second", "asking", "spread", "slow")
REPLICAS = 2


class ChaosWorld(World):
    """Everything that the controller may break. `ready`: everything runs."""

    flows = FLOWS
    workers = ACTORS
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
        if not migrated:
            self.migrate()
        await self.connect()
        await self.begin(range(REPLICAS), range(REPLICAS))
        await self.call_until_done()

    async def connect(self) -> None:
        """What lies between the programs: proxies before the servers, Services before the gateways."""
        self.to_database, self.database_url = await TcpProxy.before(self.direct_url)
        if self.rabbit is not None:
            self.to_broker, self.rabbit_url = await TcpProxy.before(self.rabbit_url)
        self.mesh, self.api = Service(), Service()
        for name, service in (("mesh", self.mesh), ("api", self.api)):
            await service.start()
            self.processes[name] = Process(name, [], {}, self.folder / f"{name}.log", service.url)

    async def begin(self, gateways: Iterable[int], workers: Iterable[int], **settings: Any) -> None:
        """Start api and mesh pods with these numbers, and workers and crews with those. Gateways that are ready get
        their Service's connections."""
        for number in gateways:
            for mode in ("mesh", "api"):
                self.gateway(f"{mode}-{number}", mode, **settings)
        for number in workers:
            for actor in ACTORS:
                # One of two has a clock of its own.
                self.worker(actor, f"{actor}-{number}", **(self._skewed("-90s") if number % 2 else {}))
            self.crew(f"crew-{number}")
        for number in gateways:
            for mode, service in (("mesh", self.mesh), ("api", self.api)):
                await self.ready(f"{mode}-{number}")
                service.add(self.processes[f"{mode}-{number}"].url)

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
