"""Compares the working tree with another commit: the same figures of both, alternating in one run."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figure, median
from bench.registry import BENCHMARKS
from bench.stage import Stage
from bench.table import amount, grid
from servers.commits import ROOT, unpacked

TOLERANCE = 0.05
"""A median of paired ratios this close to 1 is noise."""
HEADER = ("figure", "before", "now", "ratio", "of each pair", "")


@dataclass(slots=True)
class Pair:
    """A figure of both trees, one value a round. `gain` is above 1 where the working tree is better."""

    name: str
    unit: str
    before: list[float] = field(default_factory=list)
    now: list[float] = field(default_factory=list)
    limit: float | None = None
    """The largest allowed value of a figure whose values are noise around zero, so that ratios are meaningless."""
    problems: list[str] = field(default_factory=list)

    @property
    def gains(self) -> list[float]:
        """The ratio of each round: now to before for a rate, before to now for a time or a size."""
        rate = self.unit.endswith("/s")
        return [_ratio(new, old) if rate else _ratio(old, new) for old, new in zip(self.before, self.now, strict=True)]

    @property
    def gain(self) -> float:
        """The median of the rounds' ratios; NaN if one could not be measured."""
        gains = self.gains
        return math.nan if any(math.isnan(gain) for gain in gains) else median(gains)

    @property
    def slower(self) -> bool:
        """Whether it is worse by more than noise, or was not measured."""
        if self.problems or len(self.before) != len(self.now):
            return True
        if self.limit is not None:
            return median(self.now) > self.limit
        return not self.gain >= 1 - TOLERANCE


def _ratio(value: float, other: float) -> float:
    return value / other if other else math.nan


def compare(stage: Stage, revision: str, names: Sequence[str]) -> list[Pair]:
    """Run each benchmark for the commit and for the working tree, A B A B, for the effort's number of rounds."""
    trees = {"before": unpacked(revision), "now": ROOT}
    pairs: dict[str, Pair] = {}
    for name in names:
        for number in range(1, stage.effort.rounds + 1):
            for side, tree in trees.items():
                stage.say(f"{name}, round {number}, {side} …")
                with stage.alone(tree):
                    _add(pairs, side, BENCHMARKS[name](stage))
    return list(pairs.values())


def _add(pairs: dict[str, Pair], side: str, figures: Sequence[Figure]) -> None:
    for figure in figures:
        limit = figure.target.bound if figure.target and figure.unit == "bytes a call" else None
        pair = pairs.setdefault(figure.name, Pair(figure.name, figure.unit, limit=limit))
        _append(pair, side, figure.value)
        if figure.broken:
            pair.problems.append(f"{side}: {figure.broken}")
        if cpu := figure.details.get("gateway_cpu_us"):
            name = f"{figure.name}, gateway's CPU a request"
            _append(pairs.setdefault(name, Pair(name, "us")), side, median(cpu))


def _append(pair: Pair, side: str, value: float) -> None:
    (pair.now if side == "now" else pair.before).append(value)


def render(pairs: Sequence[Pair], revision: str) -> str:
    """A Markdown table, followed by the invalid measurements."""
    rows = [HEADER, *(_row(pair) for pair in pairs)]
    notes = [f"- {pair.name}: does not count: {problem}" for pair in pairs for problem in pair.problems]
    return "\n".join([f"Before is {revision}. A ratio above 1 is better than before.", "", *grid(rows), *notes])


def _row(pair: Pair) -> tuple[str, ...]:
    ratio = "" if pair.limit is not None else f"{pair.gain:.2f}x"
    each = f"at most {pair.limit:g}" if pair.limit is not None else " ".join(f"{gain:.2f}" for gain in pair.gains)
    verdict = "SLOWER" if pair.slower else "ok"
    return pair.name, amount(median(pair.before), pair.unit), amount(median(pair.now), pair.unit), ratio, each, verdict


def write_json(path: Path, pairs: Sequence[Pair], revision: str, machine: Mapping[str, str]) -> None:
    """{machine, before, figures}: every value of every round."""
    figures = [
        {"name": pair.name, "unit": pair.unit, "before": pair.before, "now": pair.now, "slower": pair.slower}
        for pair in pairs
    ]
    path.write_text(json.dumps({"machine": machine, "before": revision, "figures": figures}, indent=2) + "\n")
