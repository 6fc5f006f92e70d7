"""A receiver whose channels close, or do not answer, at the worst moments: with a driver of this module's own."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from asya_transports.port import Prefetch, Queue
from asya_transports.rabbitmq.connection import BrokerConnection
from asya_transports.rabbitmq.publisher import Publisher
from asya_transports.rabbitmq.receiver import RabbitReceiver
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.topology import Topology
from tests.support.waiting import until


class Channel:
    """What the transport uses of an aiormq channel. `closes` is called by `close`, `cancels` by `basic_cancel`."""

    def __init__(self, driver: "Driver") -> None:
        self.closing = asyncio.get_running_loop().create_future()
        self.on_consumer_cancel_callbacks: set[Callable[[Any], object]] = set()
        self.consuming = False
        self._driver = driver

    @property
    def is_closed(self) -> bool:
        return self.closing.done()

    async def close(self) -> None:
        await self._driver.closes()
        if not self.closing.done():
            self.closing.set_result(None)

    async def basic_qos(self, **_: Any) -> None: ...

    async def basic_consume(self, *_: Any) -> SimpleNamespace:
        self.consuming = True
        self._driver.consuming(self)
        return SimpleNamespace(consumer_tag="tag")

    async def basic_cancel(self, _: str) -> None:
        await self._driver.cancels()

    async def queue_declare(self, *_: Any, **__: Any) -> None: ...

    async def queue_bind(self, *_: Any) -> None: ...

    async def exchange_declare(self, *_: Any, **__: Any) -> None: ...

    def canceled_by_the_broker(self) -> None:
        for called in tuple(self.on_consumer_cancel_callbacks):
            called(SimpleNamespace(consumer_tag="tag"))


class Driver:
    """A connection. What it does in the calls named here, a test replaces."""

    is_closed = False

    def __init__(self) -> None:
        self.channels: list[Channel] = []

    async def closes(self) -> None: ...

    async def cancels(self) -> None: ...

    def consuming(self, channel: Channel) -> None: ...

    async def channel(self, **_: Any) -> Channel:
        self.channels.append(Channel(self))
        return self.channels[-1]

    async def close(self) -> None: ...

    @property
    def consumers(self) -> list[Channel]:
        """The channels on which a consumer was started, in the order of their opening."""
        return [channel for channel in self.channels if channel.consuming]


async def never() -> None:
    await asyncio.Event().wait()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()

    async def connect(*_: Any, **__: Any) -> Driver:
        return made

    monkeypatch.setattr("aiormq.connect", connect)
    return made


@pytest.fixture
def declares_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asya_transports.rabbitmq.receiver.VERIFY_SECONDS", 0.01)


@pytest.fixture
async def receiver(driver: Driver) -> RabbitReceiver:
    settings = RabbitSettings("amqp://127.0.0.1:1/")
    connection = BrokerConnection(settings)
    topology = Topology(connection, settings, "default")
    await topology.declare(Queue("echo"))
    return RabbitReceiver(connection, Publisher(settings), topology, "default", "echo", Prefetch(1))


async def test_a_worker_that_stops_while_it_declares_its_queue_again_ends(
    driver: Driver, declares_often: None, receiver: RabbitReceiver
) -> None:
    """aiormq's `close` returns as if nothing had been if its caller is cancelled in the turn of the event loop in which
    the broker's answer arrives."""
    closing = asyncio.Event()

    async def loses_its_cancellation() -> None:
        closing.set()
        try:
            await never()
        except asyncio.CancelledError:
            return

    stream = receiver.stream()
    taking = asyncio.ensure_future(anext(stream))
    await until(lambda: driver.consumers)
    driver.closes = loses_its_cancellation  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await closing.wait()
    taking.cancel()
    await asyncio.wait([taking], timeout=10)
    assert taking.cancelled()
    await receiver.leave()


async def test_leaving_a_broker_that_does_not_answer_takes_seconds(
    driver: Driver, receiver: RabbitReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def goes_on() -> None:
        try:
            await never()
        except asyncio.CancelledError:
            await never()

    for name in ("receiver.LEAVE_WITHIN", "connection.CLOSE_WITHIN", "consumers.WITHIN"):
        monkeypatch.setattr(f"asya_transports.rabbitmq.{name}", 0.05)
    stream = receiver.stream()
    taking = asyncio.ensure_future(anext(stream))
    await until(lambda: driver.consumers)
    driver.closes = driver.cancels = goes_on  # type: ignore[method-assign]
    taking.cancel()
    await asyncio.wait([taking], timeout=10)
    assert taking.cancelled()
    async with asyncio.timeout(10):
        await receiver.leave()


async def test_a_consumer_that_is_canceled_while_it_is_started_is_started_again(
    driver: Driver, receiver: RabbitReceiver
) -> None:
    """Its queue was deleted and declared again by others in the meantime."""

    def canceled_at_once(channel: Channel) -> None:
        if len(driver.consumers) == 1:
            channel.canceled_by_the_broker()

    driver.consuming = canceled_at_once  # type: ignore[method-assign]
    taking = asyncio.ensure_future(anext(receiver.stream()))
    await until(lambda: len(driver.consumers) == 2)
    assert [channel.is_closed for channel in driver.consumers] == [True, False]
    taking.cancel()
    await asyncio.wait([taking], timeout=10)
    await receiver.leave()


async def test_a_late_word_about_an_earlier_channel_ends_no_later_one(driver: Driver, receiver: RabbitReceiver) -> None:
    """Each consumer of a channel is canceled with a frame of its own."""
    taking = asyncio.ensure_future(anext(receiver.stream()))
    await until(lambda: driver.consumers)
    first = driver.consumers[0]
    first.canceled_by_the_broker()
    await until(lambda: len(driver.consumers) == 2)
    first.canceled_by_the_broker()
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking], timeout=10)
    assert [channel.is_closed for channel in driver.consumers] == [True, False]
    await receiver.leave()
    assert driver.consumers[1].is_closed
