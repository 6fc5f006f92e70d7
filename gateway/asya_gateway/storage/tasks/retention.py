"""Removes old data: claims, updates, and finally whole tasks with their rows in other tables."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from asya_gateway.storage.chunks import CHUNK
from asya_gateway.storage.database import Database
from asya_gateway.storage.removing import BETWEEN
from asya_gateway.storage.tasks.beside import ALL, HOPS, UPDATES, Beside, Remover

RETIRE_EVERY = 300.0
HOPS_KEPT = 3_600.0
"""Seconds that claims are kept after their task has ended, for messages that are still in transit."""
PAGES_A_TURN = 20
"""Chunks of each table that one turn searches for rows whose task is gone. The next turn continues from there."""

# In the order of the index that has ended tasks by time. In the order of ids, with stale statistics, the planner might
# walk the primary key past every task that stays.
_ENDED = """
SELECT id, finished_at FROM tasks
WHERE finished_at IS NOT NULL AND finished_at < now() - $1 * interval '1 second' AND (finished_at, id) > ($2, $3)
ORDER BY finished_at, id LIMIT $4
"""

_REMOVE_TASKS = """
WITH old AS MATERIALIZED (
    SELECT id FROM tasks WHERE id = ANY ($1) AND finished_at IS NOT NULL ORDER BY id FOR UPDATE SKIP LOCKED
)
DELETE FROM tasks WHERE id = ANY (ARRAY(SELECT id FROM old))
"""

_PLACE = "SELECT greatest(finished_at, to_timestamp(0)) AS finished_at, task_id FROM retention WHERE kind = $1"

_MOVE = """
INSERT INTO retention (kind, finished_at, task_id) VALUES ($1, $2, $3)
ON CONFLICT (kind) DO UPDATE SET finished_at = excluded.finished_at, task_id = excluded.task_id
"""

Place = tuple[datetime, str]
BEGINNING: Place = (datetime(1970, 1, 1, tzinfo=UTC), "")


class Retention:
    """Removes old data in chunks, so that no statement locks many rows for long. Several processes may do this at the
    same time; each skips rows that another has locked."""

    def __init__(self, database: Database, *, tasks: float, updates: float) -> None:
        self._database = database
        self._tasks = tasks
        self._updates = updates
        self._remover = Remover(database)

    async def retire(self, *, walks: bool = True) -> int:
        """Remove old claims, updates and tasks; returns how many. With `walks`, also look through a part of every
        table for rows that nothing uses, whose cost does not depend on what is found."""
        removed = await self._of_tasks("hops", (HOPS,), HOPS_KEPT)
        removed += await self._of_tasks("updates", (UPDATES,), self._updates)
        removed += await self._whole_tasks()
        for beside in ALL if walks else ():
            await self._left_behind(beside)
        return removed

    async def _of_tasks(self, kind: str, tables: Sequence[Beside], age: float) -> int:
        """Remove the rows of tasks that ended more than `age` seconds ago, continuing from the stored position."""
        removed = 0
        place = await self._place(kind)
        while page := await self._ended(age, place):
            for beside in tables:
                removed += await self._remover.remove(beside, [row["id"] for row in page])
            place = (page[-1]["finished_at"], page[-1]["id"])
            await self._database.execute(_MOVE, kind, *place)
            if len(page) < CHUNK:
                break
            await asyncio.sleep(BETWEEN)
        return removed

    async def _whole_tasks(self) -> int:
        """Remove whole tasks. Rows in other tables are removed first, so an interrupted turn leaves none behind."""
        removed = 0
        place: Place = BEGINNING
        while page := await self._ended(self._tasks, place):
            ids = [row["id"] for row in page]
            for beside in ALL:
                await self._remover.remove(beside, ids)
            tag = await self._database.execute(_REMOVE_TASKS, ids)
            removed += int(tag.rsplit(" ", 1)[1])
            place = (page[-1]["finished_at"], page[-1]["id"])
            if len(page) < CHUNK:
                break
            await asyncio.sleep(BETWEEN)
        return removed

    async def _left_behind(self, beside: Beside) -> None:
        """Remove rows whose task is gone, because processes of an older version do not know every table, and those that
        their task needs no longer. A turn searches a part of the table; the next one, in any process, continues."""
        kind = f"gone {beside.table}"
        after = (await self._place(kind))[1]
        for _ in range(PAGES_A_TURN):
            after, gone = await self._remover.left_behind(beside, after, CHUNK)
            if gone:
                await self._remover.remove(beside, gone)
            await self._database.execute(_MOVE, kind, BEGINNING[0], after)
            if not after:
                break
            await asyncio.sleep(BETWEEN)

    async def _place(self, kind: str) -> Place:
        row = await self._database.fetchrow(_PLACE, kind)
        return BEGINNING if row is None else (row["finished_at"], row["task_id"])

    async def _ended(self, age: float, place: Place) -> Sequence[Any]:
        return await self._database.fetch(_ENDED, age, *place, CHUNK)
