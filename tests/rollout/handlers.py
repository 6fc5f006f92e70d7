"""Actors of the rollout tests. Each run leaves a line in a file, so that a hop that ran twice is seen."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any


def _note(actor: str, payload: dict[str, Any], event: str) -> None:
    """One short append is atomic, whoever else writes."""
    line = f"{actor} {payload['n']} {event} {os.getpid()}\n"
    with Path(os.environ["FAULTS_RUNS"]).open("a") as runs:
        runs.write(line)


async def first(payload: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Passes its payload on, once for each of `parts`."""
    _note("first", payload, "begun")
    await asyncio.sleep(0.02)
    _note("first", payload, "ended")
    parts = payload.pop("parts", 1)
    for part in range(parts):
        yield payload if parts == 1 else {**payload, "n": f"{payload['n']}.{part}"}


async def second(payload: dict[str, Any]) -> AsyncIterator[Any]:
    """Says two live events, and that it is done."""
    _note("second", payload, "begun")
    for number in range(2):
        yield "FLY", {"type": "text_delta", "token": f"t{number}"}
    _note("second", payload, "ended")
    yield {**payload, "done": True}
