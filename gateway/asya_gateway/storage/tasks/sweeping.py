"""Ends tasks that no report ends: those past their deadlines, and descendants missed when their ancestor ended."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.reports import END_NOT_REPORTED, FinalOutcome, FinalReport
from asya_gateway.storage.chunks import CHUNK
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.cascading import Cascade
from asya_gateway.storage.tasks.guards import ENDED, ended_above

SWEEP_EVERY = 1.0
ORPHANS_EVERY = 5.0
ORPHANS_REST = 9.0
"""The orphan sweep rests this many times as long as it took. It finds almost nothing, and each time it passes removed
rows that an old snapshot keeps vacuum from clearing."""
PARENTS = 1_000
"""Most parents of open children that one statement reads."""
PARENTS_A_TURN = 20_000
"""Most parents that one turn reads. The next turn continues from there."""

# `allowed`: the seconds that a task had. Its clock was stopped while its questions waited for answers.
_OVERDUE = """
SELECT id, extract(epoch FROM deadline_at - created_at - (
    SELECT coalesce(sum(p.answered_at - p.created_at), interval '0') FROM task_pauses p WHERE p.task_id = t.id
))::float8 AS allowed
FROM tasks t WHERE finished_at IS NULL AND deadline_at <= now() ORDER BY deadline_at LIMIT $1
"""

# Skips along the index from parent to parent, however many open children each has. `ended_by` is for missed ones: a
# child that was announced while its parent ended, and those that a process left unfinished when it ended. `succeeded`
# is for children of existing sidecars, whose end may never be reported.
_PARENTS = f"""
WITH RECURSIVE parents AS (
    (SELECT parent_id, 1 AS number FROM tasks
     WHERE ends_itself = $1 AND finished_at IS NULL AND parent_id > $2 ORDER BY ends_itself, parent_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.parent_id FROM tasks t
            WHERE t.ends_itself = $1 AND t.finished_at IS NULL AND t.parent_id > p.parent_id
            ORDER BY t.ends_itself, t.parent_id LIMIT 1), p.number + 1
    FROM parents p WHERE p.parent_id IS NOT NULL AND p.number < $3
)
SELECT p.parent_id, {ended_above("p.parent_id")} AS ended_by,
       (SELECT t.status = 'succeeded' AND t.finished_at < now() - $4 * interval '1 second'
        FROM tasks t WHERE t.id = p.parent_id) AS succeeded
FROM parents p WHERE p.parent_id IS NOT NULL ORDER BY p.parent_id
"""

_CHILDREN = f"""
SELECT id, created_at,
       NOT ends_itself AND NOT status {ENDED} AND updated_at < now() - $4 * interval '1 second' AS silent
FROM tasks WHERE parent_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
ORDER BY created_at DESC, id DESC LIMIT $5
"""


@dataclass(slots=True)
class _Walk:
    """Where the orphan sweep of one kind continues."""

    ends_itself: bool
    after: str = ""


class Sweeper:
    """Every process runs one; SQL ensures that only one of them ends a task. `child_grace`: seconds without a report
    after its parent's success, after which a child of an existing sidecar is canceled."""

    def __init__(
        self,
        database: Database,
        finish: Callable[[FinalReport], Awaitable[FinalOutcome]],
        cascade: Cascade,
        *,
        child_grace: float,
    ) -> None:
        self._database = database
        self._finish = finish
        self._cascade = cascade
        self._child_grace = child_grace
        self._walks = (_Walk(ends_itself=True), _Walk(ends_itself=False))

    async def sweep(self) -> int:
        """End all overdue tasks; returns how many this call ended."""
        ended = 0
        while True:
            overdue = await self._overdue()
            applied = await self._end(overdue)
            ended += applied
            # Without progress the rest waits for the next turn, because another process may be working on the same
            # tasks.
            if len(overdue) < CHUNK or not applied:
                return ended

    async def sweep_orphans(self) -> int:
        """End open tasks whose ancestor's end also ends them, and those without a report for the grace period; returns
        how many this call ended."""
        return sum([await self._walk_on(walk) for walk in self._walks])

    async def _overdue(self) -> list[FinalReport]:
        rows = await self._database.fetch(_OVERDUE, CHUNK)
        return [_overdue_report(row["id"], row["allowed"]) for row in rows]

    async def _end(self, reports: Sequence[FinalReport]) -> int:
        outcomes = await asyncio.gather(*(self._finish(report) for report in reports))
        return sum(outcome is FinalOutcome.APPLIED for outcome in outcomes)

    async def _walk_on(self, walk: _Walk) -> int:
        ended = 0
        for _ in range(PARENTS_A_TURN // PARENTS):
            rows = await self._database.fetch(_PARENTS, walk.ends_itself, walk.after, PARENTS, self._child_grace)
            for row in rows:
                if row["ended_by"] is not None:
                    ended += await self._end_below(row["parent_id"], row["ended_by"])
                elif row["succeeded"] and not walk.ends_itself:
                    ended += await self._end_silent(row["parent_id"])
            walk.after = rows[-1]["parent_id"] if len(rows) == PARENTS else ""
            if not walk.after:
                break
        return ended

    async def _end_below(self, parent_id: str, ended_by: str) -> int:
        if self._cascade.at_work_below(ended_by):
            return 0
        return await self._cascade.below(parent_id, await self._cascade.end_of(ended_by))

    async def _end_silent(self, parent_id: str) -> int:
        ended = 0
        place: tuple[Any, Any] = (None, None)
        while True:
            page = await self._database.fetch(_CHILDREN, parent_id, *place, self._child_grace, CHUNK)
            ended += await self._end([_silent_report(row["id"], self._child_grace) for row in page if row["silent"]])
            if len(page) < CHUNK:
                return ended
            place = (page[-1]["created_at"], page[-1]["id"])


def _overdue_report(task_id: str, allowed: float) -> FinalReport:
    message = f"Task timed out after {f'{allowed:.1f}'.removesuffix('.0')} s"
    return FinalReport(
        task_id=task_id,
        status=TaskStatus.FAILED,
        owner=EVERY_OWNER,
        message=message,
        error=TaskError(
            "deadline_exceeded",
            message,
            ErrorClass.DEADLINE,
            details={"task_id": task_id, "timeout_seconds": round(allowed, 1)},
        ),
        overdue_only=True,
    )


def _silent_report(task_id: str, grace: float) -> FinalReport:
    """The end of a child without reports. It is unknown, and a possible failure must not be shown as a success."""
    message = f"Its parent has succeeded, and no report arrived for {grace:g} s"
    error = TaskError(END_NOT_REPORTED, message, ErrorClass.CANCELED)
    return FinalReport(task_id=task_id, status=TaskStatus.CANCELED, message=message, error=error, owner=EVERY_OWNER)
