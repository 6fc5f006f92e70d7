"""Fails tasks whose question was not answered within their flow's longest pause."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.reports import FinalOutcome, FinalReport
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ASKING
from asya_gateway.storage.tasks.pausing import PauseLimits

EXPIRE_EVERY = 5.0
CHUNK = 1_000
"""Most pauses that one statement reads."""

CODE = "pause_expired"

# Pauses stored by a process of the previous version, without an end.
_ADOPT = """
UPDATE task_pauses p SET expires_at = p.created_at + coalesce(
    (SELECT f.longest FROM tasks t JOIN unnest($3::text[], $4::float8[]) AS f(flow, longest) USING (flow)
     WHERE t.id = p.task_id), $2) * interval '1 second'
WHERE p.ctid = ANY (ARRAY(
    SELECT ctid FROM task_pauses WHERE answered_at IS NULL AND expires_at IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED
))
"""

_EXPIRED = f"""
SELECT p.task_id, p.pause_id, extract(epoch FROM p.expires_at - p.created_at)::float8 AS allowed,
       (SELECT t.status {ASKING} AND t.pause_id = p.pause_id FROM tasks t WHERE t.id = p.task_id) AS open
FROM (
    SELECT task_id, pause_id, expires_at, created_at FROM task_pauses
    WHERE answered_at IS NULL AND expires_at <= now() ORDER BY expires_at LIMIT $1
) p
"""

_LOOKED_AT = """
UPDATE task_pauses p SET expires_at = 'infinity'
FROM unnest($1::text[], $2::text[]) AS r(task_id, pause_id)
WHERE p.task_id = r.task_id AND p.pause_id = r.pause_id AND p.answered_at IS NULL
"""


class PauseExpiry:
    """Every process runs one. `limits` is for pauses that were stored without an end."""

    def __init__(
        self,
        database: Database,
        finish: Callable[[FinalReport], Awaitable[FinalOutcome]],
        *,
        limits: Callable[[], PauseLimits],
    ) -> None:
        self._database = database
        self._finish = finish
        self._limits = limits

    async def expire(self) -> int:
        """Fail all tasks whose pause has lasted too long; returns how many this call ended. Pauses stored by a process
        of the previous version wait until this process knows its flows."""
        limits = self._limits()
        if limits.known:
            await self._database.execute(_ADOPT, CHUNK, limits.default, list(limits.flows), list(limits.flows.values()))
        ended = 0
        while rows := await self._database.fetch(_EXPIRED, CHUNK):
            outcomes = await asyncio.gather(*(self._finish(_report(row)) for row in rows if row["open"]))
            ended += sum(outcome is FinalOutcome.APPLIED for outcome in outcomes)
            # In the order of ids, as everywhere, so that two processes cannot deadlock.
            keys = sorted((row["task_id"], row["pause_id"]) for row in rows)
            await self._database.execute(_LOOKED_AT, [key[0] for key in keys], [key[1] for key in keys])
            if len(rows) < CHUNK:
                break
        return ended


def _report(row: Any) -> FinalReport:
    message = f"Nobody answered within {row['allowed']:.10g} s"
    return FinalReport(
        task_id=row["task_id"],
        status=TaskStatus.FAILED,
        owner=EVERY_OWNER,
        message=message,
        error=TaskError(CODE, message, ErrorClass.DEADLINE),
        only_pause=row["pause_id"],
    )
