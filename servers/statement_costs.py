"""What each statement of this process costs PostgreSQL: the blocks that it touches, and its time."""

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import asyncpg

_COUNTED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
_FETCHED = """
SELECT coalesce(sum(pg_stat_get_xact_blocks_fetched(oid)), 0)::bigint FROM pg_class
WHERE oid >= 16384 AND relkind IN ('r', 'i', 't')
"""
"""Blocks that this session has fetched from tables of ours, their indexes and what is stored beside their rows."""


@dataclass(frozen=True, slots=True)
class StatementCost:
    """`blocks` of 8 kB, including cache hits, without those of catalogs; `ms` until its rows have arrived, without a
    commit."""

    sql: str
    blocks: int
    ms: float


Execute = Callable[..., Coroutine[Any, Any, Any]]


def counting(take: Callable[[StatementCost], None], counts: Callable[[], bool]) -> Execute:
    """In place of `asyncpg.Connection._execute` (no public place sees every statement): runs each statement for which
    `counts()` once more before it counts, and rolls that back. It has the plan that the session has for it: EXPLAIN
    would plan it anew for its arguments, where the session may keep a plan for any. Statements within a transaction are
    not counted."""
    execute = asyncpg.Connection._execute  # type: ignore[attr-defined]

    async def counted(self: asyncpg.Connection, query: str, args: Any, *rest: Any, **options: Any) -> Any:
        if counts() and query.lstrip().startswith(_COUNTED) and not self.is_in_transaction():
            attempt = self.transaction()
            await attempt.start()
            try:
                before = (await execute(self, _FETCHED, (), 0, None))[0][0]
                began = time.perf_counter()
                await execute(self, query, args, *rest, **options)
                took = time.perf_counter() - began
                after = (await execute(self, _FETCHED, (), 0, None))[0][0]
            finally:
                await attempt.rollback()
            take(StatementCost(query, after - before, took * 1e3))
        return await execute(self, query, args, *rest, **options)

    return counted
