"""The versions of identity data: how a pod learns cheaply that something has changed, and that it has seen it all."""

from typing import NamedTuple

from asya_gateway.storage.database import AnyConnection, Database

CHANNEL = "asya_identity"
"""The bell's channel. It rings in the transaction of the writer, since such writes are rare; each is also polled."""
KEYS, REVOCATIONS = "keys", "revocations"

_RAISE = "UPDATE identity_versions SET version = version + 1 WHERE kind = $1 RETURNING version"
_RING = "SELECT pg_notify($1, $2)"

_READ = f"""
SELECT max(version) FILTER (WHERE kind = '{KEYS}') AS keys,
       max(version) FILTER (WHERE kind = '{REVOCATIONS}') AS revocations,
       extract(epoch FROM clock_timestamp())::float8 AS now
FROM identity_versions
"""


class Versions(NamedTuple):
    """The current versions, and the database's time in Unix seconds."""

    keys: int
    revocations: int
    now: float


async def raise_version(connection: AnyConnection, kind: str) -> int:
    """Say that this kind of data changes in the current transaction; returns its new version. Other writers of the kind
    wait until the transaction ends, so raise KEYS before REVOCATIONS where both change."""
    version: int = await connection.fetchval(_RAISE, kind)
    await connection.execute(_RING, CHANNEL, kind)
    return version


async def read_versions(database: Database) -> Versions:
    """Raises Unavailable."""
    row = await database.fetchrow(_READ)
    assert row is not None
    return Versions(row["keys"], row["revocations"], row["now"])
