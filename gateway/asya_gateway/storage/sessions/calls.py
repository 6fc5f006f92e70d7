"""The open calls of sessions. Registrations are written together; rows of answered calls are removed later."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from asya_crds import jsontext
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.sessions.ports import OpenCall
from asya_gateway.storage.coalescer import Coalescer, Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.retrying import within, written_singly
from asya_gateway.storage.sessions.channel import CANCELED, Ring, Word

LINGER = 3_600.0
"""Seconds for which the row of an answered call is kept, for a client whose connection broke with the answer."""
MOST_LINGERING = 4_096
"""Rows of answered calls that one process keeps."""
TOGETHER = 512
"""Rows that are removed at once."""
MOST_NOTES = 64
"""Cancellations of one session that wait for their calls."""
PATIENCE = 2.0

# A request id that is used again names the new call; one of the same task is the same call, registered again.
_REGISTER = """
INSERT INTO mcp_calls AS c (session, request, task_id, call)
SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::json[]) AS n(session, request, task_id, call)
ORDER BY 1, 2
ON CONFLICT (session, request) DO UPDATE
SET task_id = excluded.task_id, call = excluded.call, at = clock_timestamp(),
    canceled = c.canceled AND (c.call IS NULL OR c.task_id IS NULL OR c.task_id IS NOT DISTINCT FROM excluded.task_id)
RETURNING session, request, canceled
"""

_FIND = "SELECT task_id, call FROM mcp_calls WHERE session = $1 AND request = $2 AND NOT canceled AND call IS NOT NULL"

# Without a call, the note waits for its registration. There are few such notes of one session.
_CANCEL = f"""
INSERT INTO mcp_calls AS c (session, request, canceled)
SELECT $1, $2, true
WHERE EXISTS (SELECT FROM mcp_calls WHERE session = $1 AND request = $2)
   OR (SELECT count(*) FROM mcp_calls WHERE session = $1 AND call IS NULL) < {MOST_NOTES}
ON CONFLICT (session, request) DO UPDATE SET canceled = true RETURNING task_id
"""

# A row whose request id was used again has another task, and stays; so does one that is being registered again.
_REMOVE = """
DELETE FROM mcp_calls WHERE ctid = ANY (ARRAY(
    SELECT c.ctid FROM mcp_calls AS c
    JOIN unnest($1::bytea[], $2::bytea[], $3::text[]) AS n(session, request, task_id)
      ON c.session = n.session AND c.request = n.request AND c.task_id IS NOT DISTINCT FROM n.task_id
    FOR UPDATE OF c SKIP LOCKED
))
"""


class _Answered(NamedTuple):
    session: bytes
    request: bytes
    task_id: str | None
    at: float


class PostgresCalls:
    """CallStore on the table mcp_calls."""

    def __init__(
        self, database: Database, ring: Ring, *, limits: Limits, longest: float, budget: Budget | None = None
    ) -> None:
        self._database = database
        self._hot = database.hot
        self._ring = ring
        self._longest = longest
        self._answered: deque[_Answered] = deque()
        self._removing: asyncio.Task[None] | None = None
        self._registrations = Coalescer[OpenCall, bool](
            "calls of sessions",
            self._flush,
            key=lambda call: (call.session, call.request),
            size=_size,
            limits=limits,
            budget=budget,
        )

    async def register(self, call: OpenCall) -> bool:
        """Store an open call; False if it was canceled before."""
        return await self._registrations.submit(call)

    def ended(self, call: OpenCall) -> None:
        """Remove the call's row later."""
        now = time.monotonic()
        self._answered.append(_Answered(call.session, call.request, call.task_id, now))
        late = len(self._answered) > MOST_LINGERING + TOGETHER or self._answered[0].at < now - LINGER
        if late and (self._removing is None or self._removing.done()):
            self._removing = asyncio.create_task(self._remove(now - LINGER), name="answered calls")

    async def find(self, session: bytes, request: bytes) -> OpenCall | None:
        """The call of a stream."""
        row = await self._database.fetchrow(_FIND, session, request)
        return None if row is None else OpenCall(session, request, row["task_id"], jsontext.loads(row["call"]))

    async def cancel(self, session: bytes, request: bytes) -> str | None:
        """Note a cancellation, and tell the replica that holds the call."""
        task_id: str | None = await written_singly(
            lambda: self._database.fetchval(_CANCEL, session, request), PATIENCE, "cancellation"
        )
        self._ring(Word(CANCELED, session, request.hex()).text())
        return task_id

    async def close(self) -> None:
        """Complete the accepted registrations."""
        await self._registrations.close()
        if self._removing is not None:
            self._removing.cancel()
            await asyncio.gather(self._removing, return_exceptions=True)

    async def _flush(self, calls: Sequence[OpenCall]) -> Sequence[bool]:
        columns = zip(
            *[(each.session, each.request, each.task_id, jsontext.dumps(dict(each.call))) for each in calls],
            strict=True,
        )
        rows = await within(self._longest, self._hot.fetch(_REGISTER, *map(list, columns)), write=True)
        canceled = {(row["session"], row["request"]) for row in rows if row["canceled"]}
        return [(each.session, each.request) not in canceled for each in calls]

    async def _remove(self, before: float) -> None:
        with suppress(Unavailable):
            while some := self._superfluous(before):
                sessions, requests, tasks, _ = zip(*some, strict=True)
                await self._database.execute(_REMOVE, list(sessions), list(requests), list(tasks))

    def _superfluous(self, before: float) -> list[_Answered]:
        """Take out the next answered calls that are too many or too old."""
        some: list[_Answered] = []
        answered = self._answered
        while answered and len(some) < TOGETHER and (len(answered) > MOST_LINGERING or answered[0].at < before):
            some.append(answered.popleft())
        return some


def _size(_: OpenCall) -> int:
    return 512
