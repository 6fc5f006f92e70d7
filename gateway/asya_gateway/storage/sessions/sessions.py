"""The rows of sessions: created, found, changed and ended. Each change is one statement.

Rows of sessions, and of what belongs to them, are locked in the order of their keys by whatever waits for them. What
can leave a row to its next turn does not wait: it skips what is locked. So no two statements wait for each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from asya_crds import jsontext
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.sessions.session import MOST_URI_BYTES, MOST_URIS, NewSession, Session, SessionTransport
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.storage.coalescer import Coalescer, Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.removing import rows_in_chunks
from asya_gateway.storage.retrying import within, written_singly
from asya_gateway.storage.sessions.channel import CHANGED, Ring, Word
from asya_gateway.storage.sessions.rows import COLUMNS, LIVING, RUSTY, Decoding

PATIENCE = 2.0
"""Seconds for which a write is repeated while the connection is lost. All are idempotent."""
AT_ONCE = 100
"""Most sessions that a create ends."""

# What is beyond the limit gives way, the longest idle first. Two creates at the same time may exceed it by one, which
# the next one corrects.
_CREATE = f"""
WITH surplus AS MATERIALIZED (
    SELECT key FROM mcp_sessions WHERE owner = $3 AND source = $4 AND key <> $1
    ORDER BY used_at DESC OFFSET $9 LIMIT {AT_ONCE}
), locked AS MATERIALIZED (
    SELECT key FROM mcp_sessions WHERE key = ANY (ARRAY(SELECT key FROM surplus)) ORDER BY key FOR UPDATE
), gone AS (
    DELETE FROM mcp_sessions WHERE key = ANY (ARRAY(SELECT key FROM locked)) RETURNING key
), made AS (
    INSERT INTO mcp_sessions (key, transport, owner, source, revocables, revision, capabilities, client)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (key) DO NOTHING
)
SELECT key FROM gone
"""

_FIND = f"""
SELECT {COLUMNS}, {RUSTY} AS rusty
FROM mcp_sessions WHERE key = ANY ($1) AND {LIVING}
"""

_TOUCH = f"""
UPDATE mcp_sessions SET used_at = clock_timestamp() WHERE key = ANY (ARRAY(
    SELECT key FROM mcp_sessions WHERE key = ANY ($1) AND {RUSTY} FOR UPDATE SKIP LOCKED
))
"""

_INITIALIZE = """
UPDATE mcp_sessions SET revision = $2, capabilities = $3, client = $4, version = version + 1 WHERE key = $1
"""

_END = "DELETE FROM mcp_sessions WHERE key = $1 AND owner = $2 RETURNING key"

# It returns what it has found, whoever has removed it: every replica does this, and one that has waited for another's
# rows must still look for the next ones.
_END_OF = f"""
WITH found AS MATERIALIZED (
    SELECT key FROM mcp_sessions WHERE revocables && $1 AND revocables <> '{{}}' AND {LIVING} LIMIT $2
), locked AS MATERIALIZED (
    SELECT key FROM mcp_sessions WHERE key = ANY (ARRAY(SELECT key FROM found)) ORDER BY key FOR UPDATE
), gone AS (
    DELETE FROM mcp_sessions WHERE key = ANY (ARRAY(SELECT key FROM locked))
)
SELECT key FROM found
"""

_LEVEL = "UPDATE mcp_sessions SET log_level = $2, version = version + 1 WHERE key = $1"

_SUBSCRIBE = f"""
UPDATE mcp_sessions SET uris = array_append(array_remove(uris, $2), $2), version = version + 1
WHERE key = $1 AND cardinality(array_remove(uris, $2)) < {MOST_URIS}
  AND octet_length(array_to_string(array_remove(uris, $2), '')) + octet_length($2) <= {MOST_URI_BYTES}
RETURNING true
"""

_UNSUBSCRIBE = "UPDATE mcp_sessions SET uris = array_remove(uris, $2), version = version + 1 WHERE key = $1"

_OPEN_STREAM = f"UPDATE mcp_sessions SET stream = stream + 1 WHERE key = $1 AND {LIVING} RETURNING stream"


class _Wanted(NamedTuple):
    key: bytes
    owner: str


class PostgresSessions:
    """SessionStore on the table mcp_sessions.

    Each request of a session reads its row, so that an ended session is unknown everywhere at once. Reads that arrive
    together are one statement.
    """

    def __init__(
        self,
        database: Database,
        ring: Ring,
        *,
        limits: Limits,
        longest: float,
        budget: Budget | None = None,
        cache: int = CACHE_BYTES,
    ) -> None:
        self._database = database
        self._hot = database.hot
        self._ring = ring
        self._longest = longest
        self._decoding = Decoding(cache)
        self._finds = Coalescer[_Wanted, Session | None](
            "sessions", self._flush, key=lambda _: None, size=lambda _: 64, limits=limits, budget=budget
        )

    async def create(self, new: NewSession) -> None:
        """Store a session, and end the longest idle ones where there are too many."""
        values = (
            new.key,
            new.transport.value,
            new.owner,
            new.source,
            sorted(new.revocables),
            new.revision,
            jsontext.dumps(dict(new.capabilities)),
            jsontext.dumps(dict(new.client)),
            new.most - 1,
        )
        rows = await written_singly(lambda: self._database.fetch(_CREATE, *values), PATIENCE, "session")
        self._changed(row["key"] for row in rows)

    async def find(self, key: bytes, owner: str) -> Session | None:
        """The living session of this owner."""
        return await self._finds.submit(_Wanted(key, owner))

    async def read(self, keys: Iterable[bytes]) -> dict[bytes, Session]:
        """Those of these sessions that are alive, for the streams of this process; records their use."""
        return await self._read(keys, holding=True)

    async def initialize(
        self, key: bytes, revision: str, capabilities: Mapping[str, Any], client: Mapping[str, Any]
    ) -> None:
        """Store what a client has said in its handshake."""
        said = (jsontext.dumps(dict(capabilities)), jsontext.dumps(dict(client)))
        await self._change(_INITIALIZE, key, revision, *said)

    async def end(self, key: bytes, owner: str) -> bool:
        """End a session on every replica."""
        rows = await self._database.fetch(_END, key, owner)
        self._changed([key] if rows else [])
        return bool(rows)

    async def end_of(self, subjects: Iterable[str]) -> None:
        """End the sessions of revoked subjects."""
        async with aclosing(rows_in_chunks(self._hot, _END_OF, sorted(set(subjects)))) as chunks:
            async for rows in chunks:
                self._changed(row["key"] for row in rows)

    async def set_level(self, key: bytes, level: str) -> None:
        """The level from which on the client wants messages."""
        await self._change(_LEVEL, key, level)

    async def subscribe(self, key: bytes, uri: str) -> bool:
        """Subscribe to a resource, once."""
        found = await written_singly(lambda: self._database.fetchval(_SUBSCRIBE, key, uri), PATIENCE, "subscription")
        self._changed([key])
        return bool(found)

    async def unsubscribe(self, key: bytes, uri: str) -> None:
        """The opposite."""
        await self._change(_UNSUBSCRIBE, key, uri)

    async def open_stream(self, key: bytes) -> int | None:
        """The number of a new standalone stream."""
        number: int | None = await self._database.fetchval(_OPEN_STREAM, key)
        self._changed([key])
        return number

    async def close(self) -> None:
        """Answer what was asked."""
        await self._finds.close()

    async def _change(self, sql: str, key: bytes, *values: Any) -> None:
        await written_singly(lambda: self._database.execute(sql, key, *values), PATIENCE, "session")
        self._changed([key])

    def _changed(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self._ring(Word(CHANGED, key).text())

    async def _flush(self, wanted: Sequence[_Wanted]) -> Sequence[Session | None]:
        found = await within(self._longest, self._read((each.key for each in wanted), holding=False))
        return [session if (session := found.get(key)) and session.owner == owner else None for key, owner in wanted]

    async def _read(self, keys: Iterable[bytes], *, holding: bool) -> dict[bytes, Session]:
        """A message keeps no session of HTTP+SSE alive, whose stream may be gone."""
        wanted = sorted(set(keys))
        # Held until the rows are there, so that what is not read again is not forgotten meanwhile.
        known = [self._decoding.known(key) for key in wanted]
        rows = await self._hot.fetch(_FIND, wanted, [None if each is None else each.version for each in known])
        before = dict(zip(wanted, known, strict=True))
        found = {row["key"]: self._decoding.session(row, before[row["key"]]) for row in rows}
        used = [row["key"] for row in rows if row["rusty"]]
        used = [key for key in used if holding or found[key].transport is SessionTransport.HTTP]
        if used:
            await self._database.execute(_TOUCH, used)
        return found
