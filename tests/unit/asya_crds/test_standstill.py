"""A process that works is told from one that makes no progress."""

import asyncio
import itertools
import subprocess
from collections.abc import Iterator

import pytest

from asya_crds import standstill
from asya_crds.standstill import Standstill


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "EVERY", 0.01)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The id of a process that uses no CPU time, as one that waits for its reader."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


async def test_a_process_that_sleeps_while_nothing_passes_is_found(sleeper: int) -> None:
    found = asyncio.Event()
    Standstill(sleeper, 0.03, found.set, lambda: 0)
    async with asyncio.timeout(20):
        await found.wait()


async def test_a_process_whose_answer_is_being_read_is_left_alone(sleeper: int) -> None:
    """It sleeps whenever the pipe is full, and a reader on a busy machine is late each time."""
    found, looks = asyncio.Event(), asyncio.Event()
    bytes_read = itertools.count()

    def passed() -> int:
        if (read := next(bytes_read)) == 20:
            looks.set()
        return read

    watched = Standstill(sleeper, 0.03, found.set, passed)
    async with asyncio.timeout(20):
        await looks.wait()
    watched.stop()
    assert not found.is_set()
