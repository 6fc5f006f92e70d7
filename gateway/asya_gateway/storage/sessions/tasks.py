"""The tasks that sessions have made by task-augmented calls, for the streams that tell of them."""

from collections.abc import Sequence
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.sessions.ports import SessionTask
from asya_gateway.storage.database import Database
from asya_gateway.storage.retrying import written_singly
from asya_gateway.storage.sessions.channel import CHANGED, Ring, Word

MOST_FOLLOWED = 100
"""Tasks of one session that are remembered and told of: the newest unfinished ones."""
PATIENCE = 2.0

# The session's version is raised, so that a stream learns of the task also if the word is lost. What nobody is told of
# any more goes: tasks that have ended, and unfinished ones that are not among the newest.
_ADD = f"""
WITH surplus AS (
    DELETE FROM mcp_session_tasks WHERE session = $1 AND task_id = ANY (ARRAY(
        SELECT task_id FROM mcp_session_tasks WHERE session = $1 AND task_id = ANY (ARRAY(
            SELECT n.task_id FROM mcp_session_tasks n LEFT JOIN tasks t ON t.id = n.task_id AND t.finished_at IS NULL
            WHERE n.session = $1 AND n.task_id <> $2
            ORDER BY t.id IS NULL, n.at DESC OFFSET {MOST_FOLLOWED - 1}
        )) FOR UPDATE SKIP LOCKED
    ))
), made AS (
    INSERT INTO mcp_session_tasks (session, task_id, token) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING session
)
UPDATE mcp_sessions SET version = version + 1 WHERE key IN (SELECT session FROM made)
"""

# A session has few rows, which are removed with their tasks.
_OPEN = f"""
SELECT n.task_id, n.token FROM mcp_session_tasks n JOIN tasks t ON t.id = n.task_id
WHERE n.session = $1 AND t.finished_at IS NULL ORDER BY n.at DESC LIMIT {MOST_FOLLOWED}
"""


class PostgresSessionTasks:
    """SessionTaskStore on the table mcp_session_tasks."""

    def __init__(self, database: Database, ring: Ring) -> None:
        self._database = database
        self._ring = ring

    async def add(self, session: bytes, task: SessionTask) -> None:
        """Remember a task of a session, once."""
        token = None if task.token is None else jsontext.dumps(task.token)
        await written_singly(lambda: self._database.execute(_ADD, session, task.id, token), PATIENCE, "session's task")
        self._ring(Word(CHANGED, session).text())

    async def unfinished(self, session: bytes) -> Sequence[SessionTask]:
        """The tasks of a session that have not ended."""
        return [_read(row) for row in await self._database.fetch(_OPEN, session)]


def _read(row: Any) -> SessionTask:
    return SessionTask(row["task_id"], None if row["token"] is None else jsontext.loads(row["token"]))
