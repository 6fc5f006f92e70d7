"""Envelopes that wait for the queue system's confirmation. No transaction is open while the broker is spoken to."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.ports import Backlog, OutboxEntry
from asya_gateway.storage.chunks import TOO_LONG
from asya_gateway.storage.database import UNHURRIED, Database
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE

log = logging.getLogger(__name__)

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

LONGEST_BACKOFF = 60.0
"""Seconds between two tries of an envelope that the queue system keeps refusing."""

MARGIN = 15.0
"""Seconds that a place stays behind the rows that it has passed: a row becomes visible when its transaction ends, which
no statement may delay for longer."""
ALL_OVER_EVERY = 60.0
"""Seconds after which everything is looked through again, whatever the places say."""
ALL_OVER_RESTS = 100
"""And at least so many times as long as that took the last time."""
NEWEST = 2_000
"""Of the rows that came since the last poll, so many are looked at for actors that are new."""

# Each actor with rows is visited once by skipping along the index, so a backlog of a million rows costs no more than
# its number of actors.
_ACTORS = """
WITH RECURSIVE actors AS (
    (SELECT actor FROM outbox ORDER BY actor LIMIT 1)
    UNION ALL
    SELECT (SELECT o.actor FROM outbox o WHERE o.actor > a.actor ORDER BY o.actor LIMIT 1)
    FROM actors a WHERE a.actor IS NOT NULL
)
SELECT actor FROM actors WHERE actor IS NOT NULL
"""

_NOW = """
SELECT now() AS at, coalesce(pg_sequence_last_value(pg_get_serial_sequence('outbox', 'id')::regclass), 0) AS last_id
"""

_NEWEST = "SELECT DISTINCT actor FROM (SELECT actor FROM outbox WHERE id > $1 ORDER BY id DESC LIMIT $2) newest"

# Actors with due rows share what is taken, so that dead queues, however many, starve nobody; where there are more of
# them than rows may be taken, chance decides who comes first. An actor's rows are looked for from its place on: what is
# below was removed, and where an old snapshot keeps vacuum from clearing it, a million such rows take a second.
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
    RETURNING id, task_id, actor, body
)
SELECT taken.*, due.not_before AS due_at, least($2, $1 / (SELECT count(*) FROM waiting)) AS share,
       (SELECT count(*) FROM due) > (SELECT count(*) FROM fitting) AS cut
FROM taken JOIN due USING (id)
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
    """The rows behind the dispatcher; keeps the Outbox promise of the domain's ports. For each actor it remembers up to
    when all due rows were taken, and looks from there on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[str, datetime] = {}
        self._seen: tuple[int, int] | None = None
        """The ids up to which rows had been made at the last two polls."""
        self._all_over_at = 0.0

    async def take(self, limit: int, per_actor: int, most_bytes: int = 2**26) -> list[OutboxEntry]:
        """Rows whose lease ran out, leased again to the caller, a fair share of each actor, no more bytes than asked
        for but for the first. Within a process, calls follow one another."""
        now = time.monotonic()
        if now >= self._all_over_at:
            try:
                return await self._take_all_over(limit, per_actor, most_bytes)
            except Unavailable as error:
                if not isinstance(error.__cause__, TOO_LONG):
                    raise
                log.warning("the outbox could not be searched, old rows wait: %s", error.__cause__)
            finally:
                took = time.monotonic() - now
                self._all_over_at = now + max(ALL_OVER_EVERY, ALL_OVER_RESTS * took)
        return await self._take_from_places(limit, per_actor, most_bytes)

    async def _take_all_over(self, limit: int, per_actor: int, most_bytes: int) -> list[OutboxEntry]:
        """Forget the places: finds what another process locked and then did not take, and who has rows at all."""
        at, last_id = await self._now()
        actors = [row["actor"] for row in await self._database.fetch(_ACTORS)]
        self._places = dict.fromkeys(actors, _BEGINNING)
        self._seen = (max(0, last_id - NEWEST), last_id)
        return await self._take_at(at, limit, per_actor, most_bytes)

    async def _take_from_places(self, limit: int, per_actor: int, most_bytes: int) -> list[OutboxEntry]:
        """Learns of new actors, whose first rows cannot be old, from what came since the poll before the last one."""
        at, last_id = await self._now()
        first, second = self._seen or (max(0, last_id - NEWEST), last_id)
        for row in await self._database.fetch(_NEWEST, first, NEWEST):
            self._places.setdefault(row["actor"], at - timedelta(seconds=ALL_OVER_EVERY + MARGIN))
        self._seen = (second, last_id)
        return await self._take_at(at, limit, per_actor, most_bytes)

    async def _now(self) -> tuple[datetime, int]:
        """The database's time, and the last id that was given away."""
        row = await self._database.fetchrow(_NOW)
        assert row is not None
        return row["at"], row["last_id"]

    async def _take_at(self, at: datetime, limit: int, per_actor: int, most_bytes: int) -> list[OutboxEntry]:
        actors = list(self._places)
        rows = await self._database.fetch(
            _TAKE, limit, per_actor, OUTBOX_LEASE, actors, [self._places[actor] for actor in actors], most_bytes
        )
        self._move_on(at, rows, all_asked=len(actors) <= limit)
        return [OutboxEntry(row["id"], row["task_id"], row["actor"], row["body"].encode()) for row in rows]

    def _move_on(self, at: datetime, rows: Sequence[Any], *, all_asked: bool) -> None:
        """Rows are taken in the order of time, so what is below an actor's last one is taken, too, or locked by who
        takes it; and who had less than his share, or nothing though he was asked, has nothing left."""
        taken = Counter(row["actor"] for row in rows)
        # Where the bytes were too many, everybody may have more.
        cut = bool(rows) and rows[0]["cut"]
        reached = {actor: at for actor in self._places if all_asked and not cut and actor not in taken}
        for row in rows:
            actor = row["actor"]
            more = cut or taken[actor] >= row["share"]
            reached[actor] = max(row["due_at"], reached.get(actor, _BEGINNING)) if more else at
        for actor, until in reached.items():
            self._places[actor] = max(self._places[actor], until - timedelta(seconds=MARGIN))

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
