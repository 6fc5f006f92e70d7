"""Removes what is old: claims, updates, and at last whole tasks."""

import asyncio

from asya_gateway.storage.database import Database

RETIRE_EVERY = 300.0
HOPS_KEPT = 3_600.0
"""Seconds that claims outlive their task, for messages that are still on their way."""
CHUNK = 1_000

# The locked row lets one process at a time go on from where the last chunk ended.
_RETIRE_OF_TASKS = """
WITH place AS (
    SELECT finished_at, task_id FROM retention WHERE kind = $1 FOR UPDATE SKIP LOCKED
), old AS (
    SELECT t.id, t.finished_at FROM place p CROSS JOIN LATERAL (
        SELECT id, finished_at FROM tasks
        WHERE finished_at IS NOT NULL AND (finished_at, id) > (p.finished_at, p.task_id)
          AND finished_at < now() - $2 * interval '1 second'
        ORDER BY finished_at, id LIMIT $3
    ) t
), removed AS (
    DELETE FROM {table} WHERE task_id IN (SELECT id FROM old) RETURNING 1
), moved AS (
    UPDATE retention r SET finished_at = l.finished_at, task_id = l.id
    FROM (SELECT finished_at, id FROM old ORDER BY finished_at DESC, id DESC LIMIT 1) l WHERE r.kind = $1
)
SELECT (SELECT count(*) FROM old) AS tasks, (SELECT count(*) FROM removed) AS rows
"""

_RETIRE_TASKS = """
WITH old AS (
    SELECT id FROM tasks WHERE finished_at < now() - $1 * interval '1 second'
    ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
), bodies AS (DELETE FROM task_bodies WHERE task_id IN (SELECT id FROM old)),
   updates AS (DELETE FROM task_updates WHERE task_id IN (SELECT id FROM old)),
   hops AS (DELETE FROM task_hops WHERE task_id IN (SELECT id FROM old)),
   pauses AS (DELETE FROM task_pauses WHERE task_id IN (SELECT id FROM old)),
   calls AS (DELETE FROM call_keys WHERE task_id IN (SELECT id FROM old)),
   requests AS (DELETE FROM task_request_keys WHERE task_id IN (SELECT id FROM old)),
   retries AS (DELETE FROM task_retries WHERE task_id IN (SELECT id FROM old))
DELETE FROM tasks WHERE id IN (SELECT id FROM old)
"""

_BESIDE_TASKS = ("call_keys", "task_request_keys", "task_retries")
"""Tables that processes of an older version leave behind where they remove a task."""

_RETIRE_ORPHANED = """
WITH looked_at AS MATERIALIZED (
    SELECT task_id FROM {table} WHERE task_id > $1 ORDER BY task_id LIMIT $2
), gone AS MATERIALIZED (
    SELECT r.task_id FROM {table} r WHERE r.task_id IN (SELECT task_id FROM looked_at)
      AND NOT EXISTS (SELECT FROM tasks t WHERE t.id = r.task_id)
    ORDER BY r.task_id FOR UPDATE SKIP LOCKED
), removed AS (
    DELETE FROM {table} WHERE task_id IN (SELECT task_id FROM gone) RETURNING 1
)
SELECT (SELECT max(task_id) FROM looked_at) AS last, (SELECT count(*) FROM removed) AS rows
"""


class Retention:
    """Removes what is old, in chunks, so that no statement holds many rows for long."""

    def __init__(self, database: Database, *, tasks: float, updates: float) -> None:
        self._database = database
        self._tasks = tasks
        self._updates = updates

    async def retire(self) -> int:
        """Remove old claims, updates and tasks; returns how many rows of those three kinds went."""
        removed = await self._of_tasks("hops", "task_hops", HOPS_KEPT)
        removed += await self._of_tasks("updates", "task_updates", self._updates)
        removed += await self._whole_tasks()
        for table in _BESIDE_TASKS:
            await self._orphaned(table)
        return removed

    async def _orphaned(self, table: str) -> None:
        """Empty `table` of what belongs to no task, in the order of ids, whose time they carry: behind a chunk in
        which all tasks live there is nothing."""
        last = ""
        while True:
            row = await self._database.fetchrow(_RETIRE_ORPHANED.format(table=table), last, CHUNK)
            assert row is not None
            if not row["rows"]:
                return
            last = row["last"]
            await asyncio.sleep(0.05)

    async def _of_tasks(self, kind: str, table: str, age: float) -> int:
        """Empty `table` of what belongs to tasks that ended more than `age` seconds ago, from where it was left."""
        removed: int = 0
        while True:
            row = await self._database.fetchrow(_RETIRE_OF_TASKS.format(table=table), kind, age, CHUNK)
            assert row is not None
            removed += row["rows"]
            if row["tasks"] < CHUNK:
                return removed
            await asyncio.sleep(0.05)

    async def _whole_tasks(self) -> int:
        removed = 0
        while True:
            tag = await self._database.execute(_RETIRE_TASKS, self._tasks, CHUNK)
            count = int(tag.rsplit(" ", 1)[1])
            removed += count
            if count < CHUNK:
                return removed
            await asyncio.sleep(0.05)
