"""Brings the schema up to date: numbered SQL files, each applied once, under one advisory lock."""

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass
from importlib import resources

import asyncpg

from asya_transports.postgres.schema import create_schema

log = logging.getLogger(__name__)

_LOCK = 0x61737961
"""Key of the advisory lock ("asya" in ASCII): concurrent migrations of one database wait for one another."""
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_CONCURRENTLY = "-- concurrently\n"
"""How a file begins that runs outside a transaction, its statements parted by empty lines."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file; a file that was released is never changed, a change is a new file."""

    number: int
    name: str
    sql: str

    @property
    def concurrent(self) -> bool:
        """Whether its statements must stand outside a transaction."""
        return self.sql.startswith(_CONCURRENTLY)

    @property
    def statements(self) -> list[str]:
        """The statements of a concurrent one, without what is comment alone."""
        parts = (part.strip() for part in self.sql.split("\n\n"))
        return [part for part in parts if not all(line.startswith("--") for line in part.splitlines())]


def migrations() -> list[Migration]:
    """All migrations in order."""
    files = resources.files(__package__).joinpath("migrations").iterdir()
    found = [
        Migration(int(match[1]), match[2], entry.read_text("utf-8"))
        for entry in files
        if (match := _NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


LATEST = max(migration.number for migration in migrations())
"""The schema that this code needs at least; newer ones are welcome, since pods of two versions meet."""


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """Apply what is missing; returns the names of what was applied.

    Each file runs in a transaction of its own with a short lock_timeout, so that a migration waits for busy
    tables rather than making everybody wait behind it. Indexes of large tables are built outside a transaction,
    beside those who write.
    """
    await _lock(connection)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = [migration for migration in migrations() if await _apply(connection, migration)]
        await create_schema(connection)
    finally:
        # A session that is gone holds no lock, and what it was cut off with is the error to be told.
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return [f"{migration.number:04d}_{migration.name}" for migration in applied]


async def _lock(connection: asyncpg.Connection) -> None:
    """By asking again and again: a session that waits for the lock has a snapshot, which an index that is built
    concurrently waits for, so each would wait for the other."""
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 # nobody tells us
        await asyncio.sleep(0.1)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> bool:
    known = await connection.fetchval("SELECT true FROM schema_migrations WHERE number = $1", migration.number)
    if known:
        return False
    if migration.concurrent:
        await _concurrently(connection, migration)
    else:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            await connection.execute(migration.sql)
            await _note(connection, migration)
    log.info("applied migration %04d_%s", migration.number, migration.name)
    return True


async def _concurrently(connection: asyncpg.Connection, migration: Migration) -> None:
    """These statements block no others, so they have no timeouts."""
    await connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
    try:
        for statement in migration.statements:
            await connection.execute(statement)
        await _note(connection, migration)
    finally:
        await connection.execute("RESET lock_timeout; RESET statement_timeout")


async def _note(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations (number, name) VALUES ($1, $2)", migration.number, migration.name
    )


async def schema_version(connection: asyncpg.Connection) -> int:
    """The newest migration that the database has; 0 where it has none."""
    exists = await connection.fetchval("SELECT to_regclass('schema_migrations')")
    if exists is None:
        return 0
    return await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations") or 0
