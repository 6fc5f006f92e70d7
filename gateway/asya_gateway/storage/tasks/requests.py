"""Actions of callers on a task under a key: each is done once, and a caller that repeats it gets the same answer.

The key is stored in the transaction that does the work, so the key exists exactly if the work was done.
"""

from collections.abc import Callable

import asyncpg

from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.errors import KeyReused
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.storage.replication import settled
from asya_gateway.storage.retrying import acquired
from asya_gateway.storage.tasks.finishing import TaskFinisher
from asya_gateway.storage.tasks.owners import owned, owner_parameter
from asya_gateway.storage.tasks.written import TAKE_REQUEST_KEY

_GIVE_BACK = "DELETE FROM task_request_keys WHERE task_id = $1 AND action = $2 AND key = $3"

_FIND = f"""
SELECT k.digest FROM task_request_keys k JOIN tasks t ON t.id = k.task_id
WHERE k.task_id = $1 AND k.action = $2 AND k.key = $3 AND {owned(4, "t.owner")}
"""


class TaskRequests:
    """Runs without batching, in a transaction, because callers' requests are rare compared with actors' reports."""

    def __init__(self, pool: Callable[[], asyncpg.Pool], finisher: TaskFinisher) -> None:
        self._pool = pool
        self._finisher = finisher

    async def cancel(self, report: FinalReport, key: RequestKey) -> FinalOutcome:
        """End the task. APPLIED also if this key ended it before. Raises KeyReused."""
        async with acquired(self._pool()) as connection:
            rows = await self._end(connection, report, key)
            if rows is None:
                done = await _found(connection, report.task_id, report.owner, key)
                return FinalOutcome.APPLIED if done else FinalOutcome.UNKNOWN
        return (await self._finisher.tell([report], rows))[0]

    async def _end(
        self, connection: asyncpg.pool.PoolConnectionProxy, report: FinalReport, key: RequestKey
    ) -> list[asyncpg.Record] | None:
        """None if the key is taken, by a committed transaction that this one waited for."""
        async with connection.transaction():
            if not await connection.fetchval(TAKE_REQUEST_KEY, report.task_id, key.action, key.key, key.digest):
                return None
            rows = await self._finisher.end(connection, [report])
            if not any(row["applied"] and row["id"] == report.task_id for row in rows):
                await connection.execute(_GIVE_BACK, report.task_id, key.action, key.key)
            return rows

    async def find(self, task_id: str, owner: OwnerScope, key: RequestKey) -> bool:
        """Whether this action was already done under the key. Raises KeyReused."""
        async with acquired(self._pool()) as connection:
            return await _found(connection, task_id, owner, key)


async def _found(
    connection: asyncpg.pool.PoolConnectionProxy, task_id: str, owner: OwnerScope, key: RequestKey
) -> bool:
    digest = await connection.fetchval(_FIND, task_id, key.action, key.key, owner_parameter(owner))
    if digest is not None:
        await settled(connection)
    if digest is not None and digest != key.digest:
        raise KeyReused
    return digest is not None
