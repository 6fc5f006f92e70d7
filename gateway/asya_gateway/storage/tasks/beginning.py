"""Takes the beginnings of hops: check, claim, and the reports `received` and `processing`, in one statement for a whole
batch."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import asyncpg

from asya_crds.envelope import Route
from asya_crds.hop_reports import BeginAction, processing_message, received_message
from asya_crds.status import HopState
from asya_gateway.domain.hop_reports import BeginReport, HopBegun
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.storage.columns import NULL, joined, split
from asya_gateway.storage.tasks.guards import ASKING, ENDED, MOVING, STATUS_AT, ended_above
from asya_gateway.storage.tasks.incarnations import NEWER, progress_sql
from asya_gateway.storage.tasks.reporting import KEYS_KEPT, TAKES
from asya_transports.postgres.sessions import session_of

_ARRAYS = (
    f"{split(1)}, {split(2, 'json')}, {split(3, 'integer')}, {split(4, 'float8')}, {split(5, 'float8')}, {split(6)}, "
    f"{split(7)}, {split(8, 'json')}, {split(9, 'json')}, {split(10, 'bigint')}, {split(11, 'bigint')}, "
    f"{split(12, 'integer')}, {split(13)}, {split(14, 'integer')}, {split(15)}"
)

# The conditions `= ANY` beside a join keep a plan that does not know its values on the index.
_BEGIN = f"""
WITH incoming AS MATERIALIZED (
    SELECT * FROM unnest(
{_ARRAYS})
    AS r(id, route, hop, received_progress, processing_progress, actor, message, received, processing, received_key,
         processing_key, incarnation, claim_hop, attempt, claimant)
), locked AS MATERIALIZED (
    -- Locking in id order, whatever order the reports came in, is what keeps batches from deadlocking.
    SELECT t.id, t.status, t.deadline_at, t.parent_id, t.progress, t.incarnation, t.own_incarnation,
           t.answered_progress, t.recent_reports
    FROM tasks t WHERE t.id = ANY ({split(1)}) ORDER BY t.id FOR NO KEY UPDATE
), standing AS MATERIALIZED (
    -- A task that waits or is overdue gets no claim either: its message is dropped.
    SELECT r.*, l.deadline_at,
           l.status {ENDED} OR l.status {ASKING} OR coalesce(l.deadline_at <= clock_timestamp(), false)
           OR (l.parent_id IS NOT NULL AND {ended_above("l.parent_id")} IS NOT NULL) AS dropped,
           l.status {MOVING} AND NOT r.received_key = ANY (l.recent_reports) AS news,
           {progress_sql("l", "r.received_progress")} AS progress_received,
           {progress_sql("l", "r.processing_progress")} AS progress_processing
    FROM incoming r JOIN locked l USING (id)
), claimed AS (
    -- ON CONFLICT sees rows that were committed after this statement's snapshot; a SELECT would not.
    INSERT INTO task_hops AS h (task_id, hop, attempt, claimant, state, lease_until)
    SELECT id, claim_hop, attempt, claimant, 'claimed', clock_timestamp() + $16 * interval '1 second'
    FROM standing WHERE NOT dropped ORDER BY id
    ON CONFLICT (task_id, hop) DO UPDATE SET
        claimant    = CASE WHEN {TAKES} THEN excluded.claimant ELSE h.claimant END,
        attempt     = CASE WHEN {TAKES} THEN excluded.attempt ELSE h.attempt END,
        lease_until = CASE WHEN {TAKES} THEN excluded.lease_until ELSE h.lease_until END
    RETURNING h.task_id, h.claimant, h.state, h.frames
), verdict AS MATERIALIZED (
    SELECT s.*, c.frames, CASE
        WHEN s.dropped THEN 'drop'
        WHEN c.state IN ('processed', 'completed') THEN 'done'
        WHEN c.claimant = s.claimant THEN 'go'
        ELSE 'busy' END AS action,
        s.news AND NOT s.dropped AND c.state = 'claimed' AND c.claimant = s.claimant AS moves
    FROM standing s LEFT JOIN claimed c ON c.task_id = s.id
), applied AS (
    UPDATE tasks t SET
        status   = CASE WHEN t.status = 'pending' THEN 'running' ELSE t.status END,
        status_at = {STATUS_AT},
        route    = CASE WHEN {NEWER} THEN coalesce(r.route, t.route) ELSE t.route END,
        hop      = CASE WHEN {NEWER} THEN r.hop ELSE t.hop END,
        progress = r.progress_processing,
        message  = r.message,
        actor    = CASE WHEN {NEWER} THEN r.actor ELSE t.actor END,
        last_seq = t.last_seq + 2,
        recent_reports = (ARRAY[r.processing_key, r.received_key] || t.recent_reports)[:{KEYS_KEPT}],
        updated_at = clock_timestamp()
    FROM verdict r
    -- All rows are found at once and joined by a hash. A search for each would sort the array again for each.
    WHERE r.moves AND t.id = ANY (ARRAY(SELECT id FROM verdict WHERE moves)) AND t.id || '' = r.id
    RETURNING t.id, t.last_seq, t.status, t.updated_at, r.progress_received, r.progress_processing, r.received,
              r.processing
), logged AS (
    INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, last_seq - 1, 'progress', status, progress_received, received, updated_at FROM applied
    UNION ALL
    SELECT id, last_seq, 'progress', status, progress_processing, processing, updated_at FROM applied
)
SELECT v.id, v.action, v.frames::text AS frames, a.id IS NOT NULL AS applied,
       extract(epoch FROM v.deadline_at - clock_timestamp())::float8 AS remaining
FROM verdict v LEFT JOIN applied a USING (id)
"""


ORDINARY = 32
"""Most actors of a route whose entries are kept in a cache."""


def ordinary(route: Route) -> bool:
    """Whether what is made of this route may be kept."""
    return len(route.prev) + len(route.next) < ORDINARY


class HopBeginner:
    """The coalescer's flush for begins. `moved` is called with every task whose log grew. `lease`: seconds that a
    claim holds without renewal."""

    def __init__(
        self, pool: Callable[[], asyncpg.Pool], moved: Callable[[Sequence[str]], None], *, lease: float
    ) -> None:
        self._pool = pool
        self._moved = moved
        self._lease = lease

    async def flush(self, batch: Sequence[BeginReport]) -> Sequence[HopBegun]:
        """Begin the hops of the batch, with at most one report for each task; returns answers in its order."""
        async with session_of(self._pool()) as connection:
            rows = await connection.fetch(_BEGIN, *_columns(batch), self._lease)
        self._moved([row["id"] for row in rows if row["applied"]])
        by_id = {row["id"]: row for row in rows}
        return [self._answer(by_id.get(report.task_id)) for report in batch]

    def _answer(self, row: Any) -> HopBegun:
        if row is None:
            return HopBegun(BeginAction.GO, known=False, lease=self._lease)
        return HopBegun(BeginAction(row["action"]), frames=row["frames"], lease=self._lease, remaining=row["remaining"])


def _columns(batch: Sequence[BeginReport]) -> tuple[str, ...]:
    routes = [report.route for report in batch]
    claims = [report.claim for report in batch]
    # None of these texts has a control character: names and JSON.
    return (
        joined([report.task_id for report in batch]),
        joined([NULL if route.says_nothing else route.to_json() for route in routes]),
        joined([str(len(route.prev)) for route in routes]),
        joined([repr(report.received_progress) for report in batch]),
        joined([repr(report.processing_progress) for report in batch]),
        joined([route.curr or NULL for route in routes]),
        joined([processing_message(route.curr) for route in routes]),
        joined([_entry(_received, report.route, report.message_size_kb) for report in batch]),
        joined([_entry(_processing, route) for route in routes]),
        joined([str(report.received_key) for report in batch]),
        joined([str(report.processing_key) for report in batch]),
        joined([NULL if report.incarnation is None else str(report.incarnation) for report in batch]),
        joined([claim.hop for claim in claims]),
        joined([str(claim.attempt) for claim in claims]),
        joined([claim.claimant for claim in claims]),
    )


def _entry(made: Any, route: Route, *said: Any) -> str:
    """The entry from its cache; one with a long route is not kept."""
    text: str = (made if ordinary(route) else made.__wrapped__)(route, *said)
    return text


@lru_cache(maxsize=4096)
def _received(route: Route, size_kb: float | None) -> str:
    """Cached, because the tasks of a flow take the same route, and many are of one size."""
    return ProgressEntry(
        message=received_message(size_kb),
        route=None if route.says_nothing else route,
        state=HopState.RECEIVED.value,
        message_size_kb=size_kb,
    ).to_json()


@lru_cache(maxsize=1024)
def _processing(route: Route) -> str:
    return ProgressEntry(
        message=processing_message(route.curr),
        route=None if route.says_nothing else route,
        state=HopState.PROCESSING.value,
    ).to_json()


def begin_size(report: BeginReport) -> int:
    """The size of a begin in its batch, in bytes."""
    return 1024 + 3 * (sum(map(len, report.route.prev)) + sum(map(len, report.route.next)))
