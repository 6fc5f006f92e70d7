"""The tables that hold rows beside a task, and how they are emptied: so many rows and bytes a statement."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.chunks import TOO_LONG, Chunk
from asya_gateway.storage.database import Database

ROWS = 5_000
"""Rows that one statement removes at most."""
BYTES_A_ROW = 6_400
"""Bytes that one statement removes at most, for each of its rows: 32 MB in all. What is large lies in pieces of 2 kB,
each of which is removed by itself."""
BETWEEN = 0.05
"""Seconds between two statements, which leave the database to others."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A table whose rows live as long as the task that `task_id` names, with an index that begins with it. `size`: SQL
    for the bytes of what may be large in a row `r`, as it is stored (nothing is unpacked to be measured)."""

    table: str
    size: str = "0"


BODIES = Beside("task_bodies", "pg_column_size(r.body)")
UPDATES = Beside("task_updates", "pg_column_size(r.detail)")
HOPS = Beside("task_hops", "coalesce(pg_column_size(r.frames), 0)")
PAUSES = Beside(
    "task_pauses",
    "pg_column_size(r.question) + coalesce(pg_column_size(r.checkpoint), 0) + coalesce(pg_column_size(r.answer), 0)",
)
ALL = (
    BODIES,
    UPDATES,
    HOPS,
    PAUSES,
    Beside("call_keys"),
    Beside("task_request_keys"),
    Beside("task_retries"),
    Beside("incomplete_finals"),
)
"""Every such table; a new one is one more entry."""

# Task by task, so that no more rows are found than may go; what another process holds is left to it. The first row goes
# whatever it weighs.
_REMOVE = """
WITH held AS MATERIALIZED (
    SELECT h.* FROM unnest($1::text[]) AS t(id) CROSS JOIN LATERAL (
        SELECT r.ctid AS place, {size} AS bytes FROM {table} r WHERE r.task_id = t.id LIMIT $2 FOR UPDATE SKIP LOCKED
    ) h LIMIT $2
), removed AS (
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT place FROM (SELECT place, sum(bytes) OVER (ORDER BY place) - bytes AS before FROM held) w
        WHERE before < $3
    )) RETURNING 1
)
SELECT (SELECT count(*) FROM held) AS held, (SELECT count(*) FROM removed) AS removed
"""

# From task to task by skipping along the index, however many rows each has.
_LEFT_BEHIND = """
WITH RECURSIVE ids AS (
    (SELECT task_id, 1 AS number FROM {table} WHERE task_id > $1 ORDER BY task_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.task_id FROM {table} r WHERE r.task_id > i.task_id ORDER BY r.task_id LIMIT 1), i.number + 1
    FROM ids i WHERE i.task_id IS NOT NULL AND i.number < $2
)
SELECT task_id, NOT EXISTS (SELECT FROM tasks t WHERE t.id = i.task_id) AS left_behind
FROM ids i WHERE task_id IS NOT NULL ORDER BY task_id
"""


class Remover:
    """Removes rows beside tasks; a statement that takes too long is tried again with half as much."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chunk = Chunk(ROWS)

    async def remove(self, beside: Beside, task_ids: Sequence[str]) -> int:
        """Remove all rows of these tasks; returns how many. Raises Unavailable."""
        removed: int = 0
        sql = _REMOVE.format(table=beside.table, size=beside.size)
        while True:
            size = self._chunk.size
            try:
                with self._chunk.judged():
                    row = await self._database.fetchrow(sql, task_ids, size, size * BYTES_A_ROW)
            except Unavailable as error:
                if size > 1 and isinstance(error.__cause__, TOO_LONG):
                    continue
                raise
            assert row is not None
            removed += row["removed"]
            if row["held"] < size and row["held"] == row["removed"]:
                return removed
            await asyncio.sleep(BETWEEN)

    async def left_behind(self, beside: Beside, after: str, limit: int) -> tuple[str, list[str]]:
        """Of the next so many tasks behind the id `after`, those that are gone; with the id to go on from, "" at the
        end. Raises Unavailable."""
        rows = await self._database.fetch(_LEFT_BEHIND.format(table=beside.table), after, limit)
        gone = [row["task_id"] for row in rows if row["left_behind"]]
        return rows[-1]["task_id"] if len(rows) == limit else "", gone
