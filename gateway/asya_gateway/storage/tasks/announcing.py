"""Stores a fan-out's child: a task without an envelope, because the sidecar that announces it sends the envelope."""

from collections.abc import Callable, Sequence

import asyncpg

from asya_gateway.domain.log import TASK_CREATED, CreatedEntry, FinalEntry
from asya_gateway.domain.reports import ChildAnnouncement
from asya_gateway.storage.replication import settled
from asya_gateway.storage.tasks.guards import ENDED, ended_above
from asya_gateway.storage.tasks.written import FIRST_OF_CHILD, INTO_CHILDREN
from asya_transports.postgres.sessions import session_of

TOO_LATE = "Announced after its parent had ended"
_ANNOUNCE = f"""
WITH parent AS MATERIALIZED (
    SELECT id, owner, flow, surface, context_id, deadline_at, remaining, status, parent_id
    FROM tasks WHERE id = $2 FOR SHARE
), judged AS (
    -- Such a child's own end counts after its parent's success, too: the sidecar may announce it that late.
    SELECT *, status {ENDED} AND NOT (status = 'succeeded' AND NOT $5::boolean)
              OR parent_id IS NOT NULL AND {ended_above("parent.parent_id")} IS NOT NULL AS ended
    FROM parent
), created AS (
    {INTO_CHILDREN}
    SELECT $1, $2, context_id, owner, flow, surface,
           CASE WHEN ended THEN 'canceled' ELSE 'pending' END, $3::json, $4, $5,
           coalesce(deadline_at, clock_timestamp() + remaining),
           CASE WHEN ended THEN $7::json ->> 'message' END,
           clock_timestamp(), clock_timestamp(), CASE WHEN ended THEN clock_timestamp() END,
           CASE WHEN ended THEN 'canceled' END
    FROM judged
    ON CONFLICT (id) DO NOTHING
    RETURNING id, status, message, created_at
)
{FIRST_OF_CHILD}
       CASE status WHEN 'canceled' THEN $7::json ELSE $6::json END, created_at
FROM created
"""


class Announcing:
    """Runs without batching. A child with an unknown parent is ignored."""

    def __init__(self, pool: Callable[[], asyncpg.Pool], written: Callable[[Sequence[str]], None]) -> None:
        self._pool = pool
        self._written = written

    async def announce(self, child: ChildAnnouncement) -> None:
        """Insert the child with its parent's owner, flow and deadline. It is stored as canceled if an ancestor's end
        also ends it, or if the parent has ended; except if the parent has succeeded and the child's end may never be
        reported."""
        async with session_of(self._pool()) as connection:
            tag = await connection.execute(
                _ANNOUNCE,
                child.task_id,
                child.parent_id,
                child.route.to_json(),
                child.route.hop,
                child.ends_itself,
                CreatedEntry(message=TASK_CREATED, parent_id=child.parent_id).to_json(),
                FinalEntry(message=TOO_LATE, more={"parent_id": child.parent_id}).to_json(),
            )
            if tag.endswith(" 0"):
                # It may have been announced before, and its envelope is sent when this is answered.
                await settled(connection)
                return
        self._written([child.task_id])
