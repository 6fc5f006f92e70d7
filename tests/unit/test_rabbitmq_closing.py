"""Closing channels and connections of the driver, whatever they do."""

import asyncio
from unittest.mock import MagicMock

import pytest

from asya_transports.rabbitmq.connection import close_quietly


def closing(work: asyncio.Event | BaseException) -> MagicMock:
    async def close() -> None:
        if isinstance(work, BaseException):
            raise work
        await work.wait()

    return MagicMock(close=close)


async def test_a_task_that_is_cancelled_while_a_channel_is_closed_ends() -> None:
    """Otherwise a worker that stops while it declares its queue again would consume forever."""
    task = asyncio.create_task(close_quietly(closing(asyncio.Event())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("trouble", [OSError(), RuntimeError("closed"), asyncio.CancelledError()])
async def test_what_the_driver_raises_while_it_closes_is_no_news(trouble: BaseException) -> None:
    await close_quietly(closing(trouble))


async def test_what_was_canceled_before_is_closed_all_the_same() -> None:
    closed: list[bool] = []

    async def ending() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await close_quietly(closing(asyncio.CancelledError()))
            closed.append(True)

    task = asyncio.create_task(ending())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed
