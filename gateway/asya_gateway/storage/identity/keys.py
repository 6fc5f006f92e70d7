"""API keys in Postgres. Gateways read them; the command line makes, lists and revokes them on a session of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from asya_gateway.domain.identity.audit import AuditEvent, AuditRecord
from asya_gateway.domain.identity.keys import MOST_KEYS, KeyRecord, subject_of
from asya_gateway.storage.database import Database
from asya_gateway.storage.identity.audit import record
from asya_gateway.storage.identity.versions import KEYS, raise_version

USED_APART = 60.0
"""Seconds between two records of a key's use."""
MOST_LISTED = 10_000
PAGE = 500
"""Keys of one statement. Thousands at once would block the event loop."""

_LIVING = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())"
_READ = f"""
SELECT id, name, hash, scopes, roles, extract(epoch FROM expires_at)::float8 AS expires_at
FROM api_keys WHERE id > $1 AND {_LIVING} ORDER BY id LIMIT $2
"""
_FINGERPRINT = f"""
SELECT coalesce(bit_xor(hashtextextended(
    concat_ws(' ', id, name, encode(hash, 'hex'), scopes::text, roles::text, expires_at::text), 0)), 0)
FROM api_keys WHERE {_LIVING}
"""

# In the order of ids, as every writer of several rows. Another pod may have recorded a later use already.
_USED = f"""
WITH used AS MATERIALIZED (
    SELECT k.id, to_timestamp(u.at) AS at
    FROM unnest($1::text[], $2::float8[]) AS u(id, at) JOIN api_keys k ON k.id = u.id
    WHERE k.last_used_at IS NULL OR k.last_used_at < to_timestamp(u.at) - interval '{USED_APART} seconds'
    ORDER BY k.id FOR UPDATE OF k
)
UPDATE api_keys k SET last_used_at = used.at FROM used WHERE k.id = used.id
"""

_CREATE = """
INSERT INTO api_keys (id, name, hash, scopes, roles, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp(), to_timestamp($6))
"""
_OF_NAME = f"SELECT scopes, roles FROM api_keys WHERE name = $1 AND {_LIVING} ORDER BY created_at DESC, id LIMIT 1"
_COUNT = f"SELECT count(*) FROM api_keys WHERE {_LIVING}"

_LIST = f"""
SELECT id, name, scopes, roles, created_at, expires_at, last_used_at, revoked_at, {_LIVING} AS living
FROM api_keys WHERE $1 OR {_LIVING} ORDER BY name, created_at, id LIMIT {MOST_LISTED}
"""

_REVOKE = f"""
WITH found AS MATERIALIZED (
    SELECT id FROM api_keys WHERE (id = $1 OR name = $1) AND {_LIVING} ORDER BY id FOR UPDATE
)
UPDATE api_keys k SET revoked_at = clock_timestamp() FROM found WHERE k.id = found.id RETURNING k.id, k.name
"""


class TooManyKeys(Exception):
    """There are MOST_KEYS living keys."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A row as it is listed. Times are the database's."""

    id: str
    name: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    living: bool


class PostgresKeys:
    """KeyStore on the table api_keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def living(self) -> Sequence[KeyRecord]:
        """Every living key, page by page: a key that is made or revoked meanwhile may or may not be among them, and
        raises the version."""
        found: list[KeyRecord] = []
        while len(found) < MOST_KEYS:
            rows = await self._database.fetch(_READ, found[-1].id if found else "", PAGE)
            found += map(_record, rows)
            if len(rows) < PAGE:
                break
        return found[:MOST_KEYS]

    async def fingerprint(self) -> int:
        """Changes with every change of a living key."""
        found: int = await self._database.fetchval(_FINGERPRINT)
        return found

    async def used(self, uses: Mapping[str, float]) -> None:
        """Record the uses that are at least a minute after the recorded ones."""
        await self._database.execute(_USED, list(uses), list(uses.values()))


def _record(row: asyncpg.Record) -> KeyRecord:
    scopes, roles = frozenset(row["scopes"]), frozenset(row["roles"])
    return KeyRecord(row["id"], row["name"], row["hash"], scopes, roles, row["expires_at"])


async def scopes_and_roles_of(connection: asyncpg.Connection, name: str) -> tuple[list[str], list[str]] | None:
    """Those of the newest living key of this name; None if it has none."""
    row = await connection.fetchrow(_OF_NAME, name)
    return None if row is None else (row["scopes"], row["roles"])


async def create_key(connection: asyncpg.Connection, key: KeyRecord, by: str) -> None:
    """Store a key, in force on every pod after the commit. `by` says who made it, for the audit. Raises TooManyKeys."""
    async with connection.transaction():
        # The lock of the version comes first: creations wait for one another, so that none is counted twice.
        await raise_version(connection, KEYS)
        if await connection.fetchval(_COUNT) >= MOST_KEYS:
            raise TooManyKeys
        given = (key.id, key.name, key.hash, sorted(key.scopes), sorted(key.roles), key.expires_at)
        await connection.execute(_CREATE, *given)
        detail = {"owner": key.owner, "scopes": sorted(key.scopes), "roles": sorted(key.roles)}
        await record(connection, [AuditRecord(AuditEvent.KEY_CREATED, by, subject=key.subject, detail=detail)])


async def list_keys(connection: asyncpg.Connection, *, every: bool = False) -> list[StoredKey]:
    """The living keys, or every key, by name and age."""
    return [
        StoredKey(**{**row, "scopes": tuple(row["scopes"]), "roles": tuple(row["roles"])})
        for row in await connection.fetch(_LIST, every)
    ]


async def revoke_keys(connection: asyncpg.Connection, id_or_name: str, by: str) -> list[str]:
    """Revoke the living key with this id, or all those of this name; returns their ids."""
    async with connection.transaction():
        await raise_version(connection, KEYS)
        rows = await connection.fetch(_REVOKE, id_or_name)
        records = [
            AuditRecord(
                AuditEvent.KEY_REVOKED, by, subject=subject_of(row["id"]), detail={"owner": f"key:{row['name']}"}
            )
            for row in rows
        ]
        await record(connection, records)
    return [row["id"] for row in rows]
