"""Answers after which a task still waits, or ends: one of several inputs, and declines.

Each runs in a transaction that locks the task first, so that its second statement sees the answers that another
transaction has committed meanwhile. The two transactions of the last two answers cannot both believe that the other
input is still open.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from asya_gateway.domain.answers import Answer, Kept
from asya_gateway.domain.log import AnsweredEntry
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.domain.text import storable
from asya_gateway.storage.retrying import acquired
from asya_gateway.storage.tasks.finishing import TaskFinisher
from asya_gateway.storage.tasks.owners import owner_parameter
from asya_gateway.storage.tasks.pausing import AWAITS, STILL_OPEN, request_columns
from asya_gateway.storage.tasks.written import GROWN, INTO_LOG, INTO_REQUEST_KEYS

_LOCK = f"""
SELECT true FROM tasks
WHERE {AWAITS}
FOR NO KEY UPDATE
"""

_REQUEST = f"""
{INTO_REQUEST_KEYS}
SELECT task_id, $5, $6, $7 FROM changed WHERE $6::text IS NOT NULL
ON CONFLICT DO NOTHING
"""

# The task still waits, so only the log grows.
_LOGGED = f"""
), moved AS (
    UPDATE tasks t SET last_seq = t.last_seq + 1, updated_at = clock_timestamp()
    FROM changed c WHERE t.id = c.task_id
    RETURNING {GROWN}
), logged AS (
    {INTO_LOG}
    SELECT id, last_seq, 'answered', status, progress, $4::json, updated_at FROM moved
), requested AS ({_REQUEST})
"""

_KEEP = f"""
WITH others AS MATERIALIZED (
    SELECT count(*) AS number FROM task_inputs
    WHERE task_id = $1 AND pause_id = $3 AND key <> $2 AND answered_at IS NULL
), changed AS (
    UPDATE task_inputs SET action = $8, answer = $9::json, answer_key = $10, answered_at = clock_timestamp()
    WHERE task_id = $1 AND key = $2 AND pause_id = $3 AND answered_at IS NULL AND (SELECT number > 0 FROM others)
    RETURNING task_id
{_LOGGED}
SELECT EXISTS (SELECT FROM changed) AS kept, (SELECT number > 0 FROM others) AS others
"""

_SET_ASIDE = f"""
WITH changed AS (
    INSERT INTO task_inputs AS i (task_id, key, pause_id, set_aside) VALUES ($1, $2, $3, ARRAY[$8])
    ON CONFLICT (task_id, key) DO UPDATE SET set_aside = i.set_aside || excluded.set_aside
    WHERE {STILL_OPEN} AND NOT i.set_aside @> excluded.set_aside
    RETURNING task_id
{_LOGGED}
SELECT EXISTS (SELECT FROM changed) AS changed,
       EXISTS (SELECT FROM task_inputs WHERE task_id = $1 AND key = $2 AND pause_id = $3 AND answered_at IS NULL)
       AS open
"""

_DECLINE = f"""
WITH changed AS (
    INSERT INTO task_inputs AS i (task_id, key, pause_id, action, answer_key, answered_at)
    VALUES ($1, $2, $3, $4, $8, clock_timestamp())
    ON CONFLICT (task_id, key) DO UPDATE SET
        action = excluded.action, answer_key = excluded.answer_key, answered_at = excluded.answered_at
    WHERE {STILL_OPEN}
    RETURNING task_id
), requested AS ({_REQUEST})
SELECT true FROM changed
"""

_GIVEN_BY = "SELECT answer_key = $3 FROM task_inputs WHERE task_id = $1 AND key = $2"


class TaskInputs:
    """Runs without batching, because answers are rare compared with progress."""

    def __init__(
        self, pool: Callable[[], asyncpg.Pool], written: Callable[[Sequence[str]], None], finisher: TaskFinisher
    ) -> None:
        self._pool = pool
        self._written = written
        self._finisher = finisher

    async def keep(self, answer: Answer) -> Kept:
        """Store an answer if other inputs of the pause are still open. A retry after a lost connection recognises its
        own answer by the key."""

        async def store(connection: asyncpg.pool.PoolConnectionProxy) -> Any:
            return await connection.fetchrow(_KEEP, *_logged(answer), answer.action.value, answer.value, answer.key)

        async with acquired(self._pool()) as connection:
            row = await _while_open(connection, answer, store)
            if row is None or not row["kept"]:
                if await _given(connection, answer):
                    return Kept.KEPT
                return Kept.TOO_LATE if row is None or row["others"] else Kept.LAST
        self._written([answer.task_id])
        return Kept.KEPT

    async def set_aside(self, answer: Answer) -> bool:
        """Record that the input is not asked on this surface any more; False if it is not open."""

        async def store(connection: asyncpg.pool.PoolConnectionProxy) -> Any:
            return await connection.fetchrow(_SET_ASIDE, *_logged(answer), answer.surface)

        async with acquired(self._pool()) as connection:
            row = await _while_open(connection, answer, store)
        if row is not None and row["changed"]:
            self._written([answer.task_id])
        return row is not None and (row["changed"] or row["open"])

    async def fail(self, answer: Answer, report: FinalReport) -> bool:
        """End the task because the input was declined; False if it is not open."""

        async def store(connection: asyncpg.pool.PoolConnectionProxy) -> list[asyncpg.Record] | None:
            columns = (*_input(answer), answer.action.value, *request_columns(answer.request), answer.key)
            if not await connection.fetchval(_DECLINE, *columns):
                return None
            return await self._finisher.end(connection, [report])

        async with acquired(self._pool()) as connection:
            rows = await _while_open(connection, answer, store)
            if rows is None:
                return await _given(connection, answer)
        return (await self._finisher.tell([report], rows))[0] is FinalOutcome.APPLIED


async def _while_open(
    connection: asyncpg.pool.PoolConnectionProxy,
    answer: Answer,
    work: Callable[[asyncpg.pool.PoolConnectionProxy], Awaitable[Any]],
) -> Any:
    """Do the work while the task waits for this pause; None if it does not."""
    async with connection.transaction():
        if not await connection.fetchval(_LOCK, answer.task_id, owner_parameter(answer.owner), answer.pause_id):
            return None
        return await work(connection)


async def _given(connection: asyncpg.pool.PoolConnectionProxy, answer: Answer) -> bool:
    return bool(await connection.fetchval(_GIVEN_BY, answer.task_id, answer.input_key, answer.key))


def _input(answer: Answer) -> tuple[str, str, str]:
    return answer.task_id, answer.input_key, answer.pause_id


def _logged(answer: Answer) -> tuple[Any, ...]:
    entry = AnsweredEntry(
        message=storable(f"{answer.input_key}: {answer.action.value} ({answer.surface})"),
        pause_id=answer.pause_id,
        key=answer.input_key,
        action=answer.action.value,
        by=answer.surface,
    )
    return (*_input(answer), entry.to_json(), *request_columns(answer.request))
