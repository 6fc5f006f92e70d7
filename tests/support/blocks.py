"""How many database blocks each statement reads: the cost of a plan, whatever its nodes are."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

KEEPERS = frozenset({"clock", "sweeper", "orphans", "pauses", "incomplete finals", "retention", "sessions"})
"""The storage's own tasks (storage/store.py). What they run beside a test is not its subject."""
_COUNTED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


@dataclass
class Blocks:
    """The executed statements with their blocks (8 kB each, including cache hits). Those of catalogs do not count."""

    statements: list[tuple[int, str]] = field(default_factory=list)

    @property
    def most(self) -> int:
        """Blocks of the statement that touched most of them."""
        return max((blocks for blocks, _ in self.statements), default=0)

    @property
    def worst(self) -> str:
        """That statement, for a failing test to show."""
        return max(self.statements, default=(0, ""))[1]

    def check(self, limit: int) -> None:
        """Fail with the statement that read more, or if there was no statement."""
        assert self.statements
        assert self.most <= limit, f"{self.most} blocks: {self.worst}"


_FETCHED = """
SELECT coalesce(sum(pg_stat_get_xact_blocks_fetched(oid)), 0)::bigint FROM pg_class
WHERE oid >= 16384 AND relkind IN ('r', 'i', 't')
"""
"""Blocks that this session has fetched from tables of ours, their indexes and what is stored beside their rows."""


@contextmanager
def counted_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocks]:
    """Run each statement once more before it counts, and roll that back. It has the plan that the session has for it:
    EXPLAIN would plan it anew for its arguments, where the session may keep a plan for any."""
    found = Blocks()
    execute = asyncpg.Connection._execute  # type: ignore[attr-defined] # no public place sees every statement

    async def counted(self: asyncpg.Connection, query: str, args: Any, *rest: Any, **options: Any) -> Any:
        running = asyncio.current_task()
        subject = running is None or running.get_name() not in KEEPERS
        if subject and query.lstrip().startswith(_COUNTED) and not self.is_in_transaction():
            attempt = self.transaction()
            await attempt.start()
            try:
                before = (await execute(self, _FETCHED, (), 0, None))[0][0]
                await execute(self, query, args, *rest, **options)
                after = (await execute(self, _FETCHED, (), 0, None))[0][0]
            finally:
                await attempt.rollback()
            found.statements.append((after - before, query))
        return await execute(self, query, args, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", counted)
        yield found
