"""The deployment of a chaos run: two api and two mesh processes, two workers an actor, two crews, each behind what a
Service or a network is."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from servers import observed
from servers.clocks import LIBRARY, MovableClock, wrong_by
from servers.postgres import PostgresServer
from servers.proxy import TcpProxy
from servers.rabbitmq import RabbitNode
from tests.chaos.owners import Owner, key_file
from tests.chaos.service import Service
from tests.faults.pair import Pair
from tests.faults.queues import Queues
from tests.faults.world import PROGRAM, Process, World
from tests.support.waiting import until

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
ODD = ("1", "3", "5", "7", "9")


class ChaosWorld(World):
    """Everything that the controller may break. `ready`: everything runs."""

    flows = FLOWS
    workers = ACTORS
    mesh: Service
    api: Service
    to_databases: Sequence[TcpProxy]
    """The first one leads to the primary, the second one to its standby, if it has one."""
    to_broker: TcpProxy | None = None

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        rabbit: RabbitNode | None = None,
        *,
        queues: Queues | None = None,
        pair: Pair | None = None,
    ) -> None:
        """`pair`: the server with its standby, if it has one."""
        super().__init__(folder, postgres, rabbit, queues=queues)
        self.pair = pair

    @property
    def direct_url(self) -> str:
        """The database without the proxy, for the audit."""
        return self.postgres.database("faults")

    @override
    async def up(self, *, migrated: bool = False) -> None:
        if not migrated:
            self.migrate()
        await self.connect()
        await self.begin(range(REPLICAS), range(REPLICAS))
        await self.call_until_done()

    async def connect(self) -> None:
        """What lies between the programs: proxies before the servers, Services before the gateways."""
        servers = [self.postgres, *([] if self.pair is None else [self.pair.standby])]
        self.to_databases = [(await TcpProxy.before(each.url))[0] for each in servers]
        hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.to_databases)
        found = "" if self.pair is None else "?target_session_attrs=read-write"
        self.database_url = f"postgresql://postgres@{hosts}/faults{found}"
        if self.queues.variable:
            self.to_broker = await self.queues.behind_proxy()
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
                self.worker(actor, f"{actor}-{number}", **self.clock_of(f"{actor}-{number}"))
            self.crew(f"crew-{number}", **self.clock_of(f"crew-{number}"))
        for number in gateways:
            for mode, service in (("mesh", self.mesh), ("api", self.api)):
                await self.ready(f"{mode}-{number}")
                service.add(self.processes[f"{mode}-{number}"].url)

    @override
    def worker(self, actor: str, name: str | None = None, **more: Any) -> Process:
        # What takes its time here waits, and holds up nobody.
        return super().worker(actor, name, **more, **({"ASYA_ACTOR_CONCURRENCY": 100} if actor == "slow" else {}))

    async def fail_over(self) -> None:
        """The primary dies, the standby takes over, and gets a standby of its own."""
        assert self.pair is not None
        await until(self.pair.followed, 60, "a standby that has caught up")
        await asyncio.to_thread(self.pair.fail_over)
        await asyncio.to_thread(self.pair.replace_the_dead)
        dead, promoted = self.to_databases
        dead.lead_to(self.pair.standby.url)
        self.postgres, self.to_databases = self.pair.primary, (promoted, dead)

    def clock_of(self, name: str) -> dict[str, Any]:
        """The environment of a worker or crew whose clock is its own: one of two has a slow one."""
        return wrong_by("-90s") if name.endswith(ODD) and LIBRARY.exists() else {}

    def replicas(self, *kinds: str) -> list[Process]:
        """The processes of these kinds: api, mesh, crew, or an actor."""
        return [each for name, each in self.processes.items() if name.rpartition("-")[0] in kinds]

    @override
    async def close(self) -> None:
        for name in ("api", "mesh"):
            self.processes.pop(name, None)
        await super().close()
        for proxy in (self.mesh, self.api, *self.to_databases, self.to_broker):
            if proxy is not None:
                await proxy.close()


class ClosedWorld(ChaosWorld):
    """The deployment of a chaos run: callers have keys, calls are refused when few messages wait, clocks can be moved,
    and the asyncio tasks of each process can be seen. `clocks`: by the names of processes."""

    program = (*PROGRAM[:2], observed.__name__, *PROGRAM[2:])

    def __init__(
        self,
        folder: Path,
        postgres: PostgresServer,
        rabbit: RabbitNode | None = None,
        *,
        queues: Queues,
        pair: Pair,
        owners: Sequence[Owner],
        most_waiting: int,
    ) -> None:
        """`most_waiting`: messages for one actor, beyond which calls are refused."""
        super().__init__(folder, postgres, rabbit, queues=queues, pair=pair)
        self.clocks: dict[str, MovableClock] = {}
        self.observed = folder / "observed"
        self.observed.mkdir(exist_ok=True)
        self._settings = {
            "ASYA_API_KEYS_FILE": key_file(folder / "keys.yaml", owners),
            "ASYA_OUTBOX_ROWS_PER_ACTOR": most_waiting,
        }
        self.session.headers.update(owners[0].headers)

    @override
    def environment(self, **more: Any) -> dict[str, str]:
        return super().environment(**{observed.FOLDER: self.observed, **more})

    @override
    def gateway(self, name: str, mode: str, **more: Any) -> Process:
        return super().gateway(name, mode, **self._settings, **more)

    @override
    def clock_of(self, name: str) -> dict[str, Any]:
        if not (name.endswith(ODD) and LIBRARY.exists()):
            return {}
        clock = self.clocks[name] = MovableClock(self.folder / f"{name}.clock", -90)
        return clock.environment
