"""How many database blocks each statement reads: the cost of a plan, whatever its nodes are."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

_EXPLAINABLE = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


@dataclass
class Blocks:
    """The executed statements with their blocks (8 kB each, including cache hits)."""

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


@contextmanager
def counted_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocks]:
    """Explain each statement with its arguments before it runs, and roll that back."""
    found = Blocks()
    execute = asyncpg.Connection._execute  # type: ignore[attr-defined] # no public place sees every statement

    async def explained(self: asyncpg.Connection, query: str, args: Any, *rest: Any, **options: Any) -> Any:
        if query.lstrip().startswith(_EXPLAINABLE) and not self.is_in_transaction():
            attempt = self.transaction()
            await attempt.start()
            try:
                text = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}"
                rows = await execute(self, text, args, 0, None)
            finally:
                await attempt.rollback()
            found.statements.append((_blocks_of(json.loads(rows[0][0])[0]["Plan"]), query))
        return await execute(self, query, args, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", explained)
        yield found


def _blocks_of(plan: Mapping[str, Any]) -> int:
    """Those of a node and all below it. A CTE hangs on one node and is run by another, so it may count twice."""
    children = plan.get("Plans", [])
    own = _touched(plan) - sum(map(_touched, children))
    return max(own, 0) + sum(map(_blocks_of, children))


def _touched(plan: Mapping[str, Any]) -> int:
    hit: int = plan["Shared Hit Blocks"]
    read: int = plan["Shared Read Blocks"]
    return hit + read
