"""Fails tasks whose final report arrived incomplete and was not repeated. Existing sidecars send it only once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.storage.database import Database

CODE = "result_incomplete"
LOOK_EVERY = 5.0
CHUNK = 1_000
"""Most reports that one statement reads."""

# Only the first arrival sets the time. Otherwise a sidecar whose report is cut each time would keep its task open.
_KEEP = """
INSERT INTO incomplete_finals (task_id, arrived_at, due_at)
SELECT t.id, c.at, c.at + $2 * interval '1 second' FROM tasks t CROSS JOIN clock_timestamp() AS c(at)
WHERE t.id = $1 AND t.finished_at IS NULL
ON CONFLICT DO NOTHING
"""

_DUE = """
SELECT task_id, extract(epoch FROM due_at - arrived_at)::float8 AS waited FROM incomplete_finals
WHERE due_at <= now() ORDER BY due_at LIMIT $1
"""

_REMOVE = "DELETE FROM incomplete_finals WHERE task_id = ANY ($1) AND due_at <= now()"


class IncompleteFinals:
    """`grace`: seconds in which the report may be repeated."""

    def __init__(self, database: Database, *, grace: float) -> None:
        self._database = database
        self._grace = grace

    async def keep(self, task_id: str) -> None:
        """Record that the task's final report arrived incomplete. Unknown ids are ignored."""
        await self._database.execute(_KEEP, task_id, self._grace)

    async def expire(self, finish: Callable[[FinalReport], Awaitable[FinalOutcome]]) -> int:
        """Fail all tasks whose report was not repeated; returns how many this call ended."""
        ended = 0
        while rows := await self._database.fetch(_DUE, CHUNK):
            outcomes = await asyncio.gather(*(finish(_report(row)) for row in rows))
            ended += sum(outcome is FinalOutcome.APPLIED for outcome in outcomes)
            await self._database.execute(_REMOVE, sorted(row["task_id"] for row in rows))
            if len(rows) < CHUNK:
                break
        return ended


def _report(row: Any) -> FinalReport:
    message = f"The final report arrived incompletely and was not repeated within {row['waited']:.10g} s"
    error = TaskError(CODE, message, ErrorClass.RUNTIME)
    return FinalReport(
        task_id=row["task_id"], status=TaskStatus.FAILED, message=message, error=error, owner=EVERY_OWNER
    )
