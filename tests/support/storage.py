"""A Storage for tests, with helpers."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asya_crds.answers import AnswerAction
from asya_crds.envelope import Route
from asya_crds.status import ErrorClass, HopState, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.answers import Answer, Resumption
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.ports import NewTask, OutboxEntry, TaskFilter, TaskPage
from asya_gateway.domain.progress import progress_percent, report_key
from asya_gateway.domain.reports import Claim, FinalReport, ProgressReport
from asya_gateway.domain.task import TaskHead
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.store import Keeping, Storage
from asya_gateway.storage.tasks.creating import into_outbox, into_queue
from asya_gateway.storage.tasks.pausing import PauseLimits

ROUTE = Route((), "first", ("second", "third"))


@dataclass
class Running:
    """A Storage, and what it handed over for delivery."""

    storage: Storage
    handed: list[OutboxEntry] = field(default_factory=list)

    @property
    def tasks(self) -> Any:
        return self.storage.tasks

    async def create(self, task_id: str | None = None, *, created_at: datetime | None = None, **changes: Any) -> str:
        """Store a task; one of another time than the database's has the same time until its deadline."""
        new = new_task(task_id, **changes)
        await self.tasks.create(new)
        if created_at is not None:
            await self.storage.database.execute(
                "UPDATE tasks SET created_at = $2::timestamptz,"
                " deadline_at = $2::timestamptz + (deadline_at - created_at) WHERE id = $1",
                new.id,
                created_at,
            )
        return new.id

    async def list(self, query: TaskFilter) -> list[TaskHead]:
        """The tasks of a page."""
        page: TaskPage = await self.tasks.page(query)
        return page.tasks

    async def seqs(self, task_id: str) -> Sequence[int]:
        rows = await self.storage.database.fetch(
            "SELECT seq FROM task_updates WHERE task_id = $1 ORDER BY seq", task_id
        )
        return [row["seq"] for row in rows]

    async def kinds(self, task_id: str) -> Sequence[str]:
        rows = await self.storage.database.fetch(
            "SELECT kind FROM task_updates WHERE task_id = $1 ORDER BY seq", task_id
        )
        return [row["kind"] for row in rows]


def new_task(task_id: str | None = None, *, timeout: float = 3600.0, **changes: Any) -> NewTask:
    values: dict[str, Any] = {
        "id": task_id or uuid.uuid4().hex,
        "flow": "shout",
        "owner": "",
        "surface": "rest",
        "route": ROUTE.to_json(),
        "actor": ROUTE.curr,
        "context_id": None,
        "payload": '{"text":"hi"}',
        "envelope": '{"id":"x"}',
        "timeout": timeout,
    }
    return NewTask(**(values | changes))


def progress(
    task_id: str,
    state: HopState = HopState.RECEIVED,
    route: Route = ROUTE,
    claim: Claim | None = None,
    **changes: Any,
) -> ProgressReport:
    values: dict[str, Any] = {
        "task_id": task_id,
        "state": state,
        "route": route,
        "key": report_key(claim, state),
        "progress": progress_percent(route, state),
        "claim": claim,
    }
    return ProgressReport(**(values | changes))


def succeeded(task_id: str, result: str = '{"done":true}', **changes: Any) -> FinalReport:
    values: dict[str, Any] = {
        "task_id": task_id,
        "status": TaskStatus.SUCCEEDED,
        "message": "Task completed successfully",
        "result": result,
        "owner": EVERY_OWNER,
    }
    return FinalReport(**(values | changes))


def canceled(task_id: str, message: str = "not wanted", **changes: Any) -> FinalReport:
    values: dict[str, Any] = {
        "task_id": task_id,
        "status": TaskStatus.CANCELED,
        "message": message,
        "owner": EVERY_OWNER,
    }
    return FinalReport(**(values | changes))


def failed(task_id: str, message: str = "it broke", **changes: Any) -> FinalReport:
    values: dict[str, Any] = {
        "task_id": task_id,
        "status": TaskStatus.FAILED,
        "message": message,
        "error": TaskError("processing_error", message, ErrorClass.BUSINESS),
        "owner": EVERY_OWNER,
    }
    return FinalReport(**(values | changes))


def make_storage(
    url: str,
    *,
    patience: float = 5.0,
    statement_timeout: float = 20.0,
    budget: Budget | None = None,
    pauses: Callable[[], PauseLimits] = PauseLimits,
    namespace: str | None = None,
    **limits: Any,
) -> Running:
    """With a `namespace`, envelopes go to its queues in the same database."""
    found: list[OutboxEntry] = []

    def ring(actors: Iterable[str]) -> None:
        found.extend(OutboxEntry(0, "", actor, b"") for actor in actors)

    # Every loop of a storage begins with a statement, so that it opens as many connections as it may: each costs the
    # server more than a small test does.
    database = Database(url, min_size=1, max_size=4, statement_timeout=statement_timeout)
    storage = Storage(
        database,
        into_outbox(found.extend) if namespace is None else into_queue(namespace, ring),
        limits=Limits(patience=patience, **limits),
        keeping=Keeping(tasks=90 * 86400, updates=30 * 86400),
        longest_statement=statement_timeout,
        budget=budget,
        pauses=pauses,
    )
    return Running(storage, found)


ONWARD = Resumption("x-resume", '{"id":"resume"}')


def answer_to(task_id: str, key: int = 1, pause_id: str = "p1", **changes: Any) -> Answer:
    """The answer to a pause that asks one form."""
    values: dict[str, Any] = {
        "task_id": task_id,
        "owner": EVERY_OWNER,
        "pause_id": pause_id,
        "input_key": pause_id,
        "action": AnswerAction.ACCEPT,
        "surface": "rest",
        "key": key,
        "value": "{}",
    }
    return Answer(**(values | changes))


@asynccontextmanager
async def started_storage(url: str, **options: Any) -> AsyncIterator[Running]:
    """A storage made with these options, whose loops run during the block."""
    made = make_storage(url, **options)
    await made.storage.start()
    try:
        yield made
    finally:
        await made.storage.stop()
