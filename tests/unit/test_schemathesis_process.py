"""The process of schemathesis ends with the test that started it."""

import asyncio
from pathlib import Path

import psutil
import pytest

from tests.support.schemathesis import complaints
from tests.support.waiting import until


def started() -> list[psutil.Process]:
    """Those of this process that run schemathesis."""
    children = psutil.Process().children()
    return [child for child in children if child.is_running() and "schemathesis.cli" in child.cmdline()]


async def test_it_ends_with_a_test_whose_time_is_over(tmp_path: Path) -> None:
    running = asyncio.create_task(complaints("http://127.0.0.1:1", tmp_path, ""))
    [process] = await until(started, what="the process")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not process.is_running()
