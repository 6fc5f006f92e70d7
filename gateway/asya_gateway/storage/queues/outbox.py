"""Envelopes that wait for the queue system's confirmation. No transaction is open while the broker is spoken to."""

from collections.abc import Sequence

from asya_gateway.domain.ports import Backlog, OutboxEntry
from asya_gateway.storage.database import UNHURRIED, Database
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE

LONGEST_BACKOFF = 60.0
"""Seconds between two tries of an envelope that the queue system keeps refusing."""

# Each actor with rows is visited once by skipping along the index, so a backlog of a million rows costs no more than
# its number of actors. Those with due rows share what is taken, so that dead queues, however many, starve nobody; where
# there are more of them than rows may be taken, chance decides who comes first.
_TAKE = """
WITH RECURSIVE actors AS (
    (SELECT actor FROM outbox ORDER BY actor LIMIT 1)
    UNION ALL
    SELECT (SELECT o.actor FROM outbox o WHERE o.actor > a.actor ORDER BY o.actor LIMIT 1)
    FROM actors a WHERE a.actor IS NOT NULL
), waiting AS MATERIALIZED (
    SELECT a.actor FROM actors a
    WHERE a.actor IS NOT NULL
      AND EXISTS (SELECT FROM outbox o WHERE o.actor = a.actor AND o.not_before <= now())
    ORDER BY random() LIMIT $1
), due AS (
    SELECT d.id, d.bytes, row_number() OVER (PARTITION BY w.actor ORDER BY d.id) AS place
    FROM waiting w CROSS JOIN LATERAL (
        SELECT id, octet_length(body) AS bytes FROM outbox o WHERE o.actor = w.actor AND o.not_before <= now()
        ORDER BY o.not_before LIMIT least($2, $1 / (SELECT count(*) FROM waiting)) FOR UPDATE SKIP LOCKED
    ) d
), fitting AS (
    -- Each actor's first before any actor's second, as many as the bytes allow, at least one.
    SELECT id FROM (
        SELECT id, sum(bytes) OVER (ORDER BY place, id) AS reached, row_number() OVER (ORDER BY place, id) AS n FROM due
    ) s WHERE reached <= $4 OR n = 1
)
UPDATE outbox o SET not_before = now() + $3 * interval '1 second'
FROM fitting WHERE o.id = fitting.id
RETURNING o.id, o.task_id, o.actor, o.body
"""

# A server that crashes may forget a removal; then the envelope is published once more, as after a crash of ours.
_DELIVERED = f"""
WITH unhurried AS MATERIALIZED (SELECT {UNHURRIED})
DELETE FROM outbox USING unhurried WHERE id = ANY ($1::bigint[])
"""

_FAILED = """
UPDATE outbox o SET
    attempts = o.attempts + 1,
    last_error = f.reason,
    not_before = now() + least($3, 0.5 * power(2, least(o.attempts, 10))) * interval '1 second'
FROM unnest($1::bigint[], $2::text[]) AS f(id, reason) WHERE o.id = f.id
"""


class PostgresOutbox:
    """The rows behind the dispatcher; keeps the Outbox promise of the domain's ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, limit: int, per_actor: int, most_bytes: int = 2**26) -> list[OutboxEntry]:
        """Rows whose lease ran out, leased again to the caller, a fair share of each actor, no more bytes than asked
        for but for the first."""
        rows = await self._database.fetch(_TAKE, limit, per_actor, OUTBOX_LEASE, most_bytes)
        return [OutboxEntry(row["id"], row["task_id"], row["actor"], row["body"].encode()) for row in rows]

    async def delivered(self, ids: Sequence[int]) -> None:
        """Remove what was confirmed."""
        await self._database.execute(_DELIVERED, ids)

    async def failed(self, failures: Sequence[tuple[int, str]]) -> None:
        """Count the try, keep the reason, and wait longer before the next one."""
        ids = [id_ for id_, _ in failures]
        reasons = [reason[:500] for _, reason in failures]
        await self._database.execute(_FAILED, ids, reasons, LONGEST_BACKOFF)

    async def backlog(self) -> Backlog:
        """What waits now."""
        row = await self._database.fetchrow(
            "SELECT count(*) AS rows, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age"
            " FROM outbox"
        )
        assert row is not None
        return Backlog(row["rows"], row["age"])
