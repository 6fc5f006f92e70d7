"""One statement for many rows, in chunks, so that others can use the database meanwhile."""

import asyncio

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.chunks import CHUNK, TOO_LONG, Chunk
from asya_gateway.storage.database import Database

BETWEEN = 0.05
"""Seconds between two statements."""
FIRST_TURN = 30.0
"""Seconds from the start of a process to the first removal of what is old. It is never urgent, and takes dozens of
statements, for which the callers of a pod that has just started would wait."""


async def in_chunks(database: Database, sql: str, age: object) -> int:
    """Run a statement with `age` ($1) and with the number of rows that it may change ($2) until it finds fewer; returns
    how many it changed. One that takes too long is run again for half the rows. Raises Unavailable."""
    chunk, changed = Chunk(CHUNK), 0
    while True:
        size = chunk.size
        try:
            with chunk.judged():
                tag = await database.execute(sql, age, size)
        except Unavailable as error:
            if size > 1 and isinstance(error.__cause__, TOO_LONG):
                continue
            raise
        done = int(tag.rsplit(" ", 1)[1])
        changed += done
        if done < size:
            return changed
        await asyncio.sleep(BETWEEN)
