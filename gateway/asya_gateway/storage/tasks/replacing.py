"""Replaces the assumed end of a child, whose end was not reported in time, by its late reported end."""

from collections.abc import Callable

import asyncpg

from asya_crds import jsontext
from asya_crds.status import TaskStatus
from asya_gateway.domain.reports import END_NOT_REPORTED, FinalReport
from asya_gateway.domain.text import storable
from asya_gateway.storage.retrying import acquired
from asya_gateway.storage.tasks.finishing import final_entry
from asya_gateway.storage.tasks.written import INTO_BODIES

# Roots, and tasks that ended in other ways, are recognised without reading a body.
_LOCK = f"""
SELECT coalesce(deadline_at <= clock_timestamp(), false) AS late FROM tasks
WHERE id = $1 AND parent_id IS NOT NULL AND status = '{TaskStatus.CANCELED.value}' FOR NO KEY UPDATE
"""

# As text, because PostgreSQL reads no field of JSON that contains an escaped NUL. The code is written first.
_FORGET = f"""
DELETE FROM task_bodies
WHERE task_id = $1 AND kind = 'error' AND starts_with(body::text, '{{"code":"{END_NOT_REPORTED}"')
RETURNING true
"""

_REPLACE = f"""
WITH applied AS (
    UPDATE tasks SET
        status = $2, ended_as = $2, message = $3, actor = coalesce($4, actor),
        progress = CASE WHEN $2 = 'succeeded' THEN 100 ELSE progress END,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
    WHERE id = $1
    RETURNING id, last_seq, status, progress, updated_at
), bodies AS (
    {INTO_BODIES}
    SELECT id, kind, body FROM applied
    CROSS JOIN (VALUES ('result', $5::json), ('error', $6::json)) AS b(kind, body) WHERE body IS NOT NULL
    ON CONFLICT DO NOTHING
)
UPDATE task_updates u SET status = a.status, progress = a.progress, detail = $7::json, at = a.updated_at
FROM applied a WHERE u.task_id = a.id AND u.seq = a.last_seq AND u.kind = 'final'
"""


class Replacing:
    """Runs without batching: most children report in time, and reports for ended tasks are rare."""

    def __init__(self, pool: Callable[[], asyncpg.Pool]) -> None:
        self._pool = pool

    async def replace(self, report: FinalReport, if_late: FinalReport) -> bool:
        """Replace the end; returns whether the report's end is now the task's. `if_late` is used if the task's deadline
        is over. The log entry is changed in place, so that there is only one end."""
        async with acquired(self._pool()) as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, report.task_id)
            if row is None or not await connection.fetchval(_FORGET, report.task_id):
                return False
            end = if_late if row["late"] else report
            await connection.execute(
                _REPLACE,
                end.task_id,
                end.status.value,
                storable(end.message),
                storable(end.actor),
                end.result,
                None if end.error is None else jsontext.dumps(end.error.as_dict()),
                final_entry(end).to_json(),
            )
            return True
