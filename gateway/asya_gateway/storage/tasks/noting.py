"""Appends what the gateway itself has to say to the logs of tasks that have not ended."""

from collections.abc import Callable, Mapping, Sequence

import asyncpg

from asya_gateway.domain.log import ProgressEntry
from asya_gateway.storage.tasks.written import GROWN, INTO_LOG
from asya_transports.postgres.sessions import session_of

Notes = Mapping[str, ProgressEntry]
"""An entry for each task, by its id."""
MOST = 256
"""Most tasks of one statement."""

# What is already the last entry is not said again. (Compared as text, because json has no equality, and PostgreSQL
# cannot look into json with an escaped NUL.)
_NOTE = f"""
WITH incoming AS (
    SELECT * FROM unnest($1::text[], $2::json[]) AS n(id, detail)
), locked AS MATERIALIZED (
    SELECT t.id, t.last_seq FROM tasks t WHERE t.id = ANY ($1) AND t.finished_at IS NULL
    ORDER BY t.id FOR NO KEY UPDATE
), fresh AS MATERIALIZED (
    SELECT l.id, n.detail FROM locked l JOIN incoming n USING (id)
    WHERE (SELECT u.detail::text FROM task_updates u WHERE u.task_id = l.id AND u.seq = l.last_seq)
        IS DISTINCT FROM n.detail::text
), noted AS (
    UPDATE tasks t SET last_seq = t.last_seq + 1, updated_at = clock_timestamp()
    WHERE t.id = ANY (ARRAY(SELECT id FROM fresh))
    RETURNING {GROWN}
), logged AS (
    {INTO_LOG}
    SELECT d.id, d.last_seq, 'progress', d.status, d.progress, f.detail, d.updated_at
    FROM noted d JOIN fresh f USING (id)
)
SELECT id FROM noted
"""


class Noting:
    """`moved` is called with every task whose log grew."""

    def __init__(self, pool: Callable[[], asyncpg.Pool], moved: Callable[[Sequence[str]], None]) -> None:
        self._pool = pool
        self._moved = moved

    async def note(self, notes: Notes) -> int:
        """Append the entries, except to the logs of tasks that have ended or do not exist, and to those that already
        end with the same entry. Returns how many were appended."""
        noted = 0
        ids = sorted(notes)
        for some in (ids[at : at + MOST] for at in range(0, len(ids), MOST)):
            details = [notes[task_id].to_json() for task_id in some]
            async with session_of(self._pool()) as connection:
                rows = await connection.fetch(_NOTE, some, details)
            self._moved([row["id"] for row in rows])
            noted += len(rows)
        return noted
