"""A measured figure with its peer, and the arithmetic that decides whether a target is met."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the ratio, or on the value itself if there is no peer. `most`: at most, else at least."""

    bound: float
    most: bool = False

    def met(self, number: float) -> bool:
        """Whether a number is within the bound; NaN (not measured) is not."""
        return number <= self.bound if self.most else number >= self.bound

    @override
    def __str__(self) -> str:
        return f"{'<=' if self.most else '>='} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. `peer` describes `peer_value`, which has the same unit; `notes` are printed below the
    table.

    `broken` says why the measurement is invalid, whatever its numbers are.
    """

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    target: Target | None = None
    notes: tuple[str, ...] = ()
    broken: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether the row is valid: measured, and within its target if it has one."""
        if self.broken:
            return False
        if self.target is None:
            return True
        return self.target.met(self.value if self.ratio is None else self.ratio)


def median(values: Sequence[float]) -> float:
    """The middle value; NaN if there are no values."""
    return statistics.median(values) if values else math.nan


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed; NaN if there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def paired_ratio(subject: Sequence[float], peer: Sequence[float]) -> float:
    """The median of the ratios of adjacent runs, because a machine that slows down affects both runs of a pair."""
    return median([mine / other if other else math.nan for mine, other in zip(subject, peer, strict=True)])


def growth(samples: Sequence[tuple[float, float]]) -> float:
    """Slope of (x, y) by least squares: bytes a call, where x counts calls and y bytes. NaN below two points."""
    if len(samples) < 2:
        return math.nan
    xs, ys = [x for x, _ in samples], [y for _, y in samples]
    return statistics.linear_regression(xs, ys).slope
