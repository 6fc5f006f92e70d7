"""Conversations. Nothing here is on the hot row of a task. What begins one is in storage/tasks/conversing.py."""

from collections.abc import Mapping, Sequence

import asyncpg

from asya_crds import jsontext
from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.conversations import Conversation, Referred
from asya_gateway.domain.task import JsonText
from asya_gateway.storage.a2a import messages
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ASKING


def disabled_of(task_id: str) -> str:
    """SQL: why notifications of this task are sent no more, as the text of a JSON object by configuration, or null."""
    return f"""
SELECT json_object_agg(name, disabled_reason)::text FROM destinations d
WHERE d.task_id = {task_id} AND d.channel = 'a2a' AND d.disabled_reason IS NOT NULL
"""


_DISABLED = disabled_of("$1")
_OF_TASK = f"""
SELECT task_id, owner, dialect, context_id, client_task_id, reply, ({_DISABLED}) AS disabled FROM a2a_tasks
WHERE task_id = $1
"""
_NAMED = f"""
SELECT a.task_id, a.owner, a.dialect, a.context_id, a.client_task_id, a.reply, ({disabled_of("a.task_id")}) AS disabled
FROM a2a_tasks a WHERE a.task_id = coalesce((
    SELECT named.task_id FROM a2a_tasks named WHERE named.owner = $1 AND named.client_task_id = $2), $2)
"""
# Name by name (OFFSET 0), whatever the planner thinks of the tables. Which are shown, protocols/a2a/viewing.py says
# (is_known).
_REFERRED = f"""
SELECT r.name, t.flow, t.owner,
       t.status {ASKING} OR (SELECT a.reply FROM a2a_tasks a WHERE a.task_id = t.id) IS NULL AS shown
FROM unnest($2::text[]) AS r(name) CROSS JOIN LATERAL (
    SELECT task.id, task.flow, task.owner, task.status FROM tasks task WHERE task.id = coalesce((
        SELECT named.task_id FROM a2a_tasks named WHERE named.owner = $1 AND named.client_task_id = r.name), r.name)
    OFFSET 0
) t
"""
_REVEAL = "UPDATE a2a_tasks SET reply = NULL WHERE task_id = $1"
_FIND_CLIENT_TASK = "SELECT task_id FROM a2a_tasks WHERE owner = $1 AND client_task_id = $2"


class PostgresConversations:
    """Implements the domain's Conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reveal(self, task_id: str) -> None:
        await self._database.execute(_REVEAL, task_id)

    async def of_task(self, task_id: str) -> Conversation | None:
        return _conversation(await self._database.fetchrow(_OF_TASK, task_id))

    async def named(self, owner: str, name: str) -> Conversation | None:
        return _conversation(await self._database.fetchrow(_NAMED, owner, name))

    async def referred(self, owner: str, names: Sequence[str]) -> Sequence[Referred]:
        rows = await self._database.fetch(_REFERRED, owner, names)
        return [Referred(**row) for row in rows]

    async def disabled(self, task_id: str) -> Mapping[str, str]:
        return reasons(await self._database.fetchval(_DISABLED, task_id))

    async def find_client_task(self, owner: str, client_task_id: str) -> str | None:
        found: str | None = await self._database.fetchval(_FIND_CLIENT_TASK, owner, client_task_id)
        return found

    async def add(
        self, task_id: str, message: JsonText, *, most: int, most_bytes: int, request: RequestKey | None = None
    ) -> int:
        return await messages.add(self._database, task_id, message, most, most_bytes, request)

    async def remove(self, task_id: str, number: int, request: RequestKey | None = None) -> None:
        await messages.remove(self._database, task_id, number, request)

    async def messages(self, task_id: str, most: int | None, *, most_bytes: int) -> Sequence[JsonText]:
        return await messages.newest(self._database, task_id, most, most_bytes)


def _conversation(row: asyncpg.Record | None) -> Conversation | None:
    return None if row is None else Conversation(**{**row, "disabled": reasons(row["disabled"])})


def reasons(text: JsonText | None) -> Mapping[str, str]:
    return {} if text is None else jsontext.loads(text)
