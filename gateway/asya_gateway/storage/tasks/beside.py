"""The tables with rows for a task, and how these rows are removed, with a limit of rows and bytes for each
statement."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.ids import ids_since
from asya_gateway.storage.chunks import TOO_LONG, Chunk
from asya_gateway.storage.database import Database
from asya_gateway.storage.removing import BETWEEN

ROWS = 5_000
"""Most rows that one statement removes."""
YOUNG = 600.0
"""Seconds within which a row may be older than its task: far more than a call takes, and clocks differ."""
BYTES_A_ROW = 6_400
"""Most bytes that one statement removes, per row of its limit: 32 MB in all. Large values are stored in pieces of 2 kB,
each of which is removed separately."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A table whose rows live as long as the task in their column `task_id`, with an index that begins with this
    column. `size`: SQL for the stored bytes of the columns of a row `r` that may be large (values are not decompressed
    to measure them). `needed`: SQL for whether the rows of a task `t` that exists may still be used."""

    table: str
    size: str = "0"
    needed: str = "true"


BODIES = Beside("task_bodies", "pg_column_size(r.body)")
UPDATES = Beside("task_updates", "pg_column_size(r.detail)")
HOPS = Beside("task_hops", "coalesce(pg_column_size(r.frames), 0)")
PAUSES = Beside(
    "task_pauses",
    "pg_column_size(r.question) + coalesce(pg_column_size(r.checkpoint), 0) + coalesce(pg_column_size(r.answer), 0)",
)
INPUTS = Beside("task_inputs", "coalesce(pg_column_size(r.answer), 0)")
# Those of a worker that died are used no more when another has taken the hop over, or its task has ended.
PARTS = Beside(
    "hop_parts",
    "pg_column_size(r.body)",
    """t.finished_at IS NULL AND EXISTS (
        SELECT FROM task_hops h WHERE h.task_id = t.id AND h.state <> 'completed' AND EXISTS (
            SELECT FROM hop_parts p WHERE p.task_id = h.task_id AND p.hop = h.hop AND p.claimant = h.claimant
        )
    )""",
)
ALL = (
    BODIES,
    UPDATES,
    HOPS,
    PAUSES,
    INPUTS,
    Beside("call_keys"),
    Beside("task_request_keys"),
    Beside("task_retries"),
    Beside("incomplete_finals"),
    PARTS,
    Beside("a2a_messages", "pg_column_size(r.message)"),
    Beside("a2a_tasks"),
    Beside("destinations"),
)
"""All such tables. Add new ones here."""

# Task by task, so that no more rows are read than may be removed. Rows locked by another process are skipped. The first
# row is removed whatever its size.
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

# Skips along the index from task to task, however many rows each has. What is stored before its task (conversations,
# destinations) is not left behind while its id is young.
_LEFT_BEHIND = """
WITH RECURSIVE ids AS (
    (SELECT task_id, 1 AS number FROM {table} WHERE task_id > $1 ORDER BY task_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.task_id FROM {table} r WHERE r.task_id > i.task_id ORDER BY r.task_id LIMIT 1), i.number + 1
    FROM ids i WHERE i.task_id IS NOT NULL AND i.number < $2
)
SELECT task_id, NOT EXISTS (SELECT FROM tasks t WHERE t.id = i.task_id AND {needed})
    AND NOT (i.task_id >= $3 AND i.task_id ~ '^[0-9a-f]{{8}}-[0-9a-f]{{4}}-7') AS left_behind
FROM ids i WHERE task_id IS NOT NULL ORDER BY task_id
"""


class Remover:
    """Removes the rows of tasks. A statement that takes too long is retried with half the rows."""

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
        """Of the next `limit` task ids after `after`, those whose task is gone or needs its rows no longer; with the id
        to continue from, "" at the end. Raises Unavailable."""
        sql = _LEFT_BEHIND.format(table=beside.table, needed=beside.needed)
        rows = await self._database.fetch(sql, after, limit, ids_since(YOUNG))
        gone = [row["task_id"] for row in rows if row["left_behind"]]
        return rows[-1]["task_id"] if len(rows) == limit else "", gone
