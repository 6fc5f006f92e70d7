"""The loop of work that repeats for as long as a process runs."""

import asyncio

import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.retrying import for_ever
from tests.support.waiting import rounds, until


@pytest.mark.parametrize(("first", "turns"), [(0.0, 1), (3600.0, 0)])
async def test_the_first_turn_comes_at_once_or_as_late_as_it_should(first: float, turns: int) -> None:
    done = []

    async def work() -> None:
        done.append(1)

    loop = asyncio.create_task(for_ever(work, 3600.0, "work", first=first))
    await rounds()
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert len(done) == turns


async def test_a_turn_that_fails_is_followed_by_another(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = [Unavailable("no"), ValueError("a mistake")]

    async def work() -> None:
        if outcomes:
            raise outcomes.pop()
        done.set()

    done = asyncio.Event()
    loop = asyncio.create_task(for_ever(work, 0.0, "work"))
    await until(done.is_set, what="the third turn")
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert "work failed" in caplog.text
