"""A database belongs to one namespace. A gateway of another namespace would publish its envelopes and serve its
flows."""

import asyncpg

_CLAIM = "INSERT INTO installation (namespace) VALUES ($1) ON CONFLICT (id) DO NOTHING"
_OWNER = "SELECT namespace FROM installation"
_HAND_OVER = """
WITH before AS (SELECT namespace FROM installation)
INSERT INTO installation (namespace) VALUES ($1)
ON CONFLICT (id) DO UPDATE SET namespace = excluded.namespace, claimed_at = now()
RETURNING (SELECT namespace FROM before)
"""

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class NamespaceTaken(Exception):
    """The database belongs to another namespace. The message names both and the command that reassigns it."""

    def __init__(self, own: str, owner: str) -> None:
        super().__init__(
            f"ASYA_NAMESPACE: the database belongs to the namespace {owner!r}, and this gateway serves {own!r}; use "
            f"another database, or stop every gateway of {owner!r} and hand it over: asya migrate --namespace {own}"
        )


async def claim(connection: Connection, namespace: str) -> None:
    """Claim the database for this namespace if it has none yet. Raises NamespaceTaken."""
    await connection.execute(_CLAIM, namespace)
    owner: str = await connection.fetchval(_OWNER)
    if owner != namespace:
        raise NamespaceTaken(namespace, owner)


async def hand_over(connection: Connection, namespace: str) -> str | None:
    """Assign the database to this namespace; returns the previous one."""
    owner: str | None = await connection.fetchval(_HAND_OVER, namespace)
    return owner
