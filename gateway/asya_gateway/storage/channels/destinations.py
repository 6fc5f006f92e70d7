"""Destinations in Postgres, as their owners see them."""

from collections.abc import Collection, Sequence
from typing import Any

import asyncpg

from asya_crds import jsontext
from asya_gateway.domain.destinations import MOST_PER_OWNER, MOST_PER_TASK, REVOKED, Destination, Put
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.database import AnyConnection, Database
from asya_gateway.storage.removing import in_chunks
from asya_gateway.storage.tasks.written import DESTINATION_COLUMNS

COLUMNS = """d.task_id, d.channel, d.name, d.owner, d.url, d.host, d.options::text AS options, d.sealed, d.revocables,
d.disabled_reason"""

NEARLY_ALL = MOST_PER_OWNER - 100
"""Destinations of an owner from which on its registrations wait for each other, so that no two take the last place.
(Those of new tasks are counted like open tasks: storage/tasks/aiming.py.)"""

# Registrations for one task wait for each other, and near the limit those of one owner. A statement sees what was
# committed before it began, so that a lock is a statement of its own.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('destinations:' || $1, 0))"
# A range, as in storage/tasks/aiming.py, so that the open ones of all are not read.
_COUNT = f"""
SELECT (SELECT count(*) FROM (
    SELECT FROM destinations WHERE task_id = $1 AND channel = $2 AND name <> $3 LIMIT {MOST_PER_TASK}
) t) AS of_task, (SELECT count(*) FROM (
    SELECT FROM unnest(ARRAY[$4::text]) AS o(owner) CROSS JOIN LATERAL (
        SELECT FROM destinations d
        WHERE d.owner BETWEEN o.owner AND o.owner AND NOT d.done AND d.disabled_reason IS NULL
          AND (d.task_id, d.channel, d.name) <> ($1, $2, $3)
        LIMIT {MOST_PER_OWNER}
    ) open
) o) AS of_owner
"""

# The one that is replaced goes on where it was, for whoever lets a disabled one live again. Its lease ends, so that
# nothing more is sent to the place that it was before.
_PUT = f"""
INSERT INTO destinations ({DESTINATION_COLUMNS}, status)
SELECT $1, $2, $3, $4, $5, $6, $7, $8::json, $9, t.delivered_seq, t.status FROM (
    SELECT last_seq - (finished_at IS NOT NULL)::integer AS delivered_seq,
           CASE WHEN finished_at IS NULL THEN status ELSE '' END AS status
    FROM tasks WHERE id = $1 AND owner = $4
) t
ON CONFLICT (task_id, channel, name) DO UPDATE SET
    revocables = excluded.revocables, url = excluded.url, host = excluded.host, options = excluded.options,
    sealed = excluded.sealed, attempts = 0, not_before = clock_timestamp(), failing_since = NULL,
    disabled_reason = NULL, leased_by = NULL, lease_until = NULL
WHERE destinations.owner = excluded.owner
RETURNING true
"""
_FIND = f"""
SELECT {COLUMNS} FROM destinations d WHERE d.task_id = $1 AND d.channel = $2 AND d.owner = $3 AND d.name = $4
"""
_PAGE = f"""
SELECT {COLUMNS} FROM destinations d
WHERE d.task_id = $1 AND d.channel = $2 AND d.owner = $3 AND d.name > $4 ORDER BY d.name LIMIT $5
"""
_REMOVE = "DELETE FROM destinations WHERE task_id = $1 AND channel = $2 AND owner = $3 AND name = $4"
# The condition of destinations_by_revocable.
_REVOCABLE = "CASE WHEN done OR disabled_reason IS NOT NULL OR revocables = '{}' THEN false ELSE true END"
# In the order of keys, as every writer of several rows locks them. It returns what it has found, not what it has
# changed: every replica does this, and one that has waited for another's rows must still look for the next ones.
_DISABLE_OF = f"""
WITH found AS MATERIALIZED (
    SELECT task_id, channel, name FROM destinations WHERE revocables && $1 AND {_REVOCABLE} LIMIT $3
), ended AS MATERIALIZED (
    SELECT d.task_id, d.channel, d.name FROM (SELECT * FROM found ORDER BY task_id, channel, name) f
    CROSS JOIN LATERAL (
        SELECT * FROM destinations o
        WHERE o.task_id = f.task_id AND o.channel = f.channel AND o.name = f.name OFFSET 0 FOR UPDATE
    ) d WHERE NOT d.done AND d.disabled_reason IS NULL
), disabled AS (
    UPDATE destinations d SET disabled_reason = $2, leased_by = NULL, lease_until = NULL
    FROM ended e WHERE d.task_id = e.task_id AND d.channel = e.channel AND d.name = e.name
)
SELECT FROM found
"""


class PostgresDestinations:
    """Implements the domain's Destinations."""

    def __init__(self, database: Database, announcing: DestinationAnnouncements) -> None:
        self._database = database
        self._announcing = announcing

    async def put(self, destination: Destination) -> Put:
        async with self._database.connection() as connection, connection.transaction():
            outcome = await _put(connection, destination)
        if outcome is Put.STORED:
            self._announcing.tell(destination.task_id)
        return outcome

    def begun(self, task_id: str) -> None:
        self._announcing.tell(task_id)

    async def find(self, task_id: str, channel: str, owner: str, name: str) -> Destination | None:
        row = await self._database.fetchrow(_FIND, task_id, channel, owner, name)
        return None if row is None else destination_of(row)

    async def page(self, task_id: str, channel: str, owner: str, after: str, most: int) -> Sequence[Destination]:
        rows = await self._database.fetch(_PAGE, task_id, channel, owner, after, most)
        return [destination_of(row) for row in rows]

    async def remove(self, task_id: str, channel: str, owner: str, name: str) -> None:
        await self._database.execute(_REMOVE, task_id, channel, owner, name)

    async def disable_of(self, subjects: Collection[str]) -> None:
        await in_chunks(self._database.hot, _DISABLE_OF, sorted(set(subjects)), REVOKED)


def _values(new: Destination) -> tuple[Any, ...]:
    options = jsontext.dumps(dict(new.options))
    names = (new.task_id, new.channel, new.name, new.owner)
    return (*names, sorted(new.revocables), new.url, new.host, options, new.sealed)


async def _put(connection: AnyConnection, new: Destination) -> Put:
    counted = await _counted(connection, new, f"task:{new.task_id}")
    if counted["of_owner"] >= NEARLY_ALL:
        counted = await _counted(connection, new, f"owner:{new.owner}")
    if counted["of_task"] >= MOST_PER_TASK:
        return Put.TASK_FULL
    if counted["of_owner"] >= MOST_PER_OWNER:
        return Put.OWNER_FULL
    return Put.STORED if await connection.fetchval(_PUT, *_values(new)) else Put.NO_TASK


async def _counted(connection: AnyConnection, new: Destination, lock: str) -> asyncpg.Record:
    await connection.execute(_LOCK, lock)
    counted = await connection.fetchrow(_COUNT, new.task_id, new.channel, new.name, new.owner)
    assert counted is not None
    return counted


def destination_of(row: Any) -> Destination:
    """A destination from a row of COLUMNS."""
    return Destination(
        task_id=row["task_id"],
        channel=row["channel"],
        name=row["name"],
        owner=row["owner"],
        url=row["url"],
        host=row["host"],
        options=jsontext.loads(row["options"]),
        sealed=row["sealed"],
        revocables=frozenset(row["revocables"]),
        disabled_reason=row["disabled_reason"],
    )
