"""The tables of the queues, created by the first process that needs them."""

from importlib.resources import files
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A direct connection or one from a pool."""

CURRENT = "asya queues, schema 1"
"""The table's comment, set by schema.sql. A later call recognises by it that there is nothing to do."""

_LOCK = 0x61737961_71756575  # "asya" "queu"


async def create_schema(connection: Connection) -> None:
    """Create the tables. If they are current, this is only one short query.

    Safe while other programs do the same or use the tables. Raises asyncpg's errors.
    """
    if await _current(connection):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if not await _current(connection):
            await connection.execute(files(__package__).joinpath("schema.sql").read_text("utf-8"))


async def _current(connection: Connection) -> bool:
    comment = await connection.fetchval("SELECT obj_description(to_regclass('queue_messages'), 'pg_class')")
    return bool(comment == CURRENT)
