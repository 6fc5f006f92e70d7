"""What an earlier attempt stored is acknowledged only when it is where the server's settings want it.

With synchronous replication, a commit whose wait was cancelled is kept on the primary alone, and a repeated write that
finds it has nothing of its own to wait for. If it were acknowledged at once, a failover could lose it. A commit that
follows it in the log waits for both (PostgreSQL 15, 27.2.8, Synchronous Replication).
"""

from typing import Any, Protocol

# A transactional message has a transaction id, so its commit waits as every other one does. Nothing is written where no
# standby is waited for.
_FOLLOW = """
SELECT pg_logical_emit_message(true, 'asya', '') WHERE current_setting('synchronous_standby_names') <> ''
"""


class _Executes(Protocol):
    async def execute(self, query: str, *args: Any) -> str: ...


async def settled(connection: _Executes) -> None:
    """Wait until everything that is committed so far is on the standbys that commits wait for. Not for use within a
    transaction. Raises the driver's errors."""
    await connection.execute(_FOLLOW)
