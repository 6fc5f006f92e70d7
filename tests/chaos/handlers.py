"""Actors of the chaos suite: those of the fault tests, and one that takes its time."""

import asyncio
from typing import Any

from tests.faults.handlers import asking, first, second, spread

__all__ = ["asking", "first", "second", "slow", "spread"]


async def slow(payload: dict[str, Any]) -> dict[str, Any]:
    """Takes as many seconds as it is told."""
    await asyncio.sleep(float(payload.get("takes", 1)))
    return payload
