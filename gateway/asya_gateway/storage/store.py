"""Everything Postgres keeps, opened and closed together; the TaskStore that the domain's port asks for."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import asyncpg

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.errors import KeyReused, TooManyTasks, Unavailable
from asya_gateway.domain.ports import Answer, NewTask, PausePoint, RequestKey, TaskFilter, Terms
from asya_gateway.domain.reports import (
    CLAIM_LEASE,
    ChildAnnouncement,
    FinalOutcome,
    FinalReport,
    PauseReport,
    ProgressAnswer,
    ProgressReport,
)
from asya_gateway.domain.task import Snapshot, Task, TaskHead, TaskUpdate
from asya_gateway.storage.clock import MEASURE_EVERY, DatabaseClock
from asya_gateway.storage.coalescer import Coalescer, Flush, Limits
from asya_gateway.storage.database import Database, translated
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.log.feed import CHANNEL, LogFeed
from asya_gateway.storage.log.fly import FlyReceiver, FlySender
from asya_gateway.storage.migrate import LATEST, schema_version
from asya_gateway.storage.namespace import claim
from asya_gateway.storage.retrying import Result, for_ever, within, written_singly
from asya_gateway.storage.tasks.admitting import Admitted, Admitter, Applicant, OverCap, Verdict, applicant_size
from asya_gateway.storage.tasks.announcing import Announcing
from asya_gateway.storage.tasks.cascading import Cascade
from asya_gateway.storage.tasks.creating import Enqueue, TaskCreator, create_size
from asya_gateway.storage.tasks.descendants import Ended
from asya_gateway.storage.tasks.expiring import EXPIRE_EVERY, PauseExpiry
from asya_gateway.storage.tasks.finishing import TaskFinisher, final_size
from asya_gateway.storage.tasks.incomplete import LOOK_EVERY, IncompleteFinals
from asya_gateway.storage.tasks.pausing import Asking, PauseLimits
from asya_gateway.storage.tasks.reading import TaskReader
from asya_gateway.storage.tasks.reporting import ProgressReporter, report_size
from asya_gateway.storage.tasks.requests import TaskRequests
from asya_gateway.storage.tasks.retention import RETIRE_EVERY, Retention
from asya_gateway.storage.tasks.sweeping import ORPHANS_EVERY, ORPHANS_REST, SWEEP_EVERY, Sweeper
from asya_gateway.telemetry.observer import SILENT

log = logging.getLogger(__name__)

CREATING_AT_ONCE = 2
"""Batches of creates that are written at the same time, each on a connection of its own."""
FIRST_CHUNK = 2.0
"""Seconds that whoever ends a task waits for the first chunk of what hangs below it."""
GRACE = 1.0
"""Seconds beyond the longest statement: a server that lives has ended it by then, and said so."""
Item = TypeVar("Item")
Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long finished tasks and their updates are kept, in seconds; `child_grace`: how long a child
    whose end perhaps nobody reports may be silent after its parent's success, and a final report that arrived
    incompletely may take to come again."""

    tasks: float
    updates: float
    child_grace: float = 300.0


class PostgresTasks:
    """Keeps the TaskStore promise: writes go through coalescers or run singly, reads go straight to the pool.

    Each try of a write, and each read, is given up after `longest` seconds.
    """

    def __init__(
        self,
        database: Database,
        creating: Database,
        enqueue: Enqueue,
        limits: Limits,
        written: Callable[[Sequence[str]], None],
        ended: Ended,
        cascade: Cascade,
        longest: float,
        claim_lease: float,
        budget: Budget,
        pauses: Callable[[], PauseLimits],
        incomplete: IncompleteFinals,
    ) -> None:
        # Reports and ends are never refused for the bytes that wait: they were read when there was room.
        unrefused = replace(limits, waiting_bytes=sys.maxsize)

        def pool() -> asyncpg.Pool:
            return database.pool

        def bounded(flush: Flush[Item, Reply]) -> Flush[Item, Reply]:
            return lambda batch: within(longest, flush(batch), write=True)

        self._longest = longest
        self._cascade = cascade
        self._incomplete = incomplete
        self._patience = limits.patience
        self._reader = TaskReader(database, budget)
        self._asking = Asking(pool, written, enqueue, pauses)
        self._announcing = Announcing(pool, written)
        self.creates = Coalescer[NewTask, None](
            "creates",
            bounded(TaskCreator(lambda: creating.pool, enqueue).flush),
            key=lambda new: new.id,
            size=create_size,
            limits=limits,
            budget=budget,
            concurrency=CREATING_AT_ONCE,
        )
        admitter = Admitter(pool, enqueue)
        self._find_call = admitter.find
        self.admissions = Coalescer[Applicant, Verdict](
            "admissions",
            bounded(admitter.flush),
            key=lambda applicant: applicant.order,
            size=applicant_size,
            limits=limits,
            budget=budget,
            # Two batches at a time would count open tasks at the same time, and both pass a cap.
            concurrency=1,
        )
        self.reports = Coalescer[ProgressReport, ProgressAnswer](
            "reports",
            bounded(ProgressReporter(pool, written, lease=claim_lease).flush),
            key=lambda report: report.task_id,
            size=report_size,
            limits=unrefused,
            budget=budget,
        )
        finisher = TaskFinisher(pool, written, ended, cascade)
        self._requests = TaskRequests(pool, finisher)
        self.finals = Coalescer[FinalReport, FinalOutcome](
            "finals",
            bounded(finisher.flush),
            key=lambda report: report.task_id,
            size=final_size,
            limits=unrefused,
            budget=budget,
        )

    async def create(self, new: NewTask) -> None:
        await self.creates.submit(new)

    async def admit(self, new: NewTask, terms: Terms) -> str:
        verdict = await self.admissions.submit(Applicant(new, terms))
        if isinstance(verdict, OverCap):
            whose = "this caller" if verdict.of == "owner" else f"the flow {new.flow}"
            raise TooManyTasks(
                f"expected fewer than {verdict.cap} open tasks of {whose}: try again when some have ended"
            )
        return _task_of(verdict, terms.digest)

    async def find_call(self, owner: str, key: str, digest: bytes) -> str | None:
        with translated():
            found = await within(self._longest, self._find_call(owner, key))
        return None if found is None else _task_of(found, digest)

    async def report(self, report: ProgressReport) -> ProgressAnswer:
        return await self.reports.submit(report)

    async def finish(self, report: FinalReport) -> FinalOutcome:
        """A small tree has ended when this returns, a large one goes on ending."""
        return await self._spread(report, await self.finals.submit(report))

    async def expect_final(self, task_id: str) -> None:
        await self._singly(lambda: self._incomplete.keep(task_id), "incomplete final")

    async def _spread(self, report: FinalReport, outcome: FinalOutcome) -> FinalOutcome:
        if outcome is FinalOutcome.APPLIED:
            await self._cascade.begun(report.task_id, FIRST_CHUNK)
        return outcome

    async def cancel(self, report: FinalReport, key: RequestKey) -> FinalOutcome:
        outcome = await self._singly(lambda: self._requests.cancel(report, key), "cancel")
        return await self._spread(report, outcome)

    async def find_request(self, task_id: str, owner: str | None, key: RequestKey) -> bool:
        with translated():
            return await within(self._longest, self._requests.find(task_id, owner, key))

    async def pause(self, report: PauseReport) -> ProgressAnswer:
        return await self._singly(lambda: self._asking.pause(report), "pause")

    async def answer(self, answer: Answer) -> bool:
        return await self._singly(lambda: self._asking.answer(answer), "answer")

    async def announce(self, child: ChildAnnouncement) -> None:
        await self._singly(lambda: self._announcing.announce(child), "announce")

    async def _singly(self, write: Callable[[], Coroutine[Any, Any, Result]], what: str) -> Result:
        """In a task of its own, so that a caller who goes away cannot tear the write."""
        work = written_singly(lambda: within(self._longest, write(), write=True), self._patience, what)
        return await asyncio.shield(asyncio.ensure_future(work))

    async def head(self, task_id: str, *, owner: str | None) -> TaskHead | None:
        return await within(self._longest, self._reader.head(task_id, owner=owner))

    async def get(self, task_id: str, *, owner: str | None, payload: bool = True) -> Task | None:
        return await within(self._longest, self._reader.get(task_id, owner=owner, payload=payload))

    async def active(self, task_id: str) -> bool:
        return await within(self._longest, self._reader.active(task_id))

    async def ends_with_ancestor(self, task_id: str) -> bool:
        return await within(self._longest, self._reader.ends_with_ancestor(task_id))

    async def snapshot(self, task_id: str, after: int, *, owner: str | None) -> Snapshot | None:
        return await within(self._longest, self._reader.snapshot(task_id, after, owner=owner))

    async def updates(self, task_id: str, after: int) -> Sequence[TaskUpdate]:
        return await within(self._longest, self._reader.updates(task_id, after))

    async def update(self, task_id: str, seq: int) -> TaskUpdate | None:
        return await within(self._longest, self._reader.update(task_id, seq))

    async def list(self, query: TaskFilter) -> list[TaskHead]:
        return await within(self._longest, self._reader.list(query))

    async def count(self, query: TaskFilter) -> int:
        """See TaskStore."""
        return await within(self._longest, self._reader.count(query))

    async def pause_point(self, task_id: str, *, owner: str | None) -> PausePoint | None:
        return await within(self._longest, self._reader.pause_point(task_id, owner=owner))

    async def close(self) -> None:
        """Write what was taken."""
        await asyncio.gather(*(each.close() for each in (self.creates, self.admissions, self.reports, self.finals)))


def _task_of(admitted: Admitted, digest: bytes | None) -> str:
    if admitted.digest != digest:
        raise KeyReused
    return admitted.task_id


class Storage:
    """The database with everything that runs beside it in one process. `namespace` is whose the database must be."""

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
    ) -> None:
        budget = budget or Budget.unbounded()
        self._namespace = namespace
        longest = longest_statement + GRACE
        self.database = database
        self.clock = DatabaseClock(database)
        self.bell = Bell(database)
        self.fly = FlySender(database, longest, budget)
        self.feed = LogFeed(database, self.bell, FlyReceiver(self.bell, budget), budget)
        creating = database.with_fixed_plans(CREATING_AT_ONCE)
        self.cascade = Cascade(database, self._written, ended)
        self.tasks = PostgresTasks(
            database,
            creating,
            enqueue,
            limits,
            self._written,
            ended,
            self.cascade,
            longest,
            claim_lease,
            budget,
            pauses,
            incomplete := IncompleteFinals(database, grace=keeping.child_grace),
        )
        self.incomplete = incomplete
        self.sweeper = Sweeper(database, self.tasks.finish, self.cascade, child_grace=keeping.child_grace)
        self.expiry = PauseExpiry(database, self.tasks.finish, longest=pauses().default)
        self.retention = Retention(database, tasks=keeping.tasks, updates=keeping.updates)
        self._loops: list[asyncio.Task[None]] = []

    def _written(self, task_ids: Sequence[str]) -> None:
        if task_ids:
            self.feed.look_at(task_ids)
            self.bell.ring(CHANNEL, task_ids)

    async def start(self, patience: float = 60.0) -> None:
        """Connect, wait until the schema is new enough, then start the bell, the feed and the keepers.

        Raises Unavailable after `patience` seconds, NamespaceTaken where the database belongs to another namespace.
        """
        await self._wait_for_schema(patience)
        await self.bell.start()
        await self.feed.start()
        await self.fly.start()
        await self.cascade.start()
        self._loops = [
            asyncio.create_task(for_ever(self.clock.measure, MEASURE_EVERY, "clock"), name="clock"),
            asyncio.create_task(for_ever(self.sweeper.sweep, SWEEP_EVERY, "sweeper"), name="sweeper"),
            asyncio.create_task(
                for_ever(self.sweeper.sweep_orphans, ORPHANS_EVERY, "orphans", rests=ORPHANS_REST), name="orphans"
            ),
            asyncio.create_task(for_ever(self.expiry.expire, EXPIRE_EVERY, "pauses"), name="pauses"),
            asyncio.create_task(
                for_ever(lambda: self.incomplete.expire(self.tasks.finish), LOOK_EVERY, "incomplete finals"),
                name="incomplete finals",
            ),
            asyncio.create_task(for_ever(self.retention.retire, RETIRE_EVERY, "retention"), name="retention"),
        ]

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
        """Write what was taken, then disconnect."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.tasks.close()
        await self.cascade.stop()
        await self.fly.stop()
        await self.feed.stop()
        await self.bell.stop()
        await self.database.close()
