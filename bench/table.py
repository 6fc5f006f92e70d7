"""The figures as a table and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.figures import Figure

HEADER = ("figure", "measured", "peer or limit", "ratio", "target", "")


def render(figures: Sequence[Figure]) -> str:
    """A Markdown table, followed by the notes of each figure."""
    lines = grid([HEADER, *(_row(figure) for figure in figures)])
    notes = [f"- {figure.name}: {note}" for figure in figures for note in _notes(figure)]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines


def as_json(figures: Sequence[Figure], machine: dict[str, str]) -> dict[str, Any]:
    """{machine, figures}; targets are written as text, so that the file is self-explanatory."""
    return {
        "machine": machine,
        "figures": [
            asdict(figure) | {"target": str(figure.target) if figure.target else None, "met": figure.met}
            for figure in figures
        ],
    }


def _row(figure: Figure) -> tuple[str, ...]:
    peer = figure.peer if figure.peer_value is None else f"{figure.peer}: {amount(figure.peer_value, figure.unit)}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}x"
    target = "" if figure.target is None else f"{figure.target}{'x' if figure.ratio is not None else ''}"
    verdict = ("ok" if figure.met else "MISSED") if figure.target or figure.broken else ""
    return figure.name, amount(figure.value, figure.unit), peer, ratio, target, verdict


def amount(value: float, unit: str) -> str:
    """A number with three or four significant digits, and its unit."""
    if math.isnan(value):
        return "-"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text}{'' if unit.startswith('/') else ' '}{unit}"


def _notes(figure: Figure) -> list[str]:
    return [*([f"does not count: {figure.broken}"] if figure.broken else []), *figure.notes]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
