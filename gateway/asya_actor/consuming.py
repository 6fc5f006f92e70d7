"""Takes deliveries from one queue, works on a bounded number at a time, and shuts down in order."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from asya_actor.giving_back import Answering
from asya_actor.publishing import settle
from asya_actor.telemetry.metrics import IN_WORK, MESSAGES
from asya_transports.port import Delivery, Forbidden, Queue, Transport, TransportError, TransportUnavailable

log = logging.getLogger(__name__)

BROKEN_DELAY = 5.0
"""Seconds until a message is retried after the worker itself (not the handler) failed on it. Each retry counts as a
delivery, so the message finally becomes a dead letter."""
DECLARE_PAUSE = 1.0

Work = Callable[[Delivery], Awaitable[str]]
"""Answers the delivery; returns its outcome as one word."""
Source = Callable[[], AbstractAsyncContextManager[AsyncGenerator[Delivery]]]


@dataclass
class Consumer:
    """The consumer of one queue. `grace`: seconds that running messages may continue after `stop`; then they are
    returned."""

    name: str
    source: Source
    work: Work
    concurrency: int
    grace: float
    gives_back: bool = True
    """Whether unfinished messages are returned without counting a delivery. Where deliveries are not counted, closing
    the stream is enough."""
    consuming: asyncio.Event = field(default_factory=asyncio.Event)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; returns when no message is being processed any more."""
        async with self.source() as stream:
            feeding = asyncio.create_task(self._feed(stream), name=f"consume-{self.name}")
            stopped = asyncio.create_task(stop.wait())
            self.consuming.set()
            try:
                await asyncio.wait([feeding, stopped], return_when=asyncio.FIRST_COMPLETED)
                await _cancelled(feeding)
                await stream.aclose()  # waiting messages, and those that are returned, go to other consumers
                await self._drain()
            finally:
                self.consuming.clear()
                await _cancelled(stopped, feeding, *self._running)

    async def _feed(self, stream: AsyncGenerator[Delivery]) -> None:
        room = asyncio.Semaphore(self.concurrency)
        async for delivery in stream:
            await room.acquire()
            task = asyncio.create_task(self._one(delivery), name=f"message-{self.name}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            task.add_done_callback(lambda _: room.release())

    async def _one(self, taken: Delivery) -> None:
        outcome = "broken"
        delivery = Answering(taken)
        with IN_WORK.labels(self.name).track_inprogress():
            try:
                outcome = await self.work(delivery)
            except asyncio.CancelledError:
                outcome = "given_back"
                if self.gives_back:
                    await delivery.give_back()
                raise
            except Exception:
                log.exception("working on a message of %s", self.name)
                with contextlib.suppress(TransportError):
                    await settle(lambda: delivery.nack(BROKEN_DELAY), f"putting back a message of {self.name}")
            finally:
                MESSAGES.labels(self.name, outcome).inc()

    async def _drain(self) -> None:
        if not self._running:
            return
        log.info("%s: waiting for %d messages that are being processed", self.name, len(self._running))
        _, late = await asyncio.wait(self._running, timeout=self.grace)
        if late:
            log.warning("%s: returning %d messages that are still being processed", self.name, len(late))
            await _cancelled(*late)


async def declare(transport: Transport, actor: str) -> None:
    """Declare the queue, waiting for the queue system as long as necessary."""
    waiting = False
    while True:
        try:
            await transport.declare(Queue(actor))
        except Forbidden as error:
            # The queue may exist with only reading allowed; receiving will show it.
            log.error("the queue of %s cannot be declared: %s", actor, error)
            return
        except TransportUnavailable as error:
            if not waiting:
                log.warning("declaring the queue of %s, trying again: %s", actor, error)
            waiting = True
            await asyncio.sleep(DECLARE_PAUSE)
        else:
            return


async def _cancelled(*tasks: asyncio.Task[object] | asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("while shutting down: %r", result)
