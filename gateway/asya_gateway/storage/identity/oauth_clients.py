"""Clients of the authorization server, in Postgres."""

from collections.abc import Sequence

import asyncpg

from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord, say
from asya_gateway.domain.oauth.clients import Client, ClientKind
from asya_gateway.domain.oauth.rules import MOST_CLIENTS
from asya_gateway.storage.database import AnyConnection, Database
from asya_gateway.storage.identity.audit import record
from asya_gateway.storage.retrying import written_singly

PATIENCE = 2.0
"""Seconds for which a write is repeated while the connection is lost."""

_FIND = "SELECT * FROM oauth_clients WHERE key = $1"

# Counting is cheap beside the limit on registrations per source, and needs no counter that could be wrong.
_REGISTER = """
WITH counted AS MATERIALIZED (SELECT count(*) AS n FROM oauth_clients)
INSERT INTO oauth_clients (key, kind, name, redirect_uris, scopes, grant_types, secret, public_id, created_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() FROM counted WHERE n < $9
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING true
"""

# Somebody who fills the table must not keep others out for a month.
_MAKE_ROOM = """
DELETE FROM oauth_clients WHERE key IN (
    SELECT key FROM oauth_clients AS client
    WHERE kind = 'registered' AND created_at < clock_timestamp() - interval '1 hour'
      AND NOT EXISTS (
        SELECT FROM oauth_grants
        WHERE client = client.key AND revoked_at IS NULL AND idle_at > clock_timestamp())
    ORDER BY created_at LIMIT 1000)
"""


class PostgresClients:
    """ClientStore on the table oauth_clients."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, key: str) -> Client | None:
        """The client with this key."""
        row = await self._database.fetchrow(_FIND, key)
        return None if row is None else client_of_row(row)

    async def register(self, client: Client, most: int, source: str) -> bool:
        """Keep a client; the oldest ones that nobody uses make room."""
        note = created(client, "", source)
        if await self._insert(client, most, note):
            return True
        await self._database.execute(_MAKE_ROOM)
        return await self._insert(client, most, note)

    async def _insert(self, client: Client, most: int, note: AuditRecord) -> bool:
        async def once() -> bool:
            async with self._database.connection() as connection, connection.transaction():
                return await insert_client(connection, client, note, most)

        done = await written_singly(once, PATIENCE, "a client")
        if done:
            say(note)
        return done


async def insert_client(connection: AnyConnection, client: Client, note: AuditRecord, most: int = MOST_CLIENTS) -> bool:
    """Store a client and its record in the caller's transaction; False if there are `most`."""
    done = await connection.fetchval(_REGISTER, *row_of_client(client), most)
    if done:
        await record(connection, [note])
    return bool(done)


def created(client: Client, by: str, source: str = "") -> AuditRecord:
    """The record of a new client."""
    detail = {"kind": client.kind.value, "name": client.name, "scopes": sorted(client.scopes)}
    subject = f"client:{client.key}"
    return AuditRecord(AuditEvent.CLIENT_CREATED, by or subject, source=source, subject=subject, detail=detail)


def row_of_client(client: Client) -> Sequence[object]:
    """The columns of a client, without the time."""
    return (
        client.key,
        client.kind.value,
        client.name,
        list(client.redirect_uris),
        sorted(client.scopes),
        sorted(client.grant_types),
        client.secret,
        client.public_id,
    )


def client_of_row(row: asyncpg.Record) -> Client:
    """A client as it was stored."""
    return Client(
        key=row["key"],
        kind=ClientKind(row["kind"]),
        name=row["name"],
        redirect_uris=tuple(row["redirect_uris"]),
        scopes=frozenset(row["scopes"]),
        grant_types=frozenset(row["grant_types"]),
        secret=row["secret"],
        public_id=row["public_id"],
    )
