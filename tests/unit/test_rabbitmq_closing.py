"""Calls of the driver that lose cancellations, raise others' errors, or never answer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import MagicMock

import pytest
from aiormq.exceptions import ChannelInvalidStateError, ChannelNotFoundEntity

from asya_transports.port import TransportUnavailable
from asya_transports.rabbitmq.connection import BrokerConnection, answer_of, close_quietly
from asya_transports.rabbitmq.settings import RabbitSettings

Call = Callable[[], Coroutine[Any, Any, None]]


async def returns() -> None:
    """What aiormq's `close` does if the channel ends in the turn in which its caller is cancelled."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return


async def raises() -> None:
    """What a command does that is cancelled: the channel is closed, and its error is raised."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise ChannelInvalidStateError("Channel closed by RPC timeout") from None


async def goes_on() -> None:
    """What a command does that waits for room in the queue of a connection that nobody reads any more."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


def closing(work: Call) -> MagicMock:
    return MagicMock(close=work)


def failing(trouble: BaseException) -> Call:
    async def work() -> None:
        raise trouble

    return work


SWALLOWING = pytest.mark.parametrize("call", [returns, raises, goes_on])


@SWALLOWING
async def test_a_cancelled_caller_ends_whatever_the_driver_makes_of_it(call: Call) -> None:
    """Otherwise a worker that stops while it declares its queue again consumes for ever."""

    async def consume_for_ever() -> None:
        while True:
            try:
                await answer_of(call(), 60)
            except (TransportUnavailable, ChannelInvalidStateError):
                continue

    consumer = asyncio.create_task(consume_for_ever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    consumer.cancel()
    await asyncio.wait([consumer], timeout=5)
    assert consumer.cancelled()


@SWALLOWING
async def test_a_task_that_is_cancelled_while_a_channel_is_closed_ends(call: Call) -> None:
    task = asyncio.create_task(close_quietly(closing(call)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


@SWALLOWING
async def test_a_call_that_takes_too_long_is_no_cancellation(call: Call) -> None:
    with pytest.raises(TransportUnavailable, match=r"no answer within 0\.01 s"):
        await answer_of(call(), 0.01)


async def test_a_cancellation_that_nobody_asked_for_is_an_error() -> None:
    """When aiormq closes a connection, it cancels the calls that wait for an answer."""
    with pytest.raises(TransportUnavailable, match="the connection is closing"):
        await answer_of(failing(asyncio.CancelledError())(), 5)


async def test_errors_of_the_broker_are_passed_on() -> None:
    with pytest.raises(ChannelNotFoundEntity):
        await answer_of(failing(ChannelNotFoundEntity("no queue"))(), 5)


@pytest.mark.parametrize(
    "trouble",
    [OSError(), RuntimeError("closed"), asyncio.CancelledError(), ChannelInvalidStateError()],
    ids=lambda trouble: type(trouble).__name__,
)
async def test_what_the_driver_raises_while_it_closes_is_no_news(trouble: BaseException) -> None:
    await close_quietly(closing(failing(trouble)))


async def test_what_was_canceled_before_is_closed_all_the_same() -> None:
    closed: list[bool] = []

    async def ending() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await close_quietly(closing(failing(asyncio.CancelledError())))
            closed.append(True)

    task = asyncio.create_task(ending())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed


async def test_a_channel_that_is_opened_when_nobody_waits_for_it_any_more_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opening, opened, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def channel(**_: Any) -> MagicMock:
        opening.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await opened.wait()

        async def close() -> None:
            closed.set()

        return MagicMock(close=close)

    async def connect(*_: Any, **__: Any) -> MagicMock:
        return MagicMock(is_closed=False, channel=channel)

    monkeypatch.setattr("aiormq.connect", connect)
    caller = asyncio.create_task(BrokerConnection(RabbitSettings("amqp://127.0.0.1:1/")).channel())
    await opening.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    opened.set()
    await asyncio.wait_for(closed.wait(), 5)
