"""What the programs' logs must not have, whatever is broken around them: errors that nobody handled."""

from collections.abc import Iterable, Iterator
from pathlib import Path

UNHANDLED = (
    "was never retrieved",
    "was never awaited",
    "was destroyed but it is pending",
    "Exception in thread",
    "Exception in callback",
    "Exception ignored",
    "Unclosed ",
)
"""Words of the interpreter, of asyncio and of aiohttp."""
MOST_TOLD = 5
"""Lines of each log."""


def unhandled(logs: Iterable[Path]) -> Iterator[str]:
    """The lines, each with the name of its log."""
    for log in logs:
        if not log.exists():
            continue
        with log.open(errors="replace") as lines:
            found = [line.strip()[:300] for line in lines if any(words in line for words in UNHANDLED)]
        for line in found[:MOST_TOLD]:
            yield f"log of {log.stem}: {line}"
