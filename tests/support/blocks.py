"""How many database blocks each statement reads: the cost of a plan, whatever its nodes are."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from servers.statement_costs import counting

KEEPERS = frozenset({"clock", "sweeper", "orphans", "pauses", "incomplete finals", "retention", "sessions"})
"""The storage's own tasks (storage/store.py). What they run beside a test is not its subject."""


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

    def apart(self, sql: str) -> "Blocks":
        """Take out how often this statement ran, for a limit of its own."""
        taken = Blocks([each for each in self.statements if each[1] == sql])
        self.statements = [each for each in self.statements if each[1] != sql]
        return taken

    def check(self, limit: int) -> None:
        """Fail with the statement that read more, or if there was no statement."""
        assert self.statements
        assert self.most <= limit, f"{self.most} blocks: {self.worst}"


def _is_subject() -> bool:
    running = asyncio.current_task()
    return running is None or running.get_name() not in KEEPERS


@contextmanager
def counted_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocks]:
    """The statements of the block (servers/statement_costs.py says how they are counted)."""
    found = Blocks()
    with monkeypatch.context() as patch:
        execute = counting(lambda cost: found.statements.append((cost.blocks, cost.sql)), _is_subject)
        patch.setattr(asyncpg.Connection, "_execute", execute)
        yield found
