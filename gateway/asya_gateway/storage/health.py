"""Health values from the database, read with one statement every few seconds."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from asya_crds import jsontext
from asya_crds.naming import queue_name
from asya_gateway.storage.database import Database
from asya_gateway.storage.queues.first_row import FirstRow, last_id
from asya_transports.postgres.enqueue import ENQUEUE_TABLE
from asya_transports.postgres.sessions import probe

COUNTED_ROWS = 100_000
"""Most rows of the outbox that are counted. Counting a backlog of millions would make the overload worse."""
COUNTED_MESSAGES = 10_000
"""Most messages of one queue that are counted, for the same reason."""
PATIENCE = 5.0
"""Seconds after which the database is considered unavailable."""

# A session with an old snapshot keeps vacuum from removing dead rows. A role without pg_read_all_stats cannot see the
# times of other users' sessions, but it can see their xmin. A vacuum's own snapshot does not hold back others.
_VITALS = f"""
SELECT
    (SELECT count(*) FROM (SELECT 1 FROM outbox WHERE id >= oldest.id ORDER BY id LIMIT {COUNTED_ROWS}) AS o)
        AS outbox_rows,
    coalesce(extract(epoch FROM clock_timestamp() - oldest.created_at), 0)::float8 AS outbox_age,
    coalesce(oldest.id, {last_id("outbox")}, 0) AS outbox_id,
    pg_notification_queue_usage() AS notifications,
    snapshots.seconds, snapshots.transactions, {{queues}} AS queues
FROM (
    SELECT greatest(0, max(extract(epoch FROM clock_timestamp() - xact_start)))::float8 AS seconds,
           coalesce(max(age(backend_xmin)), 0) AS transactions
    FROM pg_stat_activity
    WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
      AND (datname = current_database() OR datname IS NULL) AND backend_type IS DISTINCT FROM 'autovacuum worker'
) AS snapshots
LEFT JOIN LATERAL (SELECT id, created_at FROM outbox WHERE id >= $1 ORDER BY id LIMIT 1) AS oldest ON true
"""

# Queues are found by skipping along the index, so that an undeclared one is included.
_QUEUES = f"""(
    WITH RECURSIVE held AS (
        (SELECT queue FROM {ENQUEUE_TABLE} WHERE queue >= $2 ORDER BY queue LIMIT 1)
        UNION ALL
        SELECT (SELECT m.queue FROM {ENQUEUE_TABLE} m WHERE m.queue > h.queue ORDER BY m.queue LIMIT 1)
        FROM held h WHERE h.queue IS NOT NULL
    ), known AS (
        SELECT queue FROM held WHERE starts_with(queue, $2) UNION SELECT name FROM queues WHERE starts_with(name, $2)
    )
    SELECT json_object_agg(substr(k.queue, length($2) + 1), (
        SELECT count(*) FROM (
            SELECT 1 FROM {ENQUEUE_TABLE} m WHERE m.queue = k.queue LIMIT {COUNTED_MESSAGES}
        ) AS found
    ))::text FROM known k
)"""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Ages in seconds. `notifications` is the used share of the notification queue, 0 to 1. `queues` is the number of
    messages in each actor's queue of the postgres transport, None with another transport."""

    outbox_rows: int
    outbox_age: float
    notifications: float
    snapshot_age: float
    snapshot_transactions: int
    queues: Mapping[str, int] | None


class VitalsReader:
    """Reads the values. `namespace` is None if the queues are not in this database."""

    def __init__(self, database: Database, namespace: str | None) -> None:
        self._database = database
        self._sql = _VITALS.format(queues="NULL::text" if namespace is None else _QUEUES)
        self._arguments = [] if namespace is None else [queue_name(namespace, "")]
        self._first = FirstRow()

    async def read(self) -> Vitals:
        """The current values. Raises Unavailable."""
        async with self._database.connection() as connection:
            async with asyncio.timeout(PATIENCE):
                # A read-only server would answer the statement below, but could store no call.
                await probe(connection)
            row = await connection.fetchrow(self._sql, self._first.id, *self._arguments, timeout=PATIENCE)
        assert row is not None
        self._first.found(row["outbox_id"])
        queues = None if not self._arguments else jsontext.loads(row["queues"] or "{}")
        return Vitals(
            outbox_rows=row["outbox_rows"],
            outbox_age=max(0.0, row["outbox_age"]),
            notifications=row["notifications"],
            snapshot_age=row["seconds"],
            snapshot_transactions=row["transactions"],
            queues=queues,
        )
