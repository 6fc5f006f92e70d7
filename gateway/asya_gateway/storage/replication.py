"""What an earlier attempt stored is acknowledged only when it is where the server's settings want it.

With synchronous replication, a commit whose wait was cancelled is kept on the primary alone, and a repeated write that
finds it has nothing of its own to wait for. If it were acknowledged at once, a failover could lose it. (Who committed
it waits by itself: asya_transports/postgres/standbys.py.)
"""

from typing import Any

from asya_transports.postgres.standbys import confirmed


async def settled(connection: Any) -> None:
    """Wait until everything that is committed so far is on the standbys that commits wait for. Not for use within a
    transaction. Raises the driver's errors."""
    await confirmed(connection)
