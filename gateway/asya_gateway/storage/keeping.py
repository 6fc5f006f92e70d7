"""What time does to tasks: overdue ones are ended, orphans end with their parents, old ones are removed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.domain.status import ErrorClass, TaskError, TaskStatus
from asya_gateway.storage.database import Database
from asya_gateway.storage.guards import ENDED

log = logging.getLogger(__name__)

SWEEP_EVERY = 1.0
RETIRE_EVERY = 300.0
HOPS_KEPT = 3_600.0
"""Seconds that claims outlive their task, for messages that are still on their way."""
CHUNK = 1_000

_OVERDUE = """
SELECT id, extract(epoch FROM now() - created_at)::float8 AS age FROM tasks
WHERE finished_at IS NULL AND deadline_at <= now() ORDER BY deadline_at LIMIT $1
"""

# A child that was announced while its parent ended may have been invisible to the statement that ended it.
_ORPHANS = f"""
SELECT c.id, p.status FROM tasks p JOIN tasks c ON c.parent_id = p.id
WHERE p.finished_at > now() - interval '1 minute' AND NOT c.status {ENDED}
  AND NOT (c.ends_itself AND p.status = 'succeeded')
LIMIT $1
"""

_RETIRE_HOPS = """
WITH old AS (
    SELECT h.task_id, h.hop FROM tasks t JOIN task_hops h ON h.task_id = t.id
    WHERE t.finished_at BETWEEN now() - interval '1 day' - $1 * interval '1 second'
      AND now() - $1 * interval '1 second' LIMIT $2
)
DELETE FROM task_hops h USING old WHERE h.task_id = old.task_id AND h.hop = old.hop
"""

_RETIRE_UPDATES = """
WITH old AS (
    SELECT u.task_id, u.seq FROM tasks t JOIN task_updates u ON u.task_id = t.id
    WHERE t.finished_at < now() - $1 * interval '1 second' ORDER BY t.finished_at LIMIT $2
)
DELETE FROM task_updates u USING old WHERE u.task_id = old.task_id AND u.seq = old.seq
"""

_RETIRE_TASKS = """
WITH old AS (
    SELECT id FROM tasks WHERE finished_at < now() - $1 * interval '1 second'
    ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
), bodies AS (DELETE FROM task_bodies WHERE task_id IN (SELECT id FROM old)),
   updates AS (DELETE FROM task_updates WHERE task_id IN (SELECT id FROM old)),
   hops AS (DELETE FROM task_hops WHERE task_id IN (SELECT id FROM old)),
   pauses AS (DELETE FROM task_pauses WHERE task_id IN (SELECT id FROM old))
DELETE FROM tasks WHERE id IN (SELECT id FROM old)
"""


class Sweeper:
    """Ends what is overdue; every process runs one, and SQL lets only one of them win."""

    def __init__(self, database: Database, finish: Callable[[FinalReport], Awaitable[FinalOutcome]]) -> None:
        self._database = database
        self._finish = finish

    async def sweep(self) -> int:
        """End overdue tasks and orphans, all there are; returns how many this call ended."""
        ended = 0
        while True:
            found, applied = await self._sweep_chunk()
            ended += applied
            # Without progress the rest waits for the next turn: another process may be at work on the same ones.
            if found < CHUNK or not applied:
                return ended

    async def _sweep_chunk(self) -> tuple[int, int]:
        overdue = await self._database.fetch(_OVERDUE, CHUNK)
        orphans = await self._database.fetch(_ORPHANS, CHUNK)
        reports = [_overdue_report(row["id"], row["age"]) for row in overdue]
        reports += [_orphan_report(row["id"], TaskStatus(row["status"])) for row in orphans]
        outcomes = await asyncio.gather(*(self._finish(report) for report in reports))
        return len(reports), sum(outcome is FinalOutcome.APPLIED for outcome in outcomes)


def _overdue_report(task_id: str, age: float) -> FinalReport:
    message = f"Task timed out after {age:.0f} s"
    return FinalReport(
        task_id=task_id,
        status=TaskStatus.FAILED,
        message=message,
        error=TaskError("deadline_exceeded", message, ErrorClass.DEADLINE),
        overdue_only=True,
    )


def _orphan_report(task_id: str, parent: TaskStatus) -> FinalReport:
    message = "Ended with its parent"
    status = parent if parent is TaskStatus.SUCCEEDED else TaskStatus.CANCELED
    error = None if status is TaskStatus.SUCCEEDED else TaskError("canceled", message, ErrorClass.CANCELED)
    return FinalReport(task_id=task_id, status=status, message=message, error=error)


class Retention:
    """Removes what is old, in chunks, so that no statement holds many rows for long."""

    def __init__(self, database: Database, *, tasks: float, updates: float) -> None:
        self._database = database
        self._tasks = tasks
        self._updates = updates

    async def retire(self) -> int:
        """Remove old claims, updates and tasks; returns how many rows of those three kinds went."""
        removed = await self._in_chunks(_RETIRE_HOPS, HOPS_KEPT)
        removed += await self._in_chunks(_RETIRE_UPDATES, self._updates)
        return removed + await self._in_chunks(_RETIRE_TASKS, self._tasks)

    async def _in_chunks(self, sql: str, age: float) -> int:
        removed = 0
        while True:
            tag = await self._database.execute(sql, age, CHUNK)
            count = int(tag.rsplit(" ", 1)[1])
            removed += count
            if count < CHUNK:
                return removed
            await asyncio.sleep(0.05)


async def for_ever(work: Callable[[], Awaitable[object]], every: float, name: str) -> None:
    """Run `work` each `every` seconds; a failure is logged and the next turn tries again."""
    while True:
        try:
            await work()
        except Unavailable:
            log.info("%s: the database is not available", name)
        except Exception:
            log.exception("%s failed", name)
        await asyncio.sleep(every)
