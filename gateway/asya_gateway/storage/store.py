"""Everything stored in Postgres, opened and closed together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.reports import CLAIM_LEASE
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.storage.clock import MEASURE_EVERY, DatabaseClock
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.identity.audit import IdentityRetention
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.log.feed import CHANNEL, ENDED, GOES_ON, LogFeed
from asya_gateway.storage.log.fly import FlyReceiver, FlySender
from asya_gateway.storage.log.resource_changes import PostgresResourceChanges
from asya_gateway.storage.migrate import LATEST, schema_version
from asya_gateway.storage.namespace import claim
from asya_gateway.storage.removing import FIRST_TURN
from asya_gateway.storage.retrying import for_ever
from asya_gateway.storage.sessions.retention import RETIRE_EVERY as SESSIONS_EVERY
from asya_gateway.storage.sessions.store import PostgresSessionParts
from asya_gateway.storage.tasks.cascading import Cascade
from asya_gateway.storage.tasks.creating import Enqueue
from asya_gateway.storage.tasks.descendants import Ended
from asya_gateway.storage.tasks.expiring import EXPIRE_EVERY, PauseExpiry
from asya_gateway.storage.tasks.incomplete import LOOK_EVERY, IncompleteFinals
from asya_gateway.storage.tasks.pausing import PauseLimits
from asya_gateway.storage.tasks.retention import RETIRE_EVERY, Retention
from asya_gateway.storage.tasks.store import PostgresTasks
from asya_gateway.storage.tasks.sweeping import ORPHANS_EVERY, ORPHANS_REST, SWEEP_EVERY, Sweeper
from asya_gateway.storage.turns import Turns
from asya_gateway.telemetry.observer import SILENT

log = logging.getLogger(__name__)

GRACE = 1.0
"""Seconds beyond the longest statement. A live server has ended the statement and answered by then."""
APART = 0.1
"""Seconds between the first turns of two keepers. If all began at once, each would open a connection of its own, which
costs the server more than what they ask, and is not needed again."""


class Keeper(NamedTuple):
    """Work that repeats for as long as the process runs: what it does, and how often (retrying.py)."""

    work: Callable[[], Awaitable[object]]
    every: float
    first: float
    rests: float = 0.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long finished tasks, their updates and the audit are kept, in seconds. `child_grace`: how long a child whose
    end may never be reported may be silent after its parent's success, and how long an incomplete final report may take
    to be repeated."""

    tasks: float
    updates: float
    child_grace: float = 300.0
    audit: float = 90 * 86_400.0


class Storage:
    """The database, and everything in this process that works on it. The database must belong to `namespace`. `cache`
    are the bytes of the sessions that are remembered."""

    def __init__(
        self,
        database: Database,
        enqueue: Enqueue,
        *,
        limits: Limits,
        keeping: Keeping,
        ended: Ended = SILENT.ended,
        longest_statement: float = 10.0,
        claim_lease: float = CLAIM_LEASE,
        budget: Budget | None = None,
        namespace: str | None = None,
        pauses: Callable[[], PauseLimits] = PauseLimits,
        cache: int = CACHE_BYTES,
    ) -> None:
        budget = budget or Budget.unbounded()
        self._namespace = namespace
        longest = longest_statement + GRACE
        self.database = database
        self.clock = DatabaseClock(database)
        self.bell = Bell(database.hot)
        self.fly = FlySender(database, longest, budget)
        self.feed = LogFeed(database.hot, self.bell, FlyReceiver(self.bell, budget), budget)
        self.resources = PostgresResourceChanges(database.hot, self.bell)
        self.cascade = Cascade(database, self._over, ended)
        self.incomplete = IncompleteFinals(database, grace=keeping.child_grace)
        self.tasks = PostgresTasks(
            database,
            enqueue,
            limits,
            self._written,
            self._moved,
            self._over,
            self.feed.creating,
            ended,
            self.cascade,
            longest,
            claim_lease,
            budget,
            pauses,
            self.incomplete,
        )
        self.sessions = PostgresSessionParts(
            database, self.bell, limits=limits, longest=longest, budget=budget, cache=cache
        )
        self.sweeper = Sweeper(database, self.tasks.finish, self.cascade, child_grace=keeping.child_grace)
        self.expiry = PauseExpiry(database, self.tasks.finish, limits=pauses)
        self.retention = Retention(database, tasks=keeping.tasks, updates=keeping.updates)
        self.identity_retention = IdentityRetention(database, audit=keeping.audit)
        self.turns = Turns(database)
        self._loops: list[asyncio.Task[None]] = []

    def _written(self, task_ids: Sequence[str]) -> None:
        if task_ids:
            self.feed.look_at(task_ids)
            self.bell.ring(CHANNEL, task_ids)

    def _moved(self, task_ids: Sequence[str]) -> None:
        if task_ids:
            self.feed.look_at(task_ids, go_on=True)
            self.bell.ring(CHANNEL, task_ids, GOES_ON, unhurried=True)

    def _over(self, task_ids: Sequence[str]) -> None:
        if task_ids:
            self.feed.look_at(task_ids)
            self.bell.ring(CHANNEL, task_ids, ENDED)

    async def start(self, patience: float = 60.0) -> None:
        """Connect, wait until the schema is new enough, then start the bell, the feed and the keepers.

        Raises Unavailable after `patience` seconds, NamespaceTaken if the database belongs to another namespace.
        """
        await self._wait_for_schema(patience)
        await self.bell.start()
        await self.feed.start()
        await self.fly.start()
        await self.resources.start()
        await self.cascade.start()
        await self.sessions.start()
        self._loops = [
            asyncio.create_task(
                for_ever(keeper.work, keeper.every, name, rests=keeper.rests, first=keeper.first), name=name
            )
            for name, keeper in self.keepers().items()
        ]

    def keepers(self) -> dict[str, Keeper]:
        """The work that repeats, by name. No two begin together."""
        return {
            # `start` has measured once.
            "clock": Keeper(self.clock.measure, MEASURE_EVERY, first=MEASURE_EVERY),
            "sweeper": Keeper(self.sweeper.sweep, SWEEP_EVERY, first=APART),
            "orphans": Keeper(self.sweeper.sweep_orphans, ORPHANS_EVERY, first=2 * APART, rests=ORPHANS_REST),
            "pauses": Keeper(self.expiry.expire, EXPIRE_EVERY, first=3 * APART),
            "incomplete finals": Keeper(lambda: self.incomplete.expire(self.tasks.finish), LOOK_EVERY, first=4 * APART),
            "retention": Keeper(self._retire, RETIRE_EVERY, first=FIRST_TURN),
            "sessions": Keeper(self._retire_sessions, SESSIONS_EVERY, first=FIRST_TURN + APART),
        }

    async def _retire(self) -> None:
        # What is old is removed by every process, as fast as they can together.
        await self.retention.retire(walks=await self.turns.taken("rows left behind", RETIRE_EVERY))
        await self.identity_retention.retire()
        await self.resources.retire()

    async def _retire_sessions(self) -> None:
        if await self.turns.taken("sessions", SESSIONS_EVERY):
            await self.sessions.retention.retire()

    async def _wait_for_schema(self, patience: float) -> None:
        until = asyncio.get_running_loop().time() + patience
        while True:
            try:
                await self.database.open()
                async with self.database.connection() as connection:
                    version = await schema_version(connection)  # type: ignore[arg-type] # a pooled one is one, too
                if version >= LATEST:
                    if self._namespace is not None:
                        async with self.database.connection() as connection:
                            await claim(connection, self._namespace)
                    await self.clock.measure()
                    return
                problem = f"the schema is at {version}, expected {LATEST}: run `asya migrate`"
            except Unavailable as error:
                problem = f"{error.message}: {error.__cause__}"
            if asyncio.get_running_loop().time() >= until:
                raise Unavailable(problem)
            log.warning("waiting for the database: %s", problem)
            await asyncio.sleep(1.0)

    async def stop(self) -> None:
        """Complete the accepted writes, then disconnect."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.tasks.close()
        await self.sessions.stop()
        await self.cascade.stop()
        await self.fly.stop()
        await self.resources.stop()
        await self.feed.stop()
        await self.bell.stop()
        await self.database.close()
