"""Envelopes that wait for the queue system's confirmation. No transaction is open during requests to the broker."""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.log import waits_for_queue
from asya_gateway.domain.ports import OutboxEntry, Refused
from asya_gateway.storage.chunks import TOO_LONG
from asya_gateway.storage.database import UNHURRIED, Database
from asya_gateway.storage.queues.first_row import last_id
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE
from asya_gateway.storage.tasks.noting import Notes

log = logging.getLogger(__name__)

LONGEST_BACKOFF = 60.0
"""Most seconds between two attempts for an envelope that the queue system keeps refusing."""
BACKOFF_OF_HOPS = 1.0
"""The same for one that a hop sent, so that it fails when its time has come."""

MARGIN = 15.0
"""Seconds that a place stays behind the rows that it has passed. A row becomes visible when its transaction ends, which
no statement may delay for longer."""
ALL_OVER_EVERY = 60.0
"""Seconds after which the whole table is searched again, regardless of the places."""
FORGOTTEN_AFTER = 600.0
"""Seconds without a due row after which an actor is forgotten: many times the longest backoff."""
BLOCKS = 1_000
"""Blocks of the table (8 kB each) that one poll searches, until the whole table has been searched."""
RECOVERED = 10_000
"""Most rows of an actor that are made due at a time when its queue accepts messages again."""
LONGEST_REASON = 500
"""Characters of a reason that are kept."""
_MOMENT = timedelta(microseconds=1)
NEWEST = 2_000
"""Most rows since the last poll that are searched for new actors."""

# By block of the table, because an index may have any number of removed rows before the next live entry. It finds only
# rows that a poll from the places does not see.
_PASSED = """
SELECT o.actor, min(o.not_before) AS oldest
FROM (SELECT actor, not_before FROM outbox WHERE ctid >= $1::tid AND ctid < $2::tid OFFSET 0) o
LEFT JOIN unnest($3::text[], $4::timestamptz[]) AS p(actor, place) USING (actor)
WHERE o.not_before <= now() AND (p.place IS NULL OR o.not_before <= p.place)
GROUP BY o.actor
"""

_NOW = f"""
SELECT now() AS at, coalesce({last_id("outbox")}, 0) AS last_id,
       pg_relation_size('outbox') / current_setting('block_size')::bigint AS blocks
"""

# With stale statistics, a range of ids with two ends still uses the index; one with a single end reads the table.
_NEWEST = """
SELECT DISTINCT actor FROM (SELECT actor FROM outbox WHERE id > $1 AND id <= $3 ORDER BY id DESC LIMIT $2) newest
"""

# Actors with due rows share the rows that are taken, so that dead queues, however many, do not starve the others. If
# there are more actors than rows to take, the choice is random. An actor's rows are searched from its place on: rows
# below were removed, and if an old snapshot keeps vacuum from clearing them, a million of them take a second.
_TAKE = """
WITH waiting AS MATERIALIZED (
    SELECT a.actor, a.place FROM unnest($4::text[], $5::timestamptz[]) AS a(actor, place)
    WHERE (SELECT true FROM outbox o WHERE o.actor = a.actor AND o.not_before > a.place AND o.not_before <= now()
           ORDER BY o.not_before LIMIT 1)
    ORDER BY random() LIMIT $1
), due AS (
    SELECT d.id, d.not_before, d.bytes, row_number() OVER (PARTITION BY w.actor ORDER BY d.not_before, d.id) AS turn
    FROM waiting w CROSS JOIN LATERAL (
        SELECT id, not_before, octet_length(body) AS bytes FROM outbox o
        WHERE o.actor = w.actor AND o.not_before > w.place AND o.not_before <= now()
        ORDER BY o.not_before LIMIT least($2, $1 / (SELECT count(*) FROM waiting)) FOR UPDATE SKIP LOCKED
    ) d
), fitting AS (
    -- Each actor's first before any actor's second, as many as the bytes allow, at least one.
    SELECT id FROM (
        SELECT id, sum(bytes) OVER (ORDER BY turn, id) AS reached, row_number() OVER (ORDER BY turn, id) AS n FROM due
    ) s WHERE reached <= $6 OR n = 1
), taken AS (
    UPDATE outbox SET not_before = now() + $3 * interval '1 second' WHERE id = ANY (ARRAY(SELECT id FROM fitting))
    RETURNING id, task_id, actor, body, sump, coalesce(unroutable_at <= now(), false) AS overdue, unroutable
)
SELECT taken.*, due.not_before AS due_at, least($2, $1 / (SELECT count(*) FROM waiting)) AS share,
       (SELECT count(*) FROM due) > (SELECT count(*) FROM fitting) AS cut
FROM taken JOIN due USING (id)
"""

# A server that crashes may lose a removal. The envelope is then published again, as after a crash of a gateway.
_DELIVERED = f"""
WITH unhurried AS MATERIALIZED (SELECT {UNHURRIED})
DELETE FROM outbox USING unhurried WHERE id = ANY ($1::bigint[])
"""

_FAILED = """
UPDATE outbox o SET
    attempts = o.attempts + 1,
    last_error = f.reason,
    unroutable = coalesce(f.unroutable, o.unroutable),
    not_before = now() + interval '1 second' * least(
        CASE WHEN o.unroutable_at IS NULL THEN $3::float8 ELSE $4::float8 END, 0.5 * power(2, least(o.attempts, 10)))
FROM unnest($1::bigint[], $2::text[], $5::text[]) AS f(id, reason, unroutable) WHERE o.id = ANY ($1) AND o.id = f.id
"""

# Rows that wait for longer than a lease are nobody's. Each is due after the one before it, so that they are taken
# oldest first, whatever the number of their attempts.
_RECOVER = f"""
WITH waiting AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY id) AS turn FROM (
        SELECT id FROM outbox WHERE actor = $1 AND not_before > now() + {OUTBOX_LEASE} * interval '1 second'
          AND attempts > 0 ORDER BY id LIMIT $2
    ) o
)
UPDATE outbox o SET not_before = now() + w.turn * interval '1 microsecond'
FROM waiting w WHERE o.id = ANY (ARRAY(SELECT id FROM waiting)) AND o.id = w.id AND o.not_before > now()
RETURNING o.id
"""

# A new row, because a poll finds new actors by the ids of new rows.
_REPLACE = """
WITH gone AS (DELETE FROM outbox WHERE id = $1 RETURNING task_id, created_at)
INSERT INTO outbox (task_id, actor, body, not_before, created_at, sump, last_error)
SELECT task_id, $2, $3, now(), created_at, $4, $5 FROM gone
"""


class PostgresOutbox:
    """The rows behind the dispatcher; implements the domain's Outbox. For each actor it remembers a place: the time up
    to which all due rows were taken. A poll searches from there on. In addition, each poll searches a bounded part of
    the table for due rows below the places. `note` appends to the logs of tasks; without it they are not told of
    missing queues."""

    def __init__(self, database: Database, note: Callable[[Notes], Awaitable[object]] | None = None) -> None:
        self._database = database
        self._note = note
        self._hot = database.hot
        self._places: dict[str, datetime] = {}
        self._used: dict[str, float] = {}
        """When each of these actors last had due rows."""
        self._seen: tuple[int, int] | None = None
        """The highest ids of rows at the last two polls."""
        self._block = 0
        """The block of the table at which the next search begins."""
        self._all_over_at = 0.0

    async def take(self, limit: int, per_actor: int, most_bytes: int = 2**26) -> list[OutboxEntry]:
        """Lease rows whose lease has run out: a fair share of each actor, at most `most_bytes` except that the first
        row is always taken. Calls must not overlap within a process."""
        now = await self._database.fetchrow(_NOW)
        assert now is not None
        await self._learn_of_new_actors(now["at"], now["last_id"])
        if time.monotonic() >= self._all_over_at:
            await self._look_through(now["blocks"])
        return await self._take_at(now["at"], limit, per_actor, most_bytes)

    async def _learn_of_new_actors(self, at: datetime, last_id: int) -> None:
        """Find new actors among the rows since the poll before the last one. The first rows of a new actor cannot be
        old."""
        first, second = self._seen or (max(0, last_id - NEWEST), last_id)
        for row in await self._database.fetch(_NEWEST, first, NEWEST, last_id):
            self._places.setdefault(row["actor"], at - timedelta(seconds=ALL_OVER_EVERY + MARGIN))
            self._used[row["actor"]] = time.monotonic()
        self._seen = (second, last_id)

    async def _look_through(self, blocks: int) -> None:
        """Search a part of the table for rows that were due before this process began, or that another process locked
        but did not take. The places move back to them."""
        until = self._block + BLOCKS
        try:
            rows = await self._database.fetch(
                _PASSED, (self._block, 0), (until, 0), list(self._places), list(self._places.values())
            )
        except Unavailable as error:
            if not isinstance(error.__cause__, TOO_LONG):
                raise
            log.warning("a part of the outbox could not be searched, its old rows wait: %s", error.__cause__)
            rows = []
        for row in rows:
            self._places[row["actor"]] = row["oldest"] - _MOMENT
            self._used[row["actor"]] = time.monotonic()
        self._block = until
        if until >= blocks:
            self._block, self._all_over_at = 0, time.monotonic() + ALL_OVER_EVERY
            self._forget(time.monotonic() - FORGOTTEN_AFTER)

    def _forget(self, unused_since: float) -> None:
        """Forget actors without due rows. An actor that returns is found again."""
        for actor in [actor for actor, at in self._used.items() if at < unused_since]:
            del self._used[actor], self._places[actor]

    async def _take_at(self, at: datetime, limit: int, per_actor: int, most_bytes: int) -> list[OutboxEntry]:
        actors = list(self._places)
        rows = await self._hot.fetch(
            _TAKE, limit, per_actor, OUTBOX_LEASE, actors, [self._places[actor] for actor in actors], most_bytes
        )
        self._move_on(at, rows, all_asked=len(actors) <= limit)
        return [
            OutboxEntry(
                row["id"],
                row["task_id"],
                row["actor"],
                row["body"].encode(),
                row["sump"],
                row["overdue"],
                row["unroutable"],
            )
            for row in rows
        ]

    def _move_on(self, at: datetime, rows: Sequence[Any], *, all_asked: bool) -> None:
        """Advance the places. Rows are taken in the order of time, so all rows below an actor's last one are taken too,
        or are locked by the process that takes them. An actor with fewer rows than its share, or with none although it
        was searched, has no due rows left."""
        taken = Counter(row["actor"] for row in rows)
        # If the limit of bytes was reached, every actor may have more.
        cut = bool(rows) and rows[0]["cut"]
        reached = {actor: at for actor in self._places if all_asked and not cut and actor not in taken}
        for row in rows:
            actor = row["actor"]
            more = cut or taken[actor] >= row["share"]
            reached[actor] = max(row["due_at"], reached.get(actor, row["due_at"])) if more else at
        self._used.update(dict.fromkeys(taken, time.monotonic()))
        for actor, until in reached.items():
            self._places[actor] = max(self._places[actor], until - timedelta(seconds=MARGIN))

    async def delivered(self, ids: Sequence[int]) -> None:
        """Remove confirmed rows."""
        await self._hot.execute(_DELIVERED, ids)

    async def failed(self, failures: Sequence[Refused]) -> None:
        """Record the attempt and the reason, and wait longer before the next attempt. If a queue is missing, the log of
        the task gets the reason, once for each. Tasks are told first, so that a crash in between tells none twice: the
        note of the next attempt is already the last entry of the log."""
        ids = [each.entry.id for each in failures]
        reasons = [each.reason[:LONGEST_REASON] for each in failures]
        missing = [reason if each.unroutable else None for each, reason in zip(failures, reasons, strict=True)]
        notes = {
            each.entry.task_id: waits_for_queue(each.entry.actor, reason)
            for each, reason in zip(failures, missing, strict=True)
            if reason is not None and reason != each.entry.told
        }
        if notes and self._note is not None:
            await self._note(notes)
        await self._hot.execute(_FAILED, ids, reasons, LONGEST_BACKOFF, BACKOFF_OF_HOPS, missing)

    async def recover(self, actor: str) -> bool:
        """Make rows due that wait for another attempt at this actor's queue, oldest first. Returns whether all are."""
        return len(await self._hot.fetch(_RECOVER, actor, RECOVERED)) < RECOVERED

    async def replace(self, entry: OutboxEntry, reason: str) -> None:
        """Put this envelope in the place of the row with its id, due at once. It waits for its queue without end."""
        await self._database.execute(_REPLACE, entry.id, entry.actor, entry.body.decode(), entry.sump, reason[:500])
