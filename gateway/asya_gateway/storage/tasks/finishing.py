"""Ends tasks: the first terminal status wins. Their descendants are ended afterwards, in chunks (cascading.py)."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from asya_crds import jsontext
from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.log import FinalEntry
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.domain.text import storable
from asya_gateway.storage.replication import settled
from asya_gateway.storage.retrying import acquired, within
from asya_gateway.storage.tasks.cascading import Cascade
from asya_gateway.storage.tasks.descendants import Ended, SharedEnd
from asya_gateway.storage.tasks.guards import ENDED, SPREADING, ended_above, has_children
from asya_gateway.storage.tasks.owners import owner_parameter
from asya_gateway.storage.tasks.written import ENDING, GROWN, INTO_BODIES, INTO_LOG
from asya_gateway.telemetry.observer import FAN_OUT

log = logging.getLogger(__name__)

WITH_ANCESTORS = 1.0
"""Seconds for the ends of reported tasks whose ancestors have ended. Those that take longer are left to the sweeper."""

# If an ancestor's end also ends the task (`above`), it ends like the ancestor, whatever the report says.
_FINISH = f"""
WITH incoming AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::json[], $6::json[], $7::json[], $8::text[], $9::boolean[],
        $10::boolean[], $11::text[])
    AS r(id, status, message, actor, result, error, detail, owner, overdue_only, in_time_only, only_pause)
), locked AS MATERIALIZED (
    SELECT t.id, t.parent_id, t.status, t.owner, t.deadline_at, t.pause_id
    FROM tasks t WHERE t.id = ANY ($1) ORDER BY t.id FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT r.*, l.parent_id, l.status AS stored,
           NOT l.status {ENDED} AND (NOT r.overdue_only OR coalesce(l.deadline_at <= clock_timestamp(), false))
           AND (r.only_pause IS NULL OR l.pause_id IS NOT DISTINCT FROM r.only_pause)
           AND NOT (r.in_time_only AND coalesce(l.deadline_at <= clock_timestamp(), false)) AS ends,
           CASE WHEN l.parent_id IS NOT NULL AND NOT l.status {ENDED} THEN
               {ended_above("l.parent_id")} END AS above
    FROM incoming r JOIN locked l USING (id) WHERE r.owner IS NULL OR r.owner = l.owner
), ending AS MATERIALIZED (
    SELECT * FROM judged WHERE ends AND above IS NULL
), applied AS (
    UPDATE tasks t SET
        status = e.status, ended_as = e.status, message = e.message, actor = coalesce(e.actor, t.actor),
        progress = CASE WHEN e.status = 'succeeded' THEN 100 ELSE t.progress END,
        {ENDING}
    -- All rows are found at once and joined by a hash. With a search for each, an unknown array of ids would be sorted
    -- again for each.
    FROM ending e WHERE t.id = ANY (ARRAY(SELECT id FROM ending)) AND t.id || '' = e.id
    RETURNING {GROWN}, t.parent_id, t.flow, t.surface, t.created_at
), bodies AS (
    {INTO_BODIES}
    SELECT id, 'result', result FROM ending WHERE result IS NOT NULL
    UNION ALL
    SELECT id, 'error', error FROM ending WHERE error IS NOT NULL
    ON CONFLICT DO NOTHING
), logged AS (
    {INTO_LOG}
    SELECT a.id, a.last_seq, 'final', a.status, a.progress, e.detail, a.updated_at
    FROM applied a JOIN ending e USING (id)
)
SELECT a.id, a.status, a.flow, CASE WHEN a.parent_id IS NULL THEN a.surface ELSE '{FAN_OUT}' END AS surface,
       extract(epoch FROM a.updated_at - a.created_at)::float8 AS took, true AS applied, NULL AS above,
       CASE WHEN a.status {SPREADING} THEN {has_children("a.id")} END AS spreads
FROM applied a
UNION ALL
SELECT id, stored, NULL, NULL, NULL, false, above, NULL FROM judged WHERE NOT ends OR above IS NOT NULL
"""


class TaskFinisher:
    """The coalescer's flush for final reports. `over` is called with every task that it has ended; `ended` with (flow,
    surface, status, seconds from acceptance to end) for the metrics. `cascade` takes every task whose end spreads to
    children."""

    def __init__(
        self,
        pool: Callable[[], asyncpg.Pool],
        over: Callable[[Sequence[str]], None],
        ended: Ended,
        cascade: Cascade,
    ) -> None:
        self._pool = pool
        self._over = over
        self._ended = ended
        self._cascade = cascade

    async def flush(self, batch: Sequence[FinalReport]) -> Sequence[FinalOutcome]:
        """End the batch's tasks, with at most one report for each; returns outcomes in its order."""
        async with acquired(self._pool()) as connection:
            rows = await self.end(connection, batch)
            if not all(row["applied"] for row in rows):
                # A repeated report's sender forgets it when it is answered.
                await settled(connection)
        return await self.tell(batch, rows)

    async def end(
        self, connection: asyncpg.pool.PoolConnectionProxy, batch: Sequence[FinalReport]
    ) -> list[asyncpg.Record]:
        """End the batch's tasks on this connection. Pass the returned rows to `tell` after the commit."""
        return await connection.fetch(_FINISH, *_columns(batch))

    async def tell(self, batch: Sequence[FinalReport], rows: Sequence[asyncpg.Record]) -> list[FinalOutcome]:
        """Notify readers, metrics and the cascade of what was committed; returns outcomes in the batch's order."""
        applied = [row for row in rows if row["applied"]]
        self._over([row["id"] for row in applied])
        reports = {report.task_id: report for report in batch}
        for row in applied:
            if row["spreads"]:
                self._cascade.take(row["id"], SharedEnd.of(reports[row["id"]]))
            self._ended(row["flow"], row["surface"], row["status"], row["took"])
            log.debug("ended: %s", row["status"], extra={"task_id": row["id"], "flow": row["flow"]})
        await self._end_with_ancestors(rows)
        outcomes = {row["id"]: _outcome(row) for row in rows}
        return [outcomes.get(report.task_id, FinalOutcome.UNKNOWN) for report in batch]

    async def _end_with_ancestors(self, rows: Sequence[asyncpg.Record]) -> None:
        """End reported tasks whose ancestors have ended at once, like the ancestors."""
        below = defaultdict(list)
        for row in rows:
            if row["above"] is not None:
                below[row["above"]].append(row["id"])
        if not below:
            return

        async def end() -> None:
            for ancestor, ids in below.items():
                await self._cascade.end_with(ancestor, ids)

        # The batch is committed. If its write failed here, it would be repeated, and what it has ended would be said to
        # have ended before.
        try:
            await within(WITH_ANCESTORS, end())
        except Unavailable as error:
            log.warning("tasks whose ancestors have ended are left to the sweeper: %s", error.message)
        except Exception:
            log.exception("tasks whose ancestors have ended are left to the sweeper")


def _columns(batch: Sequence[FinalReport]) -> tuple[list[Any], ...]:
    return (
        [report.task_id for report in batch],
        [report.status.value for report in batch],
        [storable(report.message) for report in batch],
        [storable(report.actor) for report in batch],
        [report.result for report in batch],
        [None if report.error is None else jsontext.dumps(report.error.as_dict()) for report in batch],
        [final_entry(report).to_json() for report in batch],
        [owner_parameter(report.owner) for report in batch],
        [report.overdue_only for report in batch],
        [report.in_time_only for report in batch],
        [report.only_pause for report in batch],
    )


def _outcome(row: Any) -> FinalOutcome:
    if row["applied"]:
        return FinalOutcome.APPLIED
    ended = row["above"] is not None or TaskStatus.read(row["status"]).terminal
    return FinalOutcome.ENDED_BEFORE if ended else FinalOutcome.UNTIMELY


def final_entry(report: FinalReport) -> FinalEntry:
    """The log entry of a final report, without the result, which is joined from task_bodies when read."""
    return FinalEntry(message=report.message, error=report.error, metadata=report.metadata)


def final_size(report: FinalReport) -> int:
    """The size of a final report in its batch, in bytes. An error is written twice: as a body, and in the log."""
    weight = 1024 + len(report.result or "") + len(report.message)
    if report.error is not None:
        weight += 2 * len(jsontext.dumps(report.error.as_dict()))
    if report.metadata is not None:
        weight += len(jsontext.dumps(report.metadata))
    return weight
