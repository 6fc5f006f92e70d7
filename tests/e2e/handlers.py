"""Actors of the end-to-end tests; they reach the cluster as a ConfigMap that is mounted at /app."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any


def shout(payload: dict[str, Any]) -> dict[str, Any]:
    """Upper case."""
    return {**payload, "text": payload["text"].upper()}


async def mark(payload: dict[str, Any]) -> dict[str, Any]:
    """An exclamation mark, after as long as the caller says (s)."""
    await asyncio.sleep(payload.get("takes", 0))
    return {**payload, "text": payload["text"] + "!"}


async def tell(payload: dict[str, Any]) -> AsyncGenerator[Any, None]:
    """Each word as a live event, the text as the result."""
    for word in payload["text"].split():
        yield "FLY", {"type": "text_delta", "token": word}
        await asyncio.sleep(0.05)
    yield payload
