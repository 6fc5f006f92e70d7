"""Takes progress reports: check, claim, update and append in one statement for a whole batch."""

from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from asya_crds.status import ClaimAction, HopState, TaskStatus
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.domain.reports import ProgressAnswer, ProgressReport
from asya_gateway.domain.text import storable
from asya_gateway.storage.columns import NULL, joined, split
from asya_gateway.storage.tasks.guards import ENDED, MOVING, STATUS_AT, ended_above
from asya_gateway.storage.tasks.incarnations import NEWER, PROGRESS
from asya_gateway.storage.tasks.written import GROWN, INTO_LOG
from asya_transports.postgres.sessions import session_of

KEYS_KEPT = 8
"""How many keys of the latest reports a row remembers. Repetitions follow closely; later ones are stopped by their
claim."""

_SILENT = f"('{HopState.PROCESSED.value}', '{HopState.RELEASED.value}')"
"""States that concern only the claim and do not change the task."""

_ARRAYS = (
    f"{split(1)}, {split(2, 'bigint')}, {split(3)}, {split(4, 'json')}, {split(5, 'integer')}, {split(6, 'float8')}, "
    f"$7::text[], {split(8)}, {split(9, 'json')}, {split(10, 'integer')}"
)
_CLAIM_ARRAYS = f"{split(11)}, {split(12, 'integer')}, {split(13)}, $14::json[]"

_LOCKED = f"""
), locked AS MATERIALIZED (
    -- Locking in id order, whatever order the reports came in, is what keeps batches from deadlocking.
    SELECT t.id, t.status, t.progress, t.deadline_at, t.parent_id, t.recent_reports
    FROM tasks t WHERE t.id = ANY({split(1)}) ORDER BY t.id FOR NO KEY UPDATE
"""

_TAKES = """(h.state = 'claimed' AND (h.claimant = excluded.claimant OR h.attempt < excluded.attempt
             OR h.lease_until < clock_timestamp()))"""
"""Whether the claim of a report (`excluded`) takes the hop `h`."""
INTO_HOPS = "INSERT INTO task_hops AS h (task_id, hop, attempt, claimant, state, lease_until)"
TAKE_OVER = f"""ON CONFLICT (task_id, hop) DO UPDATE SET
        claimant    = CASE WHEN {_TAKES} THEN excluded.claimant ELSE h.claimant END,
        attempt     = CASE WHEN {_TAKES} THEN excluded.attempt ELSE h.attempt END,
        lease_until = CASE WHEN {_TAKES} THEN excluded.lease_until ELSE h.lease_until END
    RETURNING h.task_id, h.claimant, h.state, h.frames"""
"""Claims hops, if INTO_HOPS finds them stored: those whose claims the reports take."""


def claim_action(report: str) -> str:
    """SQL, the rest of a CASE: the answer to the report's claim, from the hop `c` that TAKE_OVER returned."""
    return f"""WHEN c.state IN ('processed', 'completed') THEN 'done'
        WHEN c.claimant = {report}.claimant THEN 'go' ELSE 'busy'"""


_CLAIMS = f"""
), standing AS MATERIALIZED (
    -- Nobody begins to work below a task that has ended, however long it takes until this one has its own end.
    SELECT l.*, l.status {ENDED} OR (l.parent_id IS NOT NULL AND {ended_above("l.parent_id")}
        IS NOT NULL) AS over FROM locked l
), claimed AS (
    -- ON CONFLICT sees rows that were committed after this statement's snapshot; a SELECT would not.
    {INTO_HOPS}
    SELECT r.id, r.claim_hop, r.attempt, r.claimant, 'claimed', clock_timestamp() + $15 * interval '1 second'
    FROM incoming r JOIN standing l USING (id)
    WHERE r.claim_hop IS NOT NULL AND r.state = 'received' AND NOT l.over
    ORDER BY r.id
    {TAKE_OVER}
), held AS (
    UPDATE task_hops h SET
        lease_until = clock_timestamp() + CASE r.state WHEN 'released' THEN 0 ELSE $15 END * interval '1 second',
        state  = CASE r.state WHEN 'processed' THEN 'processed' WHEN 'completed' THEN 'completed' ELSE h.state END,
        frames = CASE r.state WHEN 'processed' THEN r.frames WHEN 'completed' THEN NULL ELSE h.frames END
    FROM incoming r JOIN locked l USING (id)
    WHERE h.task_id = ANY ({split(1)}) AND h.hop = ANY ({split(11)}) AND h.task_id = r.id AND h.hop = r.claim_hop
      AND r.claim_hop IS NOT NULL AND r.state <> 'received' AND h.state <> 'completed'
      -- Whoever has sent the stored frames of a worker that died completes its hop.
      AND (h.claimant = r.claimant OR (r.state = 'completed' AND h.state = 'processed'))
    RETURNING h.task_id
), verdict AS (
    SELECT r.id, CASE
        WHEN r.claim_hop IS NULL THEN 'go'
        WHEN l.over THEN 'done'
        WHEN r.state <> 'received' THEN CASE WHEN w.task_id IS NULL THEN 'done' ELSE 'go' END
        {claim_action("r")} END AS action,
        c.frames
    FROM incoming r JOIN standing l USING (id)
    LEFT JOIN claimed c ON c.task_id = r.id
    LEFT JOIN held w ON w.task_id = r.id
"""

# All rows are found at once and joined by a hash. With a search for each, an unknown array of ids would be sorted again
# for each.
_APPLIED = f"""
), moving AS MATERIALIZED (
    SELECT r.*, o.status {MOVING} AND NOT r.key = ANY (o.recent_reports) AND r.state NOT IN {_SILENT} {{goes}} AS moves
    FROM incoming r JOIN locked o USING (id){{judged}}
), applied AS (
    UPDATE tasks t SET
        status   = CASE WHEN t.status = 'pending' THEN 'running' ELSE t.status END,
        status_at = {STATUS_AT},
        route    = CASE WHEN {NEWER} THEN coalesce(r.route, t.route) ELSE t.route END,
        hop      = CASE WHEN {NEWER} THEN r.hop ELSE t.hop END,
        progress = {PROGRESS},
        message  = coalesce(r.message, t.message),
        actor    = CASE WHEN {NEWER} THEN r.actor ELSE t.actor END,
        last_seq = t.last_seq + 1,
        recent_reports = (r.key || t.recent_reports)[:{KEYS_KEPT}],
        updated_at = clock_timestamp()
    FROM moving r
    WHERE r.moves AND t.id = ANY (ARRAY(SELECT id FROM moving WHERE moves)) AND t.id || '' = r.id
    RETURNING {GROWN}
), logged AS (
    {INTO_LOG}
    SELECT a.id, a.last_seq, 'progress', a.status, a.progress, r.detail, a.updated_at
    FROM applied a JOIN incoming r USING (id)
)
SELECT l.id, coalesce(a.status, l.status) AS status, coalesce(a.progress, l.progress) AS progress,
       a.id IS NOT NULL AS applied, """

_APPLIED_BY_VERDICT = _APPLIED.format(judged=" JOIN verdict v USING (id)", goes="AND v.action = 'go'")

_REPORT = f"""
WITH incoming AS (
    SELECT * FROM unnest(
{_ARRAYS})
    AS r(id, key, state, route, hop, progress, message, actor, detail, incarnation)
{_LOCKED}{_APPLIED.format(judged="", goes="")}'go' AS action, NULL AS frames, NULL AS remaining
FROM locked l LEFT JOIN applied a USING (id)
"""
"""For reports without claims, from existing sidecars."""

_REPORT_WITH_CLAIMS = f"""
WITH incoming AS (
    SELECT * FROM unnest(
{_ARRAYS}, {_CLAIM_ARRAYS})
    AS r(id, key, state, route, hop, progress, message, actor, detail, incarnation,
         claim_hop, attempt, claimant, frames)
{_LOCKED}{_CLAIMS}{_APPLIED_BY_VERDICT}v.action, v.frames::text AS frames,
       extract(epoch FROM l.deadline_at - clock_timestamp())::float8 AS remaining
FROM locked l JOIN verdict v USING (id) LEFT JOIN applied a USING (id)
"""


class ProgressReporter:
    """The coalescer's flush for reports. `moved` is called with every task whose log grew. `lease`: seconds that a
    claim holds without renewal."""

    def __init__(
        self, pool: Callable[[], asyncpg.Pool], moved: Callable[[Sequence[str]], None], *, lease: float
    ) -> None:
        self._pool = pool
        self._moved = moved
        self._lease = lease

    async def flush(self, batch: Sequence[ProgressReport]) -> Sequence[ProgressAnswer]:
        """Apply the batch, with at most one report for each task; returns answers in its order."""
        async with session_of(self._pool()) as connection:
            if any(report.claim is not None for report in batch):
                rows = await connection.fetch(
                    _REPORT_WITH_CLAIMS, *_columns(batch), *_claim_columns(batch), self._lease
                )
            else:
                rows = await connection.fetch(_REPORT, *_columns(batch))
        self._moved([row["id"] for row in rows if row["applied"]])
        by_id = {row["id"]: row for row in rows}
        return [_answer(report, by_id.get(report.task_id), self._lease) for report in batch]


def _answer(report: ProgressReport, row: Any, lease: float) -> ProgressAnswer:
    if row is None:
        return ProgressAnswer(known=False, progress=report.progress, lease=lease)
    return ProgressAnswer(
        known=True,
        progress=row["progress"],
        status=TaskStatus.read(row["status"]),
        action=ClaimAction(row["action"]),
        frames=row["frames"],
        lease=lease,
        remaining=row["remaining"],
    )


def _columns(batch: Sequence[ProgressReport]) -> tuple[Any, ...]:
    routes = [report.route for report in batch]
    return (
        joined([report.task_id for report in batch]),
        joined([str(report.key) for report in batch]),
        joined([report.state.value for report in batch]),
        joined([NULL if route.says_nothing else route.to_json() for route in routes]),
        joined([str(len(route.prev)) for route in routes]),
        joined([repr(report.progress) for report in batch]),
        [storable(report.message) for report in batch],
        joined([route.curr or NULL for route in routes]),
        joined([entry_of(report).to_json() for report in batch]),
        joined([NULL if report.incarnation is None else str(report.incarnation) for report in batch]),
    )


def _claim_columns(batch: Sequence[ProgressReport]) -> tuple[Any, ...]:
    claims = [report.claim for report in batch]
    return (
        joined([claim.hop if claim else NULL for claim in claims]),
        joined([str(claim.attempt) if claim else NULL for claim in claims]),
        joined([claim.claimant if claim else NULL for claim in claims]),
        [report.frames for report in batch],
    )


def entry_of(report: ProgressReport) -> ProgressEntry:
    """The log entry of a report."""
    return ProgressEntry(
        message=report.message,
        route=None if report.route.says_nothing else report.route,
        state=report.state.value,
        duration_ms=report.duration_ms,
        message_size_kb=report.message_size_kb,
    )


def report_size(report: ProgressReport) -> int:
    """The size of a report in its batch, in bytes."""
    route = sum(map(len, report.route.prev)) + sum(map(len, report.route.next))
    return 512 + len(report.frames or "") + len(report.message or "") + 2 * route
