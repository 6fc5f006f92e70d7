"""Waiting for work that does not end when it is cancelled."""

import asyncio
import gc

import pytest

from asya_transports.bounded import ended, shielded, stopped
from tests.support.waiting import rounds


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


async def test_shielded_work_goes_on_without_its_caller_and_nobody_complains_of_its_error() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    release = asyncio.Event()

    async def fails() -> None:
        await release.wait()
        raise ValueError

    work = asyncio.create_task(fails())
    caller = asyncio.create_task(shielded(work))
    await rounds()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not work.done()
    release.set()
    await asyncio.wait([work])
    await rounds()
    del work, caller
    gc.collect()
    assert complaints == []


async def test_shielded_work_answers_and_fails_as_it_does_alone() -> None:
    work = Stubborn()
    work.release.set()
    assert await shielded(asyncio.create_task(work.run())) == "done"

    async def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await shielded(asyncio.create_task(fails()))
