"""The requests of the gateway to clients, which are a session's event log."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.sessions.ports import STANDING_STREAM, NewServerRequest, ServerRequest
from asya_gateway.domain.task import JsonText
from asya_gateway.storage.database import AnyConnection, Database
from asya_gateway.storage.retrying import written_singly
from asya_gateway.storage.sessions.channel import REQUESTS, Ring, Word
from asya_gateway.storage.tasks.reading import WEIGHT
from asya_gateway.storage.tasks.rows import inline

MOST_OPEN = 16
"""Open requests of one session."""
MOST_LOGGED = 1_000
MOST_LOGGED_BYTES = 4 * 1024 * 1024
"""Entries of one session's log, and their bytes."""
KEPT = timedelta(hours=1)
"""For how long an ended request is logged."""
OPEN_FOR = timedelta(days=1)
"""For how long a request waits for its response."""
LEFT_FOR = timedelta(hours=1)
"""For how long it waits after its stream was last open."""
GIVES_WAY = timedelta(minutes=2)
"""After how long without its stream a request makes room for others, if too many are open."""
HELD = timedelta(seconds=10)
"""For how long a stream counts as open after its holder has said so."""
PATIENCE = 2.0

_ABOUT = f"""session, id, number, stream, purpose, method, params, state, outcome,
coalesce(held_at > clock_timestamp() - interval '{HELD.total_seconds():.0f} seconds', false) AS held"""
_COLUMNS = f"{_ABOUT}, response"
_SMALL = inline("response")
# Several large responses may be read together, so that they are sized before they are read.
_FOUND = f"{_ABOUT}, {_SMALL} AS response, response IS NOT NULL AND ({_SMALL}) IS NULL AS left_out"
_SIZE = "SELECT sum(octet_length(response::text)) FROM mcp_server_requests WHERE session = $1 AND id = ANY ($2)"
_LARGE = "SELECT id, response::text AS response FROM mcp_server_requests WHERE session = $1 AND id = ANY ($2)"

# The row of the session is locked, so that two calls of it are numbered and counted one after the other.
_NUMBER = "UPDATE mcp_sessions SET events = events + $2 WHERE key = $1 RETURNING events"

_OPEN = """
SELECT count(*) FROM mcp_server_requests
WHERE session = $1 AND ended_at IS NULL AND asked_at > clock_timestamp() - $3::interval AND purpose <> ALL ($2)
"""

_ASK = """
INSERT INTO mcp_server_requests (session, id, number, stream, purpose, method, params, state, held_at)
SELECT $1, id, number, $2, purpose, method, params, state, clock_timestamp()
FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::json[], $8::text[])
     AS n(id, number, purpose, method, params, state)
ON CONFLICT (session, purpose) DO NOTHING
"""

# See ServerRequestStore.ask: $4 is the standalone stream.
_TAKE = f"""
UPDATE mcp_server_requests SET stream = $2, held_at = clock_timestamp() WHERE session = $1 AND id = ANY (ARRAY(
    SELECT id FROM mcp_server_requests
    WHERE session = $1 AND purpose = ANY ($3) AND ended_at IS NULL AND stream <> $2 AND $2 <> $4
      AND (stream <> $4 OR held_at IS NULL
           OR held_at < clock_timestamp() - interval '{HELD.total_seconds():.0f} seconds')
    ORDER BY id FOR UPDATE
))
"""

# One that is being answered or held now needs no room made of it.
_LEFT = """
DELETE FROM mcp_server_requests WHERE session = $1 AND id = ANY (ARRAY(
    SELECT id FROM mcp_server_requests
    WHERE session = $1 AND ended_at IS NULL AND purpose <> ALL ($2)
      AND coalesce(held_at, asked_at) < clock_timestamp() - $3::interval
    FOR UPDATE SKIP LOCKED
))
"""

_OPEN_OF_STREAM = """ARRAY(
    SELECT id FROM mcp_server_requests WHERE session = $1 AND stream = $2 AND ended_at IS NULL ORDER BY id FOR UPDATE
)"""

_HOLD = f"""
UPDATE mcp_server_requests SET held_at = clock_timestamp() WHERE session = $1 AND id = ANY ({_OPEN_OF_STREAM})
"""

_RELEASE = f"""
UPDATE mcp_server_requests SET held_at = clock_timestamp() - interval '{HELD.total_seconds():.0f} seconds'
WHERE session = $1 AND id = ANY ({_OPEN_OF_STREAM})
"""

_BY_PURPOSE = f"SELECT {_FOUND} FROM mcp_server_requests WHERE session = $1 AND purpose = ANY ($2) ORDER BY number"

BYTES = (
    "coalesce(pg_column_size(params), 0) + coalesce(pg_column_size(response), 0) + coalesce(pg_column_size(state), 0)"
)
"""Those of an entry, as it is stored."""

# Everything beyond the log's limits, the oldest first, with room for so many new entries with so many bytes. An open
# request is part of the log, but goes only with its time.
_PRUNE = f"""
DELETE FROM mcp_server_requests WHERE session = $1 AND id = ANY (ARRAY(
    SELECT id FROM mcp_server_requests WHERE session = $1 AND id = ANY (ARRAY(
        SELECT id FROM (
            SELECT id, ended_at, asked_at, row_number() OVER newest AS place, sum({BYTES}) OVER newest AS bytes
            FROM mcp_server_requests WHERE session = $1 WINDOW newest AS (ORDER BY number DESC)
        ) logged
        WHERE ended_at IS NOT NULL AND (place > {MOST_LOGGED} - $4::int OR bytes > {MOST_LOGGED_BYTES} - $5::bigint
                                        OR ended_at < clock_timestamp() - $2::interval)
           OR asked_at < clock_timestamp() - $3::interval
    )) FOR UPDATE SKIP LOCKED
))
"""

_ANSWER = f"""
UPDATE mcp_server_requests SET ended_at = clock_timestamp(), outcome = 'answered', response = $3
WHERE session = $1 AND id = $2 AND ended_at IS NULL RETURNING {_COLUMNS}
"""

_WITHDRAW = f"""
UPDATE mcp_server_requests SET ended_at = clock_timestamp(), outcome = 'withdrawn'
WHERE session = $1 AND id = ANY (ARRAY(
    SELECT id FROM mcp_server_requests WHERE session = $1 AND id = ANY ($2) AND ended_at IS NULL ORDER BY id FOR UPDATE
)) RETURNING {_COLUMNS}
"""

# What was said is not read: a log may have many large answers, and whoever goes on with a stream needs none of them. Of
# a withdrawn request only `_meta` is needed, which is told with its withdrawal.
_OF_STREAM = """
SELECT session, id, number, stream, purpose, method, state, outcome, NULL::json AS response, false AS held,
       CASE outcome WHEN 'withdrawn' THEN json_build_object('_meta', params -> '_meta') ELSE '{}' END AS params
FROM mcp_server_requests WHERE session = $1 AND stream = $2 ORDER BY number
"""

_GET = f"SELECT {_FOUND} FROM mcp_server_requests WHERE session = $1 AND id = ANY ($2) ORDER BY number"


class PostgresServerRequests:
    """ServerRequestStore on the table mcp_server_requests."""

    def __init__(self, database: Database, ring: Ring) -> None:
        self._database = database
        self._ring = ring

    async def ask(
        self, session: bytes, stream: bytes, requests: Sequence[NewServerRequest]
    ) -> Sequence[ServerRequest] | None:
        """Store requests; those whose purpose was asked before are the earlier ones."""
        rows = await written_singly(lambda: self._ask(session, stream, requests), PATIENCE, "server request")
        return None if rows is None else await self._whole(session, rows)

    async def answer(self, session: bytes, id: str, response: Mapping[str, Any]) -> ServerRequest | None:
        """Store the first response."""
        text = jsontext.dumps(dict(response))
        row = await self._database.fetchrow(_ANSWER, session, id, text)
        if row is None:
            return None
        self._ring(Word(REQUESTS, session).text())
        return _read(row, row["response"])

    async def withdraw(self, session: bytes, ids: Iterable[str]) -> Sequence[ServerRequest]:
        """End open requests."""
        rows = await self._database.fetch(_WITHDRAW, session, list(ids))
        if rows:
            self._ring(Word(REQUESTS, session).text())
        return [_read(row, row["response"]) for row in rows]

    async def hold(self, session: bytes, stream: bytes) -> None:
        """Note that a stream is open."""
        await self._database.execute(_HOLD, session, stream)

    async def release(self, session: bytes, stream: bytes) -> None:
        """Note that a stream is closed, and have whoever waits for its requests look at them."""
        await self._database.execute(_RELEASE, session, stream)
        self._ring(Word(REQUESTS, session).text())

    async def of_stream(self, session: bytes, stream: bytes) -> Sequence[ServerRequest]:
        """The log of a stream, without what was asked and answered."""
        return [_read(row, None) for row in await self._database.fetch(_OF_STREAM, session, stream)]

    async def get(self, session: bytes, ids: Iterable[str]) -> Sequence[ServerRequest]:
        """These requests as they are now."""
        return await self._whole(session, await self._database.fetch(_GET, session, list(ids)))

    async def _whole(self, session: bytes, rows: Sequence[Any]) -> Sequence[ServerRequest]:
        """The requests with those responses that are large. Raises NoRoom."""
        left_out = [row["id"] for row in rows if row["left_out"]]
        if not left_out:
            return [_read(row, row["response"]) for row in rows]
        size = await self._database.fetchval(_SIZE, session, left_out)
        await Budget.around().extend(Share.READERS, WEIGHT * (size or 0))
        large = {row["id"]: row["response"] for row in await self._database.fetch(_LARGE, session, left_out)}
        return [_read(row, large.get(row["id"], row["response"])) for row in rows]

    async def _ask(self, session: bytes, stream: bytes, requests: Sequence[NewServerRequest]) -> Sequence[Any] | None:
        purposes = [each.purpose for each in requests]
        async with self._database.connection() as connection, connection.transaction():
            last: int | None = await connection.fetchval(_NUMBER, session, len(requests))
            if last is None:
                return None
            await connection.execute(_PRUNE, session, KEPT, OPEN_FOR, len(requests), _bytes_of(requests))
            known = {row["purpose"] for row in await connection.fetch(_BY_PURPOSE, session, purposes)}
            new = [each for each in requests if each.purpose not in known]
            if new and await _too_many(connection, session, purposes, len(requests)):
                await connection.execute(_LEFT, session, purposes, GIVES_WAY)
                if await _too_many(connection, session, purposes, len(requests)):
                    return None
            await connection.execute(_TAKE, session, stream, purposes, STANDING_STREAM)
            await _insert(connection, session, stream, new, last - len(requests))
            return await connection.fetch(_BY_PURPOSE, session, purposes)


async def _too_many(connection: AnyConnection, session: bytes, purposes: Sequence[str], more: int) -> bool:
    opened: int = await connection.fetchval(_OPEN, session, purposes, OPEN_FOR)
    return opened + more > MOST_OPEN


async def _insert(
    connection: AnyConnection, session: bytes, stream: bytes, new: Sequence[NewServerRequest], after: int
) -> None:
    if not new:
        return
    await connection.execute(
        _ASK,
        session,
        stream,
        [secrets.token_hex(12) for _ in new],
        list(range(after + 1, after + 1 + len(new))),
        [each.purpose for each in new],
        [each.method for each in new],
        [jsontext.dumps(dict(each.params)) for each in new],
        [each.state for each in new],
    )


def _bytes_of(requests: Sequence[NewServerRequest]) -> int:
    return sum(len(jsontext.dumps(dict(each.params))) + len(each.state or "") for each in requests)


def _read(row: Any, response: JsonText | None) -> ServerRequest:
    return ServerRequest(
        session=row["session"],
        id=row["id"],
        number=row["number"],
        stream=row["stream"],
        purpose=row["purpose"],
        method=row["method"],
        params=jsontext.loads(row["params"]),
        state=row["state"],
        outcome=row["outcome"],
        response=None if response is None else jsontext.loads(response),
        held=row["held"],
    )
