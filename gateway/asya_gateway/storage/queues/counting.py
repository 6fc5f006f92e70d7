"""Counts the messages that wait for each actor, and no more of them than were asked for."""

from typing import Protocol

from asya_crds.naming import queue_name
from asya_gateway.domain.backlog import Counted
from asya_gateway.storage.database import Database
from asya_gateway.storage.queues.first_row import FirstRow, last_id
from asya_transports.postgres.enqueue import ENQUEUE_TABLE, not_declared

UNDECLARED_AFTER = 15.0
"""Seconds that a message waits in an undeclared queue until the queue counts as missing: a worker that has just been
deployed declares its own. By then the row is visible to everybody, since no statement delays a commit for longer."""

# Both read by primary key, from the oldest row on, and once for all actors. A count for each actor would read as many
# rows, and as many removed ones for each.
_OUTBOX = f"""
SELECT s.last_id, o.*
FROM (SELECT coalesce({last_id("outbox")}, 0) AS last_id) s
LEFT JOIN (
    SELECT actor, count(*) AS messages, count(unroutable) AS unroutable, max(unroutable) AS reason, min(id) AS oldest
    FROM (SELECT id, actor, unroutable FROM outbox WHERE id >= $1 ORDER BY id LIMIT $2) waiting GROUP BY actor
) o ON true
"""

# All queues are grouped before those of the namespace are taken: a plan that takes them first expects a few rows, and
# sorts a hundred thousand of them on disk.
_QUEUES = f"""
SELECT s.last_id, m.oldest, m.messages, substr(m.queue, length($3) + 1) AS actor,
       CASE WHEN q.name IS NULL THEN m.late ELSE 0 END AS unroutable
FROM (
    SELECT coalesce({last_id(ENQUEUE_TABLE)}, 0) AS last_id
) s
LEFT JOIN (
    SELECT queue, count(*) AS messages, min(id) AS oldest, count(*) FILTER (WHERE late) AS late
    FROM (
        SELECT id, queue, ready_at <= (SELECT now() - $4 * interval '1 second') AS late
        FROM {ENQUEUE_TABLE} WHERE id >= $1 ORDER BY id LIMIT $2
    ) waiting GROUP BY queue OFFSET 0
) m ON starts_with(m.queue, $3)
LEFT JOIN queues q ON q.name = m.queue
"""


class Counting(Protocol):
    """Counts the messages of each actor."""

    async def count(self, most: int) -> list[Counted]:
        """The oldest messages, at most `most` in all, by actor. Raises Unavailable."""


class OutboxCounting:
    """Counts envelopes that the queue system has not confirmed."""

    def __init__(self, database: Database) -> None:
        self._hot = database.hot
        self._first = FirstRow()

    async def count(self, most: int) -> list[Counted]:
        """The oldest envelopes, at most `most` in all, by actor. Raises Unavailable."""
        rows = await self._hot.fetch(_OUTBOX, self._first.id, most)
        found = [row for row in rows if row["oldest"] is not None]
        self._first.found(min((row["oldest"] for row in found), default=rows[0]["last_id"]))
        return [Counted(row["actor"], row["messages"], row["unroutable"], row["reason"]) for row in found]


class QueueCounting:
    """Counts the messages in a namespace's queues in this database, including those that workers hold."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._hot = database.hot
        self._prefix = queue_name(namespace, "")
        self._first = FirstRow()

    async def count(self, most: int) -> list[Counted]:
        """The oldest messages, at most `most` in all, by actor. Raises Unavailable."""
        rows = await self._hot.fetch(_QUEUES, self._first.id, most, self._prefix, UNDECLARED_AFTER)
        found = [row for row in rows if row["oldest"] is not None]
        self._first.found(min((row["oldest"] for row in found), default=rows[0]["last_id"]))
        return [
            Counted(row["actor"], row["messages"], row["unroutable"], not_declared(self._prefix + row["actor"]))
            for row in found
        ]
