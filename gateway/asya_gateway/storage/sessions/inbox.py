"""Messages for streams of HTTP+SSE that another replica holds."""

from collections.abc import Sequence

from asya_gateway.domain.sessions.ports import InboxMessage
from asya_gateway.storage.database import Database
from asya_gateway.storage.retrying import written_singly
from asya_gateway.storage.sessions.channel import POSTED, Ring, Word

MOST_WAITING = 100
MOST_WAITING_BYTES = 16 * 1024 * 1024
"""Messages of one session that wait to be taken, and their bytes."""
AT_ONCE = 20
"""Messages whose sizes are told together."""

# A message that does not fit beside others is refused; alone it is taken, whatever the size of a request may be. The
# session's new version has the stream look for messages, should the word be lost.
_PUT = f"""
WITH put AS (
    INSERT INTO mcp_inbox (session, scopes, body)
    SELECT $1, $2, $3 FROM (
        SELECT count(*) AS waiting, coalesce(sum(octet_length(body)), 0) AS bytes FROM mcp_inbox WHERE session = $1
    ) held
    WHERE waiting < {MOST_WAITING} AND (waiting = 0 OR bytes + octet_length($3) <= {MOST_WAITING_BYTES})
    RETURNING session
)
UPDATE mcp_sessions SET version = version + 1 FROM put WHERE key = put.session RETURNING true
"""

_SIZES = f"""
SELECT octet_length(body) AS size FROM mcp_inbox WHERE session = $1 ORDER BY id LIMIT {AT_ONCE}
"""

_TAKE = """
WITH taken AS (
    DELETE FROM mcp_inbox WHERE session = $1 AND id = ANY (ARRAY(
        SELECT id FROM mcp_inbox WHERE session = $1 ORDER BY id LIMIT $2
    )) RETURNING id, scopes, body
)
SELECT scopes, body FROM taken ORDER BY id
"""


class PostgresInbox:
    """Inbox on the table mcp_inbox."""

    def __init__(self, database: Database, ring: Ring) -> None:
        self._database = database
        self._ring = ring

    async def put(self, session: bytes, message: InboxMessage) -> bool:
        """Store a message and ring at the stream's replica."""
        scopes = None if message.scopes is None else sorted(message.scopes)
        # Not repeated after a lost connection: a message must not arrive twice.
        found = await written_singly(
            lambda: self._database.fetchval(_PUT, session, scopes, message.body), 0.0, "message"
        )
        if found:
            self._ring(Word(POSTED, session).text())
        return bool(found)

    async def sizes(self, session: bytes) -> Sequence[int]:
        """Of the next waiting messages."""
        return [row["size"] for row in await self._database.fetch(_SIZES, session)]

    async def take(self, session: bytes, number: int) -> Sequence[InboxMessage]:
        """Remove and return so many of the waiting messages."""
        rows = await self._database.fetch(_TAKE, session, number)
        return [InboxMessage(None if row["scopes"] is None else frozenset(row["scopes"]), row["body"]) for row in rows]
