"""The store of tasks: each verb of the domain as one statement or a batch of them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, cast

import asyncpg

from asya_gateway.domain.answers import Answer, Kept, PausePoint, RequestKey, Resumption
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.calls import Accepted
from asya_gateway.domain.errors import Conflict, KeyReused, TooManyTasks
from asya_gateway.domain.hop_reports import (
    BeginReport,
    CrewReport,
    EndReport,
    HopAsked,
    HopBegun,
    HopEnded,
    HopStanding,
    PartReport,
)
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.ports import Left, NewTask, TaskFilter, TaskPage, Terms
from asya_gateway.domain.reports import (
    ChildAnnouncement,
    FinalOutcome,
    FinalReport,
    PauseReport,
    ProgressAnswer,
    ProgressReport,
)
from asya_gateway.domain.task import LOG_PAGE, Snapshot, StoredPage, Task, TaskHead, TaskUpdate
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.crews import Crews
from asya_gateway.storage.database import Database, translated
from asya_gateway.storage.replication import settled
from asya_gateway.storage.retrying import Result, acquired, within, written_singly
from asya_gateway.storage.tasks.admitting import Admitted, Admitter, Applicant, ClientTaskIdTaken, OverCap, Verdict
from asya_gateway.storage.tasks.announcing import Announcing
from asya_gateway.storage.tasks.batches import Batches
from asya_gateway.storage.tasks.cascading import Cascade
from asya_gateway.storage.tasks.creating import Enqueue, TaskCreator
from asya_gateway.storage.tasks.descendants import Ended
from asya_gateway.storage.tasks.finishing import TaskFinisher
from asya_gateway.storage.tasks.hop_parts import HopParts
from asya_gateway.storage.tasks.hops import HopWriter, is_light
from asya_gateway.storage.tasks.incomplete import IncompleteFinals
from asya_gateway.storage.tasks.inputs import TaskInputs
from asya_gateway.storage.tasks.noting import Notes, Noting
from asya_gateway.storage.tasks.pausing import PauseLimits, Pausing
from asya_gateway.storage.tasks.reading import TaskReader
from asya_gateway.storage.tasks.replacing import Replacing
from asya_gateway.storage.tasks.reporting import ProgressReporter
from asya_gateway.storage.tasks.requests import TaskRequests
from asya_gateway.storage.tasks.standing import Standings
from asya_transports.bounded import shielded

FIRST_CHUNK = 2.0
"""Seconds that the end of a task waits for the first chunk of its descendants."""


class PostgresTasks:
    """Implements TaskStore: writes go through coalescers or run without batching, reads go directly to the pool.

    Each attempt at a write, and each read, is given up after `longest` seconds. Every task whose log has grown is told:
    `over` those that have ended, `moved` those that neither ended nor asked a question, `written` the others.
    `creating` is told of tasks before they are created.
    """

    def __init__(
        self,
        database: Database,
        enqueue: Enqueue,
        limits: Limits,
        written: Callable[[Sequence[str]], None],
        moved: Callable[[Sequence[str]], None],
        over: Callable[[Sequence[str]], None],
        creating: Callable[[Sequence[NewTask]], None],
        ended: Ended,
        cascade: Cascade,
        longest: float,
        claim_lease: float,
        budget: Budget,
        pauses: Callable[[], PauseLimits],
        incomplete: IncompleteFinals,
    ) -> None:
        def pool() -> asyncpg.Pool:
            return database.pool

        def hot() -> asyncpg.Pool:
            return database.hot.pool

        self._longest = longest
        self._cascade = cascade
        self._incomplete = incomplete
        self._patience = limits.patience
        self._reader = TaskReader(database, budget)
        self._standings = Standings(database)
        self._asking = Pausing(pool, written, enqueue, pauses)
        self._announcing = Announcing(pool, written)
        self._replacing = Replacing(pool)
        self._parts = HopParts(pool, enqueue.prefix, lease=claim_lease)
        self._crews = Crews(database)
        admitter, finisher = Admitter(pool, enqueue), TaskFinisher(hot, over, ended, cascade)
        self._find_call = admitter.find
        self._requests = TaskRequests(pool, finisher)
        self._inputs = TaskInputs(pool, written, finisher)
        self._noting = Noting(hot, moved)
        self._hot = hot
        self.batches = Batches(
            TaskCreator(hot, enqueue, creating),
            admitter,
            ProgressReporter(hot, moved, lease=claim_lease),
            finisher,
            HopWriter(hot, written, moved, over, ended, enqueue, lease=claim_lease),
            limits=limits,
            budget=budget,
            longest=longest,
            connections=database.hot.usage().largest,
            settle=self._settle,
        )

    def create(self, new: NewTask, left: Left | None = None) -> Coroutine[Any, Any, datetime]:
        # No coroutine of its own, which every call would pay for.
        return self.batches.creates.submit(new, None if left is None else lambda _: left(new.id))

    async def admit(self, new: NewTask, terms: Terms, left: Left | None = None) -> Accepted:
        def stored(verdict: Verdict) -> None:
            if left is not None and isinstance(verdict, Admitted) and verdict.digest == terms.digest:
                left(verdict.task_id)

        verdict = await self.batches.admissions.submit(Applicant(new, terms), None if left is None else stored)
        if isinstance(verdict, OverCap):
            whose = {"owner": "open tasks of this caller", "flow": f"open tasks of the flow {new.flow}"}
            what = whose.get(verdict.of, "destinations of this caller's tasks that go on")
            raise TooManyTasks(f"expected fewer than {verdict.cap} {what}: try again when some have ended")
        if isinstance(verdict, ClientTaskIdTaken):
            raise Conflict("expected an id that no task of yours has", field="id")
        return Accepted(_task_of(verdict, terms.digest), verdict.created_at)

    async def find_call(self, owner: str, key: str, digest: bytes) -> str | None:
        with translated():
            found = await within(self._longest, self._find_call(owner, key))
        return None if found is None else _task_of(found, digest)

    def report(self, report: ProgressReport) -> Coroutine[Any, Any, ProgressAnswer]:
        return self.batches.reports.submit(report)

    def begin(self, report: BeginReport) -> Awaitable[HopBegun]:
        return cast("Awaitable[HopBegun]", self.batches.hops.enter(report))

    def end(self, report: EndReport) -> Awaitable[HopEnded]:
        batches = self.batches.hops if is_light(report) else self.batches.ends
        return cast("Awaitable[HopEnded]", batches.enter(report))

    async def keep_part(self, report: PartReport) -> HopEnded:
        return await self._singly(lambda: self._parts.keep(report), "part of a hop's end")

    async def crew_says(self, report: CrewReport) -> None:
        await self._singly(lambda: self._crews.says(report), "crew")

    async def finish(self, report: FinalReport) -> FinalOutcome:
        """End a task. When this returns, a small tree has ended; the descendants in a large one are still being
        ended."""
        return await self._spread(report, await self.batches.finals.submit(report))

    async def replace_unreported(self, report: FinalReport, if_late: FinalReport) -> bool:
        return await self._singly(lambda: self._replacing.replace(report, if_late), "end of a child")

    async def expect_final(self, task_id: str) -> None:
        await self._singly(lambda: self._incomplete.keep(task_id), "incomplete final")

    async def note(self, notes: Notes) -> int:
        """Append entries to the logs of tasks (noting.py). Raises Unavailable."""
        return await self._singly(lambda: self._noting.note(notes), "note")

    async def _spread(self, report: FinalReport, outcome: FinalOutcome) -> FinalOutcome:
        if outcome is FinalOutcome.APPLIED:
            await self._cascade.begun(report.task_id, FIRST_CHUNK)
        return outcome

    async def cancel(self, report: FinalReport, key: RequestKey) -> FinalOutcome:
        outcome = await self._singly(lambda: self._requests.cancel(report, key), "cancel")
        return await self._spread(report, outcome)

    async def find_request(self, task_id: str, owner: OwnerScope, key: RequestKey) -> bool:
        with translated():
            return await within(self._longest, self._requests.find(task_id, owner, key))

    async def pause(self, report: PauseReport) -> ProgressAnswer:
        return await self._singly(lambda: self._asking.pause(report), "pause")

    async def answer(self, answer: Answer, onward: Resumption) -> bool:
        return await self._singly(lambda: self._asking.answer(answer, onward), "answer")

    async def keep_answer(self, answer: Answer) -> Kept:
        return await self._singly(lambda: self._inputs.keep(answer), "answer to an input")

    async def set_aside(self, answer: Answer) -> bool:
        return await self._singly(lambda: self._inputs.set_aside(answer), "decline")

    async def fail_declined(self, answer: Answer, report: FinalReport) -> bool:
        failed = await self._singly(lambda: self._inputs.fail(answer, report), "decline")
        if failed:
            await self._cascade.begun(report.task_id, FIRST_CHUNK)
        return failed

    async def announce(self, child: ChildAnnouncement) -> None:
        await self._singly(lambda: self._announcing.announce(child), "announce")

    async def _singly(self, write: Callable[[], Coroutine[Any, Any, Result]], what: str) -> Result:
        """Run a write in a separate task, so that a caller that leaves cannot interrupt it."""
        work = written_singly(lambda: within(self._longest, write(), write=True), self._patience, what, self._settle)
        return await shielded(asyncio.ensure_future(work))

    async def _settle(self) -> None:
        async def work() -> None:
            async with acquired(self._hot()) as connection:
                await settled(connection)

        await within(self._longest, work(), write=True)

    async def head(self, task_id: str, *, owner: OwnerScope) -> TaskHead | None:
        return await within(self._longest, self._reader.head(task_id, owner=owner))

    async def get(self, task_id: str, *, owner: OwnerScope, payload: bool = True) -> Task | None:
        return await within(self._longest, self._reader.get(task_id, owner=owner, payload=payload))

    async def active(self, task_id: str) -> bool:
        return await within(self._longest, self._reader.active(task_id))

    async def standing(self, asked: HopAsked) -> HopStanding | None:
        return await within(self._longest, self._standings.of(asked))

    async def ends_with_ancestor(self, task_id: str) -> bool:
        return await within(self._longest, self._reader.ends_with_ancestor(task_id))

    async def snapshot(self, task_id: str, after: int, *, owner: OwnerScope, most: int = LOG_PAGE) -> Snapshot | None:
        return await within(self._longest, self._reader.snapshot(task_id, after, owner=owner, most=most))

    async def updates(self, task_id: str, after: int, most: int = LOG_PAGE) -> StoredPage:
        return await within(self._longest, self._reader.updates(task_id, after, most))

    async def update(self, task_id: str, seq: int) -> TaskUpdate | None:
        return await within(self._longest, self._reader.update(task_id, seq))

    async def page(self, query: TaskFilter) -> TaskPage:
        return await within(self._longest, self._reader.page(query))

    async def count(self, query: TaskFilter) -> int:
        """The number of tasks up to the end of a page."""
        return await within(self._longest, self._reader.count(query))

    async def pause_point(self, task_id: str, *, owner: OwnerScope) -> PausePoint | None:
        return await within(self._longest, self._reader.pause_point(task_id, owner=owner))

    async def close(self) -> None:
        """Complete the accepted writes."""
        await self.batches.close()


def _task_of(admitted: Admitted, digest: bytes | None) -> str:
    if admitted.digest != digest:
        raise KeyReused
    return admitted.task_id
