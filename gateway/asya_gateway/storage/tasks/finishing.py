"""Ends tasks: the first terminal status wins, and a parent that does not succeed ends its children with it."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from asya_crds import jsontext
from asya_crds.status import TaskStatus
from asya_gateway.domain.log import FinalEntry
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.domain.text import storable
from asya_gateway.storage.retrying import acquired
from asya_gateway.storage.tasks.guards import ENDED
from asya_gateway.telemetry.observer import FAN_OUT

log = logging.getLogger(__name__)

Ended = Callable[[str, str, str, float], None]
"""Hears of (flow, surface, status, seconds from acceptance to end); the surface of a child is FAN_OUT."""

_FINISH = f"""
WITH incoming AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::json[], $6::json[], $7::json[], $8::text[], $9::boolean[],
        $10::boolean[])
    AS r(id, status, message, actor, result, error, detail, owner, overdue_only, in_time_only)
), locked AS MATERIALIZED (
    SELECT t.id, t.parent_id, t.status, t.owner, t.deadline_at
    FROM tasks t WHERE t.id = ANY ($1) OR t.parent_id = ANY ($1)
    ORDER BY t.id FOR NO KEY UPDATE
), ending AS (
    SELECT r.id, r.status, r.message, r.actor, r.result, r.error, r.detail
    FROM incoming r JOIN locked l USING (id)
    WHERE NOT l.status {ENDED}
      AND (r.owner IS NULL OR r.owner = l.owner)
      AND (NOT r.overdue_only OR l.deadline_at <= clock_timestamp())
      AND NOT (r.in_time_only AND coalesce(l.deadline_at <= clock_timestamp(), false))
), children AS (
    -- A parent's success says nothing of its children: their own ends are reported, or their grace runs out.
    SELECT l.id, e.status, 'Ended with its parent: ' || e.message AS message, NULL::text AS actor,
           NULL::json AS result, e.error, e.detail
    FROM locked l JOIN ending e ON l.parent_id = e.id
    WHERE NOT l.status {ENDED} AND e.status <> 'succeeded'
      AND l.id NOT IN (SELECT id FROM ending)
), all_ending AS (
    SELECT * FROM ending UNION ALL SELECT * FROM children
), applied AS (
    UPDATE tasks t SET
        status = e.status, ended_as = e.status, message = e.message, actor = coalesce(e.actor, t.actor),
        progress = CASE WHEN e.status = 'succeeded' THEN 100 ELSE t.progress END,
        last_seq = t.last_seq + 1, remaining = NULL, pause_id = NULL,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
    FROM all_ending e WHERE t.id = e.id AND NOT t.status {ENDED}
    RETURNING t.id, t.parent_id, t.last_seq, t.status, t.progress, t.updated_at, t.flow, t.surface, t.created_at
), bodies AS (
    INSERT INTO task_bodies (task_id, kind, body)
    SELECT a.id, 'result', e.result FROM applied a JOIN all_ending e USING (id) WHERE e.result IS NOT NULL
    UNION ALL
    SELECT a.id, 'error', e.error FROM applied a JOIN all_ending e USING (id) WHERE e.error IS NOT NULL
    ON CONFLICT DO NOTHING
), logged AS (
    INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT a.id, a.last_seq, 'final', a.status, a.progress, e.detail, a.updated_at
    FROM applied a JOIN all_ending e USING (id)
)
SELECT a.id, a.status, a.flow, CASE WHEN a.parent_id IS NULL THEN a.surface ELSE '{FAN_OUT}' END AS surface,
       extract(epoch FROM a.updated_at - a.created_at)::float8 AS took, true AS applied
FROM applied a
UNION ALL
SELECT l.id, l.status, NULL, NULL, NULL, false
FROM locked l JOIN incoming r USING (id)
WHERE l.id NOT IN (SELECT id FROM applied) AND (r.owner IS NULL OR r.owner = l.owner)
"""


class TaskFinisher:
    """The flush of the final coalescer. `written` hears of every task whose log grew; `ended` of (flow, surface,
    status, seconds from acceptance to end) for the metrics."""

    def __init__(
        self,
        pool: Callable[[], asyncpg.Pool],
        written: Callable[[Sequence[str]], None],
        ended: Ended,
    ) -> None:
        self._pool = pool
        self._written = written
        self._ended = ended

    async def flush(self, batch: Sequence[FinalReport]) -> Sequence[FinalOutcome]:
        """End the batch's tasks, at most one report a task; outcomes in its order."""
        async with acquired(self._pool()) as connection:
            rows = await self.end(connection, batch)
        return self.tell(batch, rows)

    async def end(
        self, connection: asyncpg.pool.PoolConnectionProxy, batch: Sequence[FinalReport]
    ) -> list[asyncpg.Record]:
        """End the batch's tasks on this connection; what it returns is told after the commit."""
        return await connection.fetch(_FINISH, *_columns(batch))

    def tell(self, batch: Sequence[FinalReport], rows: Sequence[asyncpg.Record]) -> list[FinalOutcome]:
        """Let readers and metrics know what was committed; outcomes in the batch's order."""
        applied = [row for row in rows if row["applied"]]
        self._written([row["id"] for row in applied])
        for row in applied:
            self._ended(row["flow"], row["surface"], row["status"], row["took"])
            log.debug("ended: %s", row["status"], extra={"task_id": row["id"], "flow": row["flow"]})
        outcomes = {row["id"]: _outcome(row) for row in rows}
        return [outcomes.get(report.task_id, FinalOutcome.UNKNOWN) for report in batch]


def _columns(batch: Sequence[FinalReport]) -> tuple[list[Any], ...]:
    return (
        [report.task_id for report in batch],
        [report.status.value for report in batch],
        [storable(report.message) for report in batch],
        [storable(report.actor) for report in batch],
        [report.result for report in batch],
        [None if report.error is None else jsontext.dumps(report.error.as_dict()) for report in batch],
        [_entry(report).to_json() for report in batch],
        [report.owner for report in batch],
        [report.overdue_only for report in batch],
        [report.in_time_only for report in batch],
    )


def _outcome(row: Any) -> FinalOutcome:
    if row["applied"]:
        return FinalOutcome.APPLIED
    return FinalOutcome.ENDED_BEFORE if TaskStatus.read(row["status"]).terminal else FinalOutcome.UNTIMELY


def _entry(report: FinalReport) -> FinalEntry:
    """What the log keeps beside the result, which is joined from task_bodies when it is read."""
    return FinalEntry(message=report.message, error=report.error, metadata=report.metadata)


def final_size(report: FinalReport) -> int:
    """Bytes that a final report weighs in its batch. An error is written twice: by itself, and in the log."""
    weight = 1024 + len(report.result or "") + len(report.message)
    if report.error is not None:
        weight += 2 * len(jsontext.dumps(report.error.as_dict()))
    if report.metadata is not None:
        weight += len(jsontext.dumps(report.metadata))
    return weight
