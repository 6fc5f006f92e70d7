"""Tables of one figure for several sizes, and whether it stays flat."""

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from bench.table import grid

FLAT = 2.0
"""A cost is flat if it is at most this many times as large at the largest size as at the smallest."""


@dataclass(frozen=True, slots=True)
class Growth:
    """One line: `values` for each size in the table's order; `judged`: what `flat` looks at, for each size, None if the
    line is only reported. `bound`: a limit by design up to which the value may grow."""

    name: str
    values: Sequence[str]
    judged: Sequence[float] | None = None
    bound: float | None = None

    @property
    def flat(self) -> bool:
        """Whether the largest size costs about as much as the smallest."""
        if self.judged is None:
            return True
        return max(self.judged) <= max(self.judged[0] * FLAT, self.bound or 0.0)

    @property
    def verdict(self) -> str:
        """The last column."""
        if self.judged is None:
            return ""
        if max(self.judged) <= self.judged[0] * FLAT:
            return "flat"
        return "bounded" if self.flat else "GROWS"


@dataclass(slots=True)
class Table:
    """`what` names the sizes: "rows", "streams". `notes` are printed below."""

    title: str
    what: str
    sizes: Sequence[int]
    lines: list[Growth] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    load: float = field(default_factory=lambda: psutil.getloadavg()[0])
    """The machine's load average before the table was measured, which tells whether other work ran beside."""

    @property
    def flat(self) -> bool:
        """Whether every line is."""
        return all(line.flat for line in self.lines)

    def render(self) -> str:
        """Markdown."""
        judged = any(line.judged is not None for line in self.lines)
        head = [self.what, *(f"{size:,}" for size in self.sizes), *([""] if judged else [])]
        rows = [[line.name, *line.values, *([line.verdict] if judged else [])] for line in self.lines]
        text = [f"### {self.title}", "", *grid([head, *rows])]
        load = f"{time.strftime('%Y-%m-%d', time.gmtime())}; load average before: {self.load:.1f}"
        return "\n".join([*text, "", *(f"- {note}" for note in [*self.notes, load])])


def as_json(tables: Sequence[Table]) -> dict[str, Any]:
    """{machine, tables}."""
    return {
        "machine": {"cores": psutil.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "tables": [asdict(table) | {"flat": table.flat} for table in tables],
    }
