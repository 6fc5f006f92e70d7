"""Keeps envelopes of a hop that exceed one report, until the hop's end hands them on."""

from collections.abc import Callable
from typing import Any

import asyncpg

from asya_crds import jsontext
from asya_crds.hop_reports import EndOutcome, Yours
from asya_gateway.domain.hop_reports import HopEnded, PartReport
from asya_gateway.domain.reports import ChildAnnouncement
from asya_gateway.storage.tasks.guards import ENDED, ended_above
from asya_transports.postgres.sessions import session_of

# It locks only the hop, so it can wait for an end but not be part of a deadlock. The first part of a claimant removes
# those of earlier ones.
_KEEP = f"""
WITH task AS MATERIALIZED (
    SELECT t.id, t.status {ENDED} OR (t.parent_id IS NOT NULL AND {ended_above("t.parent_id")} IS NOT NULL) AS over
    FROM tasks t WHERE t.id = $1
), held AS (
    UPDATE task_hops h SET lease_until = clock_timestamp() + $5 * interval '1 second'
    FROM task WHERE NOT task.over AND h.task_id = $1 AND h.hop = $2 AND h.claimant = $3 AND h.state <> 'completed'
    RETURNING h.task_id
), undeclared AS MATERIALIZED (
    SELECT name FROM unnest($6::text[]) AS wanted(name) WHERE name NOT IN (
        SELECT q.name FROM queues q WHERE q.name = ANY ($6)
    )
), outdated AS (
    DELETE FROM hop_parts p USING held
    WHERE p.task_id = $1 AND p.hop = $2 AND p.claimant <> $3
), kept AS (
    INSERT INTO hop_parts (task_id, hop, claimant, part, number, actor, envelope_id, body, child)
    SELECT $1, $2, $3, $4, s.number, s.actor, s.envelope_id, s.body, s.child
    FROM unnest($7::text[], $8::text[], $9::text[], $10::json[])
        WITH ORDINALITY AS s(actor, envelope_id, body, child, number)
    WHERE EXISTS (SELECT FROM held) AND NOT EXISTS (SELECT FROM undeclared)
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM task) AS known, EXISTS (SELECT FROM held) AS held,
       EXISTS (SELECT FROM undeclared) AS undeclared
"""


class HopParts:
    """`prefix`: of the queues' names in this database, None where envelopes go to the outbox. `lease`: seconds that a
    claim holds without renewal."""

    def __init__(self, pool: Callable[[], asyncpg.Pool], prefix: str | None, *, lease: float) -> None:
        self._pool = pool
        self._prefix = prefix
        self._lease = lease

    async def keep(self, report: PartReport) -> HopEnded:
        """Store a part, and renew the claim. The same part again changes nothing."""
        claim, sends = report.claim, report.sends
        queues = [] if self._prefix is None else sorted({self._prefix + send.actor for send in sends})
        async with session_of(self._pool()) as connection:
            row = await connection.fetchrow(
                _KEEP,
                report.task_id,
                claim.hop,
                claim.claimant,
                report.part,
                self._lease,
                queues,
                [send.actor for send in sends],
                [send.task_id for send in sends],
                [send.body for send in sends],
                [_child(send.child) for send in sends],
            )
        return _answer(row)


def _answer(row: Any) -> HopEnded:
    if not row["known"]:
        return HopEnded(EndOutcome.YOURS, Yours.UNKNOWN)
    if not row["held"]:
        return HopEnded(EndOutcome.REFUSED)
    if row["undeclared"]:
        return HopEnded(EndOutcome.YOURS, Yours.UNDECLARED)
    return HopEnded(EndOutcome.KEPT)


def _child(child: ChildAnnouncement | None) -> str | None:
    if child is None:
        return None
    return jsontext.dumps({"parent_id": child.parent_id, "route": child.route.as_dict(), "hop": child.route.hop})
