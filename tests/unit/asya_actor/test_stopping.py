"""Workers that stop although a queue system, or a handler, does not let go."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from typing_extensions import override

from asya_actor.app import EXIT_OK, EXIT_STUCK, run_many
from asya_actor.consuming import Consumer
from asya_actor.giving_back import TrackedDelivery
from asya_actor.settings import CrewSettings
from asya_actor.slots import Slot
from asya_crds.envelope import Envelope, Route
from asya_transports.port import Delivery, Prefetch, Queue
from tests.support.waiting import lasts


class StuckTransport:
    """Receives nothing, and loses every cancellation of who waits for its messages, while `holds`."""

    name = "stuck"

    def __init__(self, *, holds: bool = True, leaves_within: float = 0.0) -> None:
        self.leaves_within = leaves_within
        self.waits = asyncio.Event()
        self.released = asyncio.Event()
        if not holds:
            self.released.set()

    @asynccontextmanager
    async def receive(self, _: str, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async with aclosing(self._messages()) as stream:
            yield stream

    @asynccontextmanager
    async def receive_dead_letters(self, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
        async with self.receive("dlq") as stream:
            yield stream

    async def _messages(self) -> AsyncGenerator[Delivery]:
        self.waits.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if self.released.is_set():
                    raise
        yield  # it is a generator

    async def declare(self, _: Queue) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("consuming.ENDS_WITHIN", "app.AFTER_GRACE", "app.STOP_WITHIN", "giving_back.PATIENCE"):
        monkeypatch.setattr(f"asya_actor.{name}", 0.05)


def crew() -> CrewSettings:
    return CrewSettings(metrics_port=-1, actor_shutdown_timeout=0.05)


@pytest.mark.parametrize(("holds", "code"), [(False, EXIT_OK), (True, EXIT_STUCK)])
async def test_a_worker_stops_even_if_receiving_does_not(soon: None, holds: bool, code: int) -> None:
    """In Kubernetes it would run until it is killed, and hold what it had taken until then."""
    transport, stop = StuckTransport(holds=holds), asyncio.Event()
    running = asyncio.create_task(run_many((), crew(), stop=stop, transport=transport))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await transport.waits.wait()
    stop.set()
    await asyncio.wait([running], timeout=20)
    transport.released.set()
    assert running.result() == code


async def test_a_consumer_has_the_time_that_its_queue_system_needs_to_be_left(soon: None) -> None:
    """Also where handlers have little: a poll of SQS must not be cut off."""

    class Slow(StuckTransport):
        left = False

        @override
        @asynccontextmanager
        async def receive(self, _: str, *, prefetch: int | Prefetch = 1) -> AsyncIterator[AsyncGenerator[Delivery]]:
            async with super().receive(_, prefetch=prefetch) as stream:
                yield stream
            await lasts(0.4)
            self.left = True

    transport, stop = Slow(holds=False, leaves_within=20.0), asyncio.Event()
    running = asyncio.create_task(run_many((), crew(), stop=stop, transport=transport))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await transport.waits.wait()
    stop.set()
    await asyncio.wait([running], timeout=20)
    assert running.result() == EXIT_OK
    assert transport.left


async def test_messages_are_returned_even_if_receiving_does_not_end(soon: None) -> None:
    transport = StuckTransport()
    returned: list[bytes] = []

    class Message(StuckDelivery):
        @override
        async def requeue(self, body: bytes, delay: float = 0.0) -> None:
            returned.append(body)

    async def messages() -> AsyncGenerator[Delivery]:
        yield Message()
        async for _ in transport._messages():
            pass

    @asynccontextmanager
    async def source(_: Prefetch) -> AsyncIterator[AsyncGenerator[Delivery]]:
        yield messages()

    working, stop = asyncio.Event(), asyncio.Event()

    async def work(_: Delivery, __: Slot) -> str:
        working.set()
        await asyncio.Event().wait()
        return "never"

    consumer = Consumer("echo", source, work, concurrency=2, grace=0.05)
    running = asyncio.create_task(consumer.run(stop))
    async with asyncio.timeout(20):
        await working.wait()
        await transport.waits.wait()
    stop.set()
    await asyncio.wait([running], timeout=20)
    transport.released.set()
    assert running.done()
    assert consumer.stuck
    assert [Envelope.from_json(body).id for body in returned] == ["task"]


async def test_returning_a_message_takes_a_limited_time_even_if_the_queue_system_does_not_let_go(soon: None) -> None:
    class Message(StuckDelivery):
        @override
        async def requeue(self, body: bytes, delay: float = 0.0) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()

    async with asyncio.timeout(20):
        await TrackedDelivery(Message()).give_back()


class StuckDelivery:
    """A message whose answers a test defines."""

    actor = "echo"
    body = Envelope("task", Route((), "echo", ()), {}, headers={}, status={}).to_json().encode()
    deliveries = 1
    receipt = None

    def acknowledged(self) -> None: ...

    async def ack(self) -> None: ...

    async def nack(self, delay: float = 0.0) -> None: ...

    async def requeue(self, body: bytes, delay: float = 0.0) -> None: ...

    async def extend(self) -> None: ...


def test_the_process_ends_with_1_although_a_task_goes_on() -> None:
    program = """
        import asya_actor.app as app
        from tests.unit.asya_actor.test_stopping import StuckTransport, crew

        app.AFTER_GRACE = app.STOP_WITHIN = 0.05
        app.open_transport = lambda *_: StuckTransport()
        app.transport_settings = lambda: type("Settings", (), {"place": ""})
        raise SystemExit(app.main((), crew(), started=lambda: print("started", flush=True)))
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == EXIT_STUCK
