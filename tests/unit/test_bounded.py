"""Waiting for work that does not end when it is cancelled."""

import asyncio

import pytest

from asya_transports.bounded import ended, stopped


class Stubborn:
    """Work that loses its first cancellation, as a driver may."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()

    async def run(self) -> str:
        self.began.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            await self.release.wait()
        return "done"


async def test_work_that_ends_in_time_is_reported_as_ended() -> None:
    work = Stubborn()
    work.release.set()
    task = asyncio.create_task(work.run())
    assert await ended(task, 5)
    assert task.result() == "done"


async def test_the_time_is_over_even_if_the_work_goes_on() -> None:
    work = Stubborn()
    task = asyncio.create_task(work.run())
    assert not await ended(task, 0.01)
    await asyncio.wait_for(work.cancelled.wait(), 5)
    work.release.set()
    assert await task == "done"


async def test_a_cancelled_caller_ends_even_if_the_work_goes_on() -> None:
    work = Stubborn()
    task = asyncio.create_task(work.run())
    caller = asyncio.create_task(ended(task))
    await work.began.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not task.done()
    work.release.set()
    await task


async def test_a_cancellation_in_the_turn_in_which_the_work_ends_is_not_lost() -> None:
    work = Stubborn()
    caller = asyncio.create_task(ended(asyncio.create_task(work.run())))
    await work.began.wait()
    work.release.set()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_tasks_that_do_not_end_are_named_and_the_others_have_ended() -> None:
    work = Stubborn()
    stubborn = asyncio.create_task(work.run())
    other = asyncio.create_task(asyncio.Event().wait())
    await work.began.wait()
    assert await stopped([stubborn, other], 0.01) == {stubborn}
    assert other.cancelled()
    work.release.set()
    await stubborn


async def test_stopping_nothing_waits_for_nothing() -> None:
    assert await stopped([], 5) == set()
