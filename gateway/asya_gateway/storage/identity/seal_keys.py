"""The keys that seal what passes through callers' hands, for replicas to which no setting gives any."""

from collections.abc import Sequence

from asya_gateway.storage.database import Database

MOST_KEYS = 16
"""Keys that open; older ones are no longer read."""

_READ = f"SELECT key FROM seal_keys ORDER BY number DESC LIMIT {MOST_KEYS}"
# The column's default makes the key, in the database. Of several pods that find none, one inserts it.
_FIRST = "INSERT INTO seal_keys (number) VALUES (1) ON CONFLICT DO NOTHING"


class PostgresSealKeys:
    """Implements identity.seal_ring.SharedKeys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Sequence[bytes]:
        """The keys, the newest first; the first one is made if there is none. Raises Unavailable."""
        rows = await self._database.fetch(_READ)
        if not rows:
            await self._database.fetch(_FIRST)
            rows = await self._database.fetch(_READ)
        return [row["key"] for row in rows]
