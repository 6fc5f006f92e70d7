"""One statement for many rows, in chunks, so that others can use the database meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

import asyncpg

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.chunks import CHUNK, TOO_LONG, Chunk
from asya_gateway.storage.database import Database

Found = TypeVar("Found")

BETWEEN = 0.05
"""Seconds between two statements."""
FIRST_TURN = 30.0
"""Seconds from the start of a process to the first removal of what is old. It is never urgent, and takes dozens of
statements, for which the callers of a pod that has just started would wait."""


async def in_chunks(database: Database, sql: str, *arguments: object) -> int:
    """Run a statement with these arguments, and then with the number of rows that it may change, until it finds fewer;
    returns how many it changed. One that takes too long is run again for half the rows. Raises Unavailable."""
    changed = 0
    async for tag in _chunks(lambda size: database.execute(sql, *arguments, size), _rows_of):
        changed += _rows_of(tag)
    return changed


def rows_in_chunks(database: Database, sql: str, *arguments: object) -> AsyncGenerator[list[asyncpg.Record]]:
    """As `in_chunks`, for a statement that returns the rows that it found: those of one statement after the other."""
    return _chunks(lambda size: database.fetch(sql, *arguments, size), len)


async def _chunks(run: Callable[[int], Awaitable[Found]], count: Callable[[Found], int]) -> AsyncGenerator[Found]:
    chunk = Chunk(CHUNK)
    while True:
        size = chunk.size
        try:
            with chunk.judged():
                found = await run(size)
        except Unavailable as error:
            if size > 1 and isinstance(error.__cause__, TOO_LONG):
                continue
            raise
        yield found
        if count(found) < size:
            return
        await asyncio.sleep(BETWEEN)


def _rows_of(tag: str) -> int:
    return int(tag.rsplit(" ", 1)[1])
