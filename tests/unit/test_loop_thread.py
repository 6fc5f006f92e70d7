"""A thread with an event loop of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from asya_transports.loop_thread import LoopThread
from tests.support.waiting import lasts, lasts_blocking, rounds


class Beats:
    """Its main counts its rounds."""

    def __init__(self) -> None:
        self.count = 0
        self.thread = LoopThread("beats", self._run)

    async def _run(self) -> None:
        while not self.thread.stopping:
            self.count += 1
            await self.thread.pause(0.02)


@pytest.fixture
async def beats() -> AsyncIterator[Beats]:
    beats = Beats()
    beats.thread.start()
    yield beats
    await beats.thread.stop()


async def test_it_goes_on_while_the_callers_event_loop_is_blocked(beats: Beats) -> None:
    await beats.thread.call(rounds(1))
    before = beats.count
    lasts_blocking(0.5)
    assert beats.count - before > 5


async def test_a_call_runs_there_and_returns_or_raises_here(beats: Beats) -> None:
    async def where() -> str:
        return threading.current_thread().name

    async def fails() -> None:
        raise ValueError("there")

    assert await beats.thread.call(where()) == "beats"
    with pytest.raises(ValueError, match="there"):
        await beats.thread.call(fails())


async def test_what_is_under_way_at_its_end_is_cancelled_and_nothing_begins_after_it(beats: Beats) -> None:
    endless = asyncio.create_task(beats.thread.call(lasts(3600)))
    await beats.thread.call(rounds(1))
    await beats.thread.stop()
    await asyncio.wait([endless], timeout=5)
    assert endless.cancelled()
    with pytest.raises(RuntimeError, match="beats has ended"):
        await beats.thread.call(rounds(1))
    beats.thread.start()
    assert not any(thread.name == "beats" for thread in threading.enumerate())
