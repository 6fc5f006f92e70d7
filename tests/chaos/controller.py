"""Breaks one thing after the other, at random but repeatably, and mends each again."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

from servers.proxy import TcpProxy
from tests.chaos.clients import Clients
from tests.chaos.network import HALF_CLOSED, SLOW, Fault, Network
from tests.chaos.world import ACTORS, ClosedWorld
from tests.faults.world import Process
from tests.support.waiting import lasts, until

FULL = "so much waits that calls are refused"
GAVE_UP = "error: Unavailable: the database is not available"
"""The last words of a gateway that did not reach the database within a minute of its start."""
FULL_WITHIN = 60.0
"""Seconds of load in which so much waits."""
MORE_CALLERS = 400
"""So many more calls may be under way then. Those that are would wait until the queue is empty, and none would come."""
BROKER_STARTS_WITHIN = 300.0
"""Seconds, on a machine that is as busy as a chaos run makes it."""
CLOCKS = {
    "a worker's clock slow by 90 s": (-90, -90),
    "a worker's clock fast by 90 s": (90, 90),
    "a worker's clock slow by minutes": (-1800, -120),
    "a worker's clock fast by minutes": (120, 1800),
}
"""The least and the most seconds by which it is wrong then."""


class Controller:
    """`counts`: how often each fault was done. `failed`: those that did not come about, with the reason. `essential`:
    those that belong to every run, however short."""

    def __init__(self, world: ClosedWorld, clients: Clients, seed: int, *, brief: bool = False) -> None:
        """`brief`: faults take less time, and the first ones are those that are essential."""
        self._world = world
        self._clients = clients
        self._random = random.Random(seed)
        self._brief = brief
        self._over: Callable[[], bool] = lambda: False
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []
        self.faults: dict[str, Fault] = {
            "kill -9 of an api": lambda: self._killed("api"),
            "kill -9 of a mesh": lambda: self._killed("mesh"),
            "kill -9 of a worker": lambda: self._killed(self._random.choice(ACTORS)),
            "kill -9 of a crew": lambda: self._killed("crew"),
            "SIGSTOP of an api": lambda: self._stopped("api"),
            "SIGSTOP of a mesh": lambda: self._stopped("mesh"),
            "SIGSTOP of a worker": lambda: self._stopped(self._random.choice(ACTORS)),
            "orderly restart of an api": lambda: self._restarted("api"),
            "orderly restart of a mesh": lambda: self._restarted("mesh"),
            "orderly restart of a worker": lambda: self._restarted(self._random.choice(ACTORS)),
            "all workers of an actor away": lambda: self._workers_away(self._random.choice(ACTORS), self._awhile),
            "crash of PostgreSQL": self._database_crashes,
            FULL: self._filled,
        }
        self.essential = [FULL]
        self._add_networks()
        self._add_clocks()
        if world.pair is not None:
            self.faults["failover to the standby"] = world.fail_over
        if world.rabbit is not None:  # the stand-ins of clouds keep nothing over a restart
            self.faults["restart of the broker"] = self._broker_restarts

    def _add_networks(self) -> None:
        world = self._world
        networks: dict[str, Callable[[], Sequence[TcpProxy]]] = {
            "the database": lambda: world.to_databases,
            "mesh": lambda: [world.mesh],
            "the api": lambda: [world.api],
        }
        if (broker := world.to_broker) is not None:
            networks["the queue system"] = lambda: [broker]
        for name, proxies in networks.items():
            self.faults |= Network(name, proxies, self._random, self._hold).faults()
            self.essential += [HALF_CLOSED.format(name), SLOW.format(name)]

    def _add_clocks(self) -> None:
        if not self._world.clocks:
            return
        for name, (least, most) in CLOCKS.items():
            self.faults[name] = lambda least=least, most=most: self._clock_moved(least, most)  # type: ignore[misc]
        self.essential += CLOCKS

    async def run(self, until: float, pause: float, ended: Callable[[], bool]) -> None:
        """One fault after the other, each kind once before any comes again, until `until` (monotonic) or `ended`. A
        brief run lasts until what is essential was done, however slow the machine is."""
        names = self._shuffled(self.essential) if self._brief else []
        names += [name for name in self._shuffled(self.faults) if name not in names]
        self._over = lambda: ended() or (time.monotonic() >= until and not (self._brief and self._essential_left()))
        while True:
            for name in names:
                if self._over():
                    return
                try:
                    await self.faults[name]()
                    self.counts[name] += 1
                except AssertionError as failure:
                    self.failed.append(f"{name}: {failure}")
                self._begin_again()
                await lasts(self._random.uniform(0.5, 1.5) * pause)
            names = self._shuffled(self.faults)

    def _begin_again(self) -> None:
        """Start what waited in vain for the database and ended, as Kubernetes does. Whatever else has ended stays so,
        and is a problem."""
        for process in self._world.processes.values():
            ended = process.running is not None and process.running.poll() is not None
            if ended and GAVE_UP in process.log.read_text(errors="replace")[-1000:]:
                process.start()
                self.counts["a start that gave up waiting for the database"] += 1

    def undone(self) -> list[str]:
        """What did not come about, in words: faults that failed, and of a brief run those that are essential."""
        missing = [f"not done: {name}" for name in self._essential_left() if self._brief]
        if self.counts[FULL] and not self._clients.records.overloaded:
            missing.append("no call was refused, whatever waited")
        return [*self.failed, *missing]

    def _essential_left(self) -> list[str]:
        return [name for name in self.essential if not self.counts[name]]

    def _shuffled(self, names: "Sequence[str] | dict[str, Fault]") -> list[str]:
        return self._random.sample(list(names), len(names))

    async def _hold(self, longest: float) -> None:
        share = 0.25 if self._brief else 1.0
        await lasts(max(0.2, self._random.uniform(0.2, 1.0) * longest * share))

    async def _awhile(self) -> None:
        await self._hold(8)

    # Processes

    async def _killed(self, kind: str) -> None:
        process = self._random.choice(self._world.replicas(kind))
        process.kill()
        await lasts(self._random.uniform(0.1, 2))
        process.start()

    async def _stopped(self, kind: str) -> None:
        process = self._random.choice(self._world.replicas(kind))
        process.signal(signal.SIGSTOP)
        await self._hold(8)
        process.signal(signal.SIGCONT)

    async def _restarted(self, kind: str) -> None:
        process = self._random.choice(self._world.replicas(kind))
        await asyncio.to_thread(process.restart)

    async def _workers_away(self, actor: str, awhile: Fault) -> None:
        workers: list[Process] = self._world.replicas(actor)
        await asyncio.gather(*(asyncio.to_thread(worker.end) for worker in workers))
        try:
            await awhile()
        finally:
            for worker in workers:
                worker.start()

    async def _clock_moved(self, least: float, most: float) -> None:
        """It stays where it is until it is moved again."""
        clock = self._random.choice([clock for _, clock in sorted(self._world.clocks.items())])
        clock.move(round(self._random.uniform(least, most)))

    # Queues and servers

    async def _filled(self) -> None:
        """With `postgres` the queue of an actor fills up that has no workers; with the others the outbox, when their
        broker cannot be reached."""
        if (broker := self._world.to_broker) is None:
            await self._workers_away("first", self._refused)
            return
        broker.refuse()
        try:
            await self._refused()
        finally:
            broker.accept()

    async def _refused(self) -> None:
        """Until a call is refused because too much waits, and a little longer."""
        before = self._clients.records.overloaded
        self._clients.most += MORE_CALLERS

        def refused() -> bool:
            return self._clients.records.overloaded > before or self._over()

        try:
            await until(refused, FULL_WITHIN, "a call that is refused for what waits")
            await self._hold(4)
        finally:
            self._clients.most -= MORE_CALLERS

    async def _database_crashes(self) -> None:
        await asyncio.to_thread(self._world.postgres.restart)

    async def _broker_restarts(self) -> None:
        assert self._world.rabbit is not None
        await asyncio.to_thread(self._world.rabbit.stop)
        await asyncio.to_thread(self._world.rabbit.start, BROKER_STARTS_WITHIN)
