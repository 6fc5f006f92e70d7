"""Breaks one thing after the other, at random but repeatably, and mends each again."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.chaos.world import ACTORS, ChaosWorld
from tests.support.waiting import lasts

Fault = Callable[[], Awaitable[None]]


class Controller:
    """`counts`: how often each fault was done."""

    def __init__(self, world: ChaosWorld, seed: int) -> None:
        self._world = world
        self._random = random.Random(seed)
        self.counts: Counter[str] = Counter()
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
            "connections to the database cut": self._database_cut,
            "the database's network stalls": self._database_stalls,
            "connections to mesh cut": self._mesh_cut,
            "callers cut off": self._api_cut,
            "all workers of an actor away": self._queue_fills,
            "crash of PostgreSQL": self._database_crashes,
        }
        if world.pair is not None:
            self.faults["failover to the standby"] = world.fail_over
        if world.to_broker is not None:
            self.faults |= {
                "connections to the queue system cut": self._broker_cut,
                "the queue system's network stalls": self._broker_stalls,
                "the queue system away": self._broker_away,
            }
        if world.rabbit is not None:  # the stand-ins of clouds keep nothing over a restart
            self.faults["restart of the broker"] = self._broker_restarts

    async def run(self, until: float, pause: float, ended: Callable[[], bool]) -> None:
        """One fault after the other, each kind once before any comes again, until `until` (monotonic) or `ended`."""
        while True:
            names = list(self.faults)
            self._random.shuffle(names)
            for name in names:
                if time.monotonic() >= until or ended():
                    return
                self.counts[name] += 1
                await self.faults[name]()
                await lasts(self._random.uniform(0.5, 1.5) * pause)

    async def _killed(self, kind: str) -> None:
        process = self._random.choice(self._world.replicas(kind))
        process.kill()
        await lasts(self._random.uniform(0.1, 2))
        process.start()

    async def _stopped(self, kind: str) -> None:
        process = self._random.choice(self._world.replicas(kind))
        process.signal(signal.SIGSTOP)
        await lasts(self._random.uniform(1, 8))
        process.signal(signal.SIGCONT)

    async def _restarted(self, kind: str) -> None:
        process = self._random.choice(self._world.replicas(kind))
        await asyncio.to_thread(process.restart)

    async def _database_cut(self) -> None:
        for proxy in self._world.to_databases:
            proxy.cut()

    async def _database_stalls(self) -> None:
        for proxy in self._world.to_databases:
            proxy.stall()
        await lasts(self._random.uniform(1, 6))
        for proxy in self._world.to_databases:
            proxy.flow()

    async def _database_crashes(self) -> None:
        await asyncio.to_thread(self._world.postgres.restart)

    async def _mesh_cut(self) -> None:
        for _ in range(3):
            self._world.mesh.cut()
            await lasts(0.3)

    async def _api_cut(self) -> None:
        self._world.api.refuse()
        await lasts(self._random.uniform(0.2, 2))
        self._world.api.accept()

    async def _queue_fills(self) -> None:
        workers = self._world.replicas(self._random.choice(ACTORS))
        await asyncio.gather(*(asyncio.to_thread(worker.end) for worker in workers))
        await lasts(self._random.uniform(2, 8))
        for worker in workers:
            worker.start()

    async def _broker_cut(self) -> None:
        assert self._world.to_broker is not None
        self._world.to_broker.cut()

    async def _broker_stalls(self) -> None:
        assert self._world.to_broker is not None
        self._world.to_broker.stall()
        await lasts(self._random.uniform(1, 6))
        self._world.to_broker.flow()

    async def _broker_away(self) -> None:
        assert self._world.to_broker is not None
        self._world.to_broker.refuse()
        await lasts(self._random.uniform(1, 6))
        self._world.to_broker.accept()

    async def _broker_restarts(self) -> None:
        assert self._world.rabbit is not None
        await asyncio.to_thread(self._world.rabbit.stop)
        await asyncio.to_thread(self._world.rabbit.start)
