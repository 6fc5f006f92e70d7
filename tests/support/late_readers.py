"""Readers of live events that begin later than they would, as on a busy machine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import Gateway


def readers_wait(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Whoever wants a task's live events does not begin to follow it before the returned event is set."""
    may_begin = asyncio.Event()
    feed = gateway.running.storage.feed
    subscribe = feed.subscribe

    @contextlib.asynccontextmanager
    async def late(task_id: str, *, fly: bool = True) -> AsyncIterator[Any]:
        if fly:
            await may_begin.wait()
        async with subscribe(task_id, fly=fly) as follower:
            yield follower

    monkeypatch.setattr(feed, "subscribe", late)
    return may_begin
