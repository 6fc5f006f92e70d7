"""Takes deliveries from one queue, works on a bounded number at a time, and shuts down in order.

The next message is begun when a handler's place is free, not when the end before it is stored.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prometheus_client import Counter, Gauge

from asya_actor.giving_back import TrackedDelivery
from asya_actor.pacing import PrefetchPacing
from asya_actor.publishing import settle
from asya_actor.slots import Slot, Slots
from asya_actor.telemetry.metrics import IN_WORK, MESSAGES
from asya_transports.bounded import stopped
from asya_transports.port import Delivery, Forbidden, Prefetch, Queue, Transport, TransportError, TransportUnavailable

log = logging.getLogger(__name__)

BROKEN_DELAY = 5.0
"""Seconds until a message is retried after the worker itself (not the handler) failed on it. Each retry counts as a
delivery, so the message finally becomes a dead letter."""
DECLARE_PAUSE = 1.0

ENDING_GRACE = 1.0
"""Seconds that ends which are being stored have when the time of their consumer is over. Their handlers have ended, so
they are worth more than another run."""
ENDS_WITHIN = 8.0
"""Seconds in which a cancelled task of a consumer ends. Returning its message takes up to PATIENCE of them, and
leaving the queue about as long. The rest of the shutdown does not wait longer for it."""

Work = Callable[[Delivery, Slot], Awaitable[str]]
"""Answers the delivery; returns its outcome as one word. It may free its place before."""
Source = Callable[[Prefetch], AbstractAsyncContextManager[AsyncGenerator[Delivery]]]


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
    stuck: bool = False
    """Whether something of it goes on after `run`, which only the end of the process can stop."""
    _running: dict[asyncio.Task[None], Slot] = field(default_factory=dict)
    _outcomes: dict[str, Counter] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; returns when no message is being processed any more, or `stuck`."""
        try:
            await self._run(stop)
        except RuntimeError as error:
            if not self.stuck:
                raise
            log.error("while shutting down: %r", error)  # a generator that still runs cannot be closed

    async def _run(self, stop: asyncio.Event) -> None:
        slots = Slots(self.concurrency)
        pace = PrefetchPacing(slots)
        async with self.source(pace.prefetch) as stream:
            feeding = asyncio.create_task(self._feed(stream, slots, pace), name=f"consume-{self.name}")
            stopping = asyncio.create_task(stop.wait())
            self.consuming.set()
            try:
                await asyncio.wait([feeding, stopping], return_when=asyncio.FIRST_COMPLETED)
                pace.stop()
                if await self._cancelled(feeding):
                    await stream.aclose()  # waiting messages, and those that are returned, go to other consumers
                await self._drain()
            finally:
                self.consuming.clear()
                pace.stop()
                await self._cancelled(stopping, feeding, *self._running)

    async def _feed(self, stream: AsyncGenerator[Delivery], slots: Slots, pace: PrefetchPacing) -> None:
        while True:
            # The place first: a message that was yielded counts as seen by a handler.
            slot = await slots.take()
            try:
                delivery = await anext(stream)
            except StopAsyncIteration:
                return
            pace.begun(len(delivery.body))
            task = asyncio.create_task(self._one(delivery, slot), name=f"message-{self.name}")
            self._running[task] = slot
            task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task).close()

    async def _one(self, taken: Delivery, slot: Slot) -> None:
        outcome = "broken"
        delivery = TrackedDelivery(taken)
        self._in_work.inc()
        try:
            outcome = await self.work(delivery, slot)
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
            self._in_work.dec()
            self._count(outcome)

    @cached_property
    def _in_work(self) -> Gauge:
        return IN_WORK.labels(self.name)

    def _count(self, outcome: str) -> None:
        counter = self._outcomes.get(outcome)
        if counter is None:
            counter = self._outcomes[outcome] = MESSAGES.labels(self.name, outcome)
        counter.inc()

    async def _drain(self) -> None:
        if not self._running:
            return
        log.info("%s: waiting for %d messages that are being processed", self.name, len(self._running))
        _, late = await asyncio.wait(self._running, timeout=self.grace)
        if late:
            log.warning("%s: returning %d messages that are still being processed", self.name, len(late))
            ending = [task for task in late if self._running[task].ending]
            await self._cancelled(*late.difference(ending))
            if ending:
                await asyncio.wait(ending, timeout=ENDING_GRACE)
                await self._cancelled(*ending)

    async def _cancelled(self, *tasks: asyncio.Task[Any]) -> bool:
        """Cancel the tasks; whether all of them have ended."""
        late = await stopped(tasks, ENDS_WITHIN)
        for task in tasks:
            if task in late:
                log.error("while shutting down: %s does not end", task.get_name())
            elif not task.cancelled() and (error := task.exception()) is not None:
                log.error("while shutting down: %r", error)
        self.stuck = self.stuck or bool(late)
        return not late


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
