"""Brings the schema up to date: numbered SQL files, each applied once, under one advisory lock."""

import asyncio
import contextlib
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources

import asyncpg

from asya_transports.postgres.schema import create_schema

log = logging.getLogger(__name__)

_LOCK = 0x61737961
"""Key of the advisory lock ("asya" in ASCII): concurrent migrations of one database wait for one another."""
LOCK_WAIT = 0.25
"""Seconds that a migration waits for a lock. While it waits, everybody else who needs the table queues behind it, and a
session of the gateway gives up after a second (SESSION in database.py): so even a file that waits for three tables
fails no write."""
RESTS = (0.5, 1.0, 2.0, 5.0)
"""Seconds that it steps back after the first attempts, in which those who queued go on; then always the last one."""
PATIENCE = 600.0
"""Seconds after which it gives up, if a transaction that stays open keeps the table from it."""
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_ALTERS = re.compile(r"^ALTER TABLE ", re.MULTILINE)
_CONCURRENTLY = "-- concurrently\n"
"""First line of a file that runs outside a transaction. Its statements are separated by empty lines."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file. A released file is never changed; each change is a new file."""

    number: int
    name: str
    sql: str

    @property
    def concurrent(self) -> bool:
        """Whether its statements must run outside a transaction."""
        return self.sql.startswith(_CONCURRENTLY)

    @property
    def statements(self) -> list[str]:
        """The statements of a concurrent migration, without those that consist only of comments."""
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
"""The oldest schema that this code accepts. Newer ones are accepted too, because pods of two versions share a
database."""


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """Apply the missing migrations; returns their names.

    Each file runs in its own transaction, which steps back from a busy table and tries again, so that writes do not
    fail behind it. Indexes of large tables are built outside a transaction, concurrently with writes. Raises asyncpg's
    errors, LockNotAvailableError after PATIENCE.
    """
    await _lock(connection)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = [migration for migration in migrations() if await _apply(connection, migration)]
        await _stepping_back(connection, "the queues' tables", lambda: create_schema(connection))
    finally:
        # A lost session holds no lock, and the error that ended it is the one to report.
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return [f"{migration.number:04d}_{migration.name}" for migration in applied]


async def _lock(connection: asyncpg.Connection) -> None:
    """Poll for the lock. A session waiting for it would have a snapshot, and a concurrent index build waits for all
    snapshots, so the two would deadlock."""
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 # there is no notification
        await asyncio.sleep(0.1)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> bool:
    known = await connection.fetchval("SELECT true FROM schema_migrations WHERE number = $1", migration.number)
    if known:
        return False
    if migration.concurrent:
        await _concurrently(connection, migration)
    else:
        await _stepping_back(connection, migration.name, lambda: _run(connection, migration))
    log.info("applied migration %04d_%s", migration.number, migration.name)
    return True


async def _stepping_back(connection: asyncpg.Connection, what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do the work in a transaction. If a lock is not free soon, undo it, let the others go on, and begin again."""
    until, attempts = time.monotonic() + PATIENCE, 0
    while True:
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT * 1000:.0f}ms'")
                await work()
            return
        except asyncpg.LockNotAvailableError:
            rest = RESTS[min(attempts, len(RESTS) - 1)]
            if time.monotonic() + rest > until:
                raise
            attempts += 1
            log.warning("%s: a table is in use by an open transaction, trying again in %g s", what, rest)
        await asyncio.sleep(rest)


async def _run(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(migration.sql)
    await _note(connection, migration)


async def _concurrently(connection: asyncpg.Connection, migration: Migration) -> None:
    """Run concurrent statements. They block no others, so they have no timeouts, except those that alter a table."""
    await connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
    try:
        for statement in migration.statements:
            if _ALTERS.search(statement):
                await _stepping_back(connection, migration.name, functools.partial(connection.execute, statement))
            else:
                await connection.execute(statement)
        await _note(connection, migration)
    finally:
        await connection.execute("RESET lock_timeout; RESET statement_timeout")


async def _note(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(
        "INSERT INTO schema_migrations (number, name) VALUES ($1, $2)", migration.number, migration.name
    )


async def schema_version(connection: asyncpg.Connection) -> int:
    """The newest migration of the database; 0 if it has none."""
    exists = await connection.fetchval("SELECT to_regclass('schema_migrations')")
    if exists is None:
        return 0
    return await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations") or 0
