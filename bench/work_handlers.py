"""The handlers of the finished work: as small as a handler can be, so that everything else is what is measured."""

from collections.abc import AsyncGenerator
from typing import Any

TOKENS = 20
"""Live events of `tokens`."""
FAN_OUT = 100
"""Payloads that `split` yields: one more task of each but the first."""


async def echo(payload: Any) -> Any:
    """Returns what it gets."""
    return payload


async def tokens(payload: Any) -> AsyncGenerator[Any, None]:
    """Says many live events, and returns what it gets."""
    for number in range(TOKENS):
        yield "FLY", {"token": f"token {number} "}
    yield payload


def plain(payload: Any) -> Any:
    """The same in a thread."""
    return payload


async def split(payload: Any) -> AsyncGenerator[Any, None]:
    """Yields it many times."""
    for _ in range(FAN_OUT):
        yield payload
