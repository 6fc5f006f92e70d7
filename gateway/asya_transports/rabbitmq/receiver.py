"""One stream of deliveries, on its own channel, which is reopened whenever it is lost."""

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial

from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import AMQPChannelError
from pamqp.common import FieldTable

from asya_crds.naming import DEAD_LETTERS, queue_name
from asya_transports.bounded import in_time, keep
from asya_transports.port import LeaseLost, MessageRefused, Prefetch, TransportError, TransportUnavailable, Unroutable
from asya_transports.rabbitmq.acks import Acks
from asya_transports.rabbitmq.connection import BrokerConnection, close_quietly
from asya_transports.rabbitmq.consumers import Consumers
from asya_transports.rabbitmq.delays import Wait
from asya_transports.rabbitmq.delivery import RabbitDelivery
from asya_transports.rabbitmq.frames import Publication
from asya_transports.rabbitmq.headers import DELAY_LEFT
from asya_transports.rabbitmq.publisher import Publisher
from asya_transports.rabbitmq.reopening import Reopening
from asya_transports.rabbitmq.topology import Topology

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
QUEUE_PAUSE = 1.0
"""Seconds between two checks for a missing queue. A queue that this program declared is declared again after this
pause, in which a worker whose actor is being deleted gets its signal to end."""
LEAVE_WITHIN = 5.0
"""Seconds for the end of the consumers and the return of messages that no handler has seen."""
RAISE_APART = 0.5
"""Seconds between two changes of the prefetch that raise it. Lowering it waits for nothing."""
VERIFY_SECONDS = 30.0
"""Seconds between two checks that exchange and bindings still exist."""


class RabbitReceiver:
    """The consumer of one queue."""

    def __init__(
        self,
        connection: BrokerConnection,
        publisher: Publisher,
        topology: Topology,
        namespace: str,
        actor: str,
        prefetch: Prefetch,
    ) -> None:
        self.actor = actor
        self.dead_letters = actor == DEAD_LETTERS
        self._connection = connection
        self._publisher = publisher
        self._topology = topology
        self._namespace = namespace
        self._queue = queue_name(namespace, actor)
        self._prefetch = prefetch
        self._channel: AbstractChannel | None = None
        self._consumers: Consumers | None = None
        self._held: set[RabbitDelivery] = set()
        self._adjusting: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._raise_at = 0.0
        self._reopening = Reopening()
        self._unseen: deque[RabbitDelivery] = deque()
        self._passing: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._verify_at = time.monotonic() + VERIFY_SECONDS
        prefetch.on_change(self._follow)

    @property
    def limit(self) -> int:
        """Deliveries before a message is dead-lettered."""
        return self._topology.limit(self.actor)

    def origin(self, queue: object) -> str:
        """The actor for a queue's name."""
        return str(queue).removeprefix(queue_name(self._namespace, ""))

    def deaths(self, actor: str, reason: str) -> int:
        """Deliveries of a message that the broker itself dead-lettered, which does not include its count."""
        return self._topology.limit(actor) if reason == "delivery_limit" else 1

    async def stream(self) -> AsyncGenerator[RabbitDelivery]:
        """The deliveries, until it is closed. Then nothing more is taken, and messages that were not yielded are
        returned."""
        pause = FIRST_PAUSE
        try:
            while True:
                while self._unseen:
                    delivery = self._unseen.popleft()
                    if await self._waits_on(delivery) or await self._exhausted(delivery):
                        continue
                    yield delivery
                self._news.clear()
                if self._channel is None or self._channel.is_closed:
                    try:
                        await asyncio.sleep(self._reopening.pause())
                        await self._open()
                        self._reopening.opened()
                        pause = FIRST_PAUSE
                    except Unroutable as error:
                        logger.warning("receiving from %s: %s", self._queue, error)
                        await asyncio.sleep(QUEUE_PAUSE * random.uniform(1.0, 2.0))  # noqa: S311 # spreads, no secret
                        await self._declare_again()
                        continue
                    except TransportUnavailable as error:
                        logger.warning("receiving from %s: %s; again in %.1f s", self._queue, error, pause)
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, LONGEST_PAUSE)
                        continue
                if time.monotonic() >= self._verify_at:
                    await self._declare_again()
                if not self._unseen:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(VERIFY_SECONDS):
                            await self._news.wait()
        finally:
            await self._stop_taking()

    async def _declare_again(self) -> None:
        """Declare queue, exchange and bindings again if this program declared them. They may have been deleted, or the
        broker may have restarted without its data. Only the loss of the queue itself ends a consumer."""
        self._verify_at = time.monotonic() + VERIFY_SECONDS
        try:
            await self._topology.declare_again(self.actor)
        except TransportUnavailable as error:
            logger.warning("declaring %s again: %s", self._queue, error)

    async def leave(self) -> None:
        """Return unanswered messages. Closing the channel returns all that a handler has seen.

        A quorum queue that delivers a message at the moment of the cancellation never sends it but counts it as
        delivered. A client cannot prevent that.
        """
        await self._stop_taking()
        channel, self._channel = self._channel, None
        if channel is not None and not channel.is_closed:
            await close_quietly(channel)

    async def _stop_taking(self) -> None:
        """Take nothing more and return what was not yielded. What cannot be returned in time is returned with the
        channel, which counts as a delivery."""
        self._prefetch.on_change(lambda: None)
        if not await in_time(self._return_unseen(), LEAVE_WITHIN, f"leave-{self._queue}"):
            logger.warning("leaving %s: no answer within %g s", self._queue, LEAVE_WITHIN)

    async def _return_unseen(self) -> None:
        consumers, self._consumers = self._consumers, None
        for passing in tuple(self._passing):
            passing.cancel()
        self._changed.set()
        # To its end: a message that is being returned must not be returned twice.
        before = {*self._passing, *([] if self._adjusting is None else [self._adjusting])}
        if before:
            await asyncio.wait(before)
        channel = self._channel
        if consumers is None or channel is None or channel.is_closed:
            return
        try:
            async with asyncio.timeout(2):
                await consumers.stop()
            while self._unseen:
                await self._unseen.popleft().return_unseen()
        except (TransportError, AMQPChannelError, TimeoutError) as error:
            logger.warning("leaving %s: %s", self._queue, str(error) or "no answer")

    def settled(self, delivery: RabbitDelivery) -> None:
        """It was answered, so there is room for another."""
        self._held.discard(delivery)

    def _follow(self) -> None:
        """The prefetch was changed."""
        self._changed.set()
        if self._adjusting is None or self._adjusting.done():
            self._adjusting = asyncio.create_task(self._adjust(), name=f"prefetch-{self._queue}")

    async def _adjust(self) -> None:
        """Change the consumers until they fit, and return what is too much, the newest first. A channel that is lost
        meanwhile is opened again with the prefetch that is valid then."""
        adjusted: int | None = None
        while (consumers := self._consumers) is not None and adjusted != (most := self._prefetch.most):
            before = consumers.most
            if most > before and (pause := self._raise_at - time.monotonic()) > 0:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                continue
            self._raise_at = time.monotonic() + RAISE_APART
            try:
                await consumers.follow(most)
                while self._unseen and len(self._held) > max(consumers.most, self._prefetch.most):
                    await self._return_newest()
            except (TransportError, AMQPChannelError, TimeoutError) as error:
                logger.warning("changing the prefetch of %s: %s", self._queue, str(error) or "no answer")
                return
            adjusted = most if consumers.most == before else None

    async def _return_newest(self) -> None:
        """Return the newest message that no handler has seen. One that cannot be returned stays with the others,
        because the broker keeps it for this channel, where nobody else would work on it."""
        delivery = self._unseen.pop()
        try:
            await delivery.return_unseen()
        except BaseException:
            if delivery in self._held:  # not of a channel before this one
                self._unseen.append(delivery)
                self._news.set()
            raise

    async def publish_copy(self, copy: Publication, delay: float) -> None:
        """Publish to this queue, now or later. Raises TransportUnavailable, MessageRefused."""
        if delay > 0:
            await self.publish_delayed(copy, Wait.of(math.ceil(delay * 1000)))
            return
        answer = await self._publish(copy, self._queue)
        if answer is not None:
            raise answer

    async def publish_delayed(self, copy: Publication, wait: Wait) -> None:
        """Publish to the next delay queue of its wait. Raises TransportUnavailable, MessageRefused."""
        after = wait.after
        left: FieldTable = {} if after is None else {DELAY_LEFT: after.write()}
        copy = copy._replace(headers={**(copy.headers or {}), **left})
        answer = await self._publish(copy, await self._topology.delay_queue(self._queue, wait.rung))
        if isinstance(answer, Unroutable):
            self._topology.forget_delays()
            answer = await self._publish(copy, await self._topology.delay_queue(self._queue, wait.rung))
        if answer is not None:
            raise answer

    async def publish_dead(self, copy: Publication) -> None:
        """Publish to the dead letters. Raises TransportUnavailable, MessageRefused."""
        answer = await self._publish(copy, self._topology.dead_letters)
        if isinstance(answer, Unroutable):
            await self._topology.ensure_dead_letters()
            answer = await self._publish(copy, self._topology.dead_letters)
        if answer is not None:
            raise answer

    async def _publish(self, copy: Publication, queue: str) -> TransportError | None:
        to_queue = Publication("", queue, copy.body, copy.message_id, copy.headers)
        [answer] = await self._publisher.publish([to_queue])
        return answer

    async def _waits_on(self, delivery: RabbitDelivery) -> bool:
        """Move a message that has not waited long enough to its next delay queue."""
        wait = None if self.dead_letters else Wait.read(delivery.headers.get(DELAY_LEFT))
        if wait is None:
            return False
        await self._passed_on(delivery, lambda: delivery.wait_on(wait), "a delayed message")
        return True

    async def _exhausted(self, delivery: RabbitDelivery) -> bool:
        """Dead-letter a message that was delivered too often. The broker counts only deliveries in this queue since the
        last delay, and a queue declared by others may have no limit."""
        if self.dead_letters or delivery.deliveries <= self.limit:
            return False
        await self._passed_on(delivery, delivery.bury, "a dead letter")
        return True

    async def _passed_on(self, delivery: RabbitDelivery, pass_on: Callable[[], Awaitable[None]], what: str) -> None:
        """Send a message that no handler will get to another queue. If that is not possible now, it is retried in the
        background. Without retries, the message would take one of the consumer's places until the channel closes."""
        try:
            if await self._may_pass(delivery, pass_on, what):
                return
        except asyncio.CancelledError:
            self._unseen.appendleft(delivery)  # `_stop_taking` returns it
            raise
        passing = asyncio.create_task(self._pass_on_later(delivery, pass_on, what), name=f"pass-on-{self._queue}")
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)

    async def _pass_on_later(self, delivery: RabbitDelivery, pass_on: Callable[[], Awaitable[None]], what: str) -> None:
        pause = FIRST_PAUSE
        try:
            while True:
                await asyncio.sleep(pause)
                if await self._may_pass(delivery, pass_on, what):
                    return
                pause = min(pause * 2, LONGEST_PAUSE)
        except asyncio.CancelledError:
            self._unseen.appendleft(delivery)
            raise

    async def _may_pass(self, delivery: RabbitDelivery, pass_on: Callable[[], Awaitable[None]], what: str) -> bool:
        """Try once; True if there is nothing more to try."""
        try:
            await delivery.extend()
            await pass_on()
        except LeaseLost:
            return True  # the broker delivers it again
        except MessageRefused as error:
            logger.error("%s of %s stays where it is: %s", what, self._queue, error)
            return True
        except TransportError as error:
            logger.warning("%s of %s, trying again: %s", what, self._queue, error)
            return False
        return True

    async def _open(self) -> None:
        """A channel that consumes. Raises TransportUnavailable, Unroutable."""
        # These belong to the lost channel; the broker delivers them again.
        self._unseen.clear()
        self._held.clear()
        self._consumers = None
        if self.dead_letters:
            await self._topology.ensure_dead_letters()
        channel = await self._connection.channel()
        acks = Acks(channel)
        try:
            channel.closing.add_done_callback(acks.lost)
            channel.closing.add_done_callback(self._lost)
            channel.on_consumer_cancel_callbacks.add(partial(self._canceled, channel))
            consumers = Consumers(channel, self._queue, partial(self._arrived, acks))
            await consumers.follow(self._prefetch.most)
        except AMQPChannelError as error:
            await close_quietly(channel)
            raise Unroutable(f"{error}") from error
        except BaseException:
            await close_quietly(channel)
            raise
        self._channel, self._consumers = channel, consumers

    async def _arrived(self, acks: Acks, message: DeliveredMessage) -> None:
        delivery = RabbitDelivery(self, message.channel, acks, message)
        acks.arrived(delivery.tag)
        self._held.add(delivery)
        self._unseen.append(delivery)
        self._news.set()

    def _lost(self, closing: "asyncio.Future[object]") -> None:
        if not closing.cancelled():
            closing.exception()  # retrieved, so that asyncio logs no error
        self._news.set()

    def _canceled(self, channel: AbstractChannel, _: object) -> None:
        """The broker cancelled a consumer of this channel: its queue was deleted, or its node left. The channel may
        still be the one that is being opened, or already one before the current."""
        if self._channel is channel:
            self._channel = None
        # In a task of its own: the driver's reader, which calls this, ends with the channel.
        keep(close_quietly(channel))
        self._news.set()
