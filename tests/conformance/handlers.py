"""The actor of the conformance tests."""

from typing import Any


async def echo(payload: dict[str, Any]) -> dict[str, Any]:
    """Says what it was told."""
    return {"told": payload}
