"""A subscription that begins to follow a task."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from asya_gateway.domain.identity.principals import ANONYMOUS
from asya_gateway.protocols.mcp.following import followed
from tests.support.waiting import until


class SlowTasks:
    """Tasks whose snapshots never come."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = 0

    async def follow_groups(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        try:
            self.asked.set()
            await asyncio.Event().wait()
            yield ()
        finally:
            self.left += 1


async def test_a_reader_who_leaves_while_it_begins_is_followed_no_further() -> None:
    tasks = SlowTasks()
    begins = asyncio.create_task(followed(tasks, Head(), ANONYMOUS, lambda: None))  # type: ignore[arg-type]
    await tasks.asked.wait()
    begins.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begins
    assert tasks.left == 1
    await until(lambda: not any(task.get_name() == "task of a subscription" for task in asyncio.all_tasks()))


class Head:
    """As much of a task as is looked at."""

    id, last_seq, created_at = "t", 1, datetime.now(UTC)
