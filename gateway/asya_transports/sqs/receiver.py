"""One stream of deliveries: polls, and gives back what nobody worked on."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import Any

from asya_crds.naming import DEAD_LETTERS
from asya_transports.bounded import ended, in_time
from asya_transports.port import LeaseLost, MessageRefused, Prefetch, TransportError, TransportUnavailable, Unroutable
from asya_transports.sqs import attributes
from asya_transports.sqs.batches import LARGEST_BATCH
from asya_transports.sqs.client import MOST_POLL_MARGIN, POLL_MARGIN
from asya_transports.sqs.delivery import SqsDelivery
from asya_transports.sqs.errors import NotAnswered
from asya_transports.sqs.lease_keeper import LeaseKeeper
from asya_transports.sqs.outgoing import outgoing
from asya_transports.sqs.publisher import Publisher
from asya_transports.sqs.queues import QueueUrls
from asya_transports.sqs.receipts import Receipts
from asya_transports.sqs.redrives import Redrives
from asya_transports.sqs.settings import SqsSettings

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
QUEUE_PAUSE = 1.0
"""Seconds between two checks for a missing queue. A queue that this program declared is declared again after this
pause, in which a worker whose actor is being deleted gets its signal to end."""
LEAVE_WITHIN = 5.0
"""Seconds for the return of messages. Those that cannot be returned are delivered again when their lease expires."""
RETURN_AFTER = 1.0
"""Seconds for which more messages may be held than there is room for: each that is returned is sent anew, and most of
them are begun in that time."""
MOST_POLLS = 8
"""Polls at a time while each of them finds as many messages as it asked for; otherwise there is one."""


def poll_ends_within(settings: SqsSettings) -> float:
    """Seconds from the beginning of a poll to its end, whether or not SQS answers."""
    return settings.wait_time + POLL_MARGIN + 1


class SqsReceiver:
    """The consumer of one queue."""

    def __init__(
        self,
        queues: QueueUrls,
        publisher: Publisher,
        receipts: Receipts,
        keeper: LeaseKeeper,
        settings: SqsSettings,
        actor: str,
        prefetch: Prefetch,
    ) -> None:
        self.actor = actor
        self.dead_letters = actor == DEAD_LETTERS
        self.receipts = receipts
        self._queues = queues
        self._publisher = publisher
        self._keeper = keeper
        self._settings = settings
        self._name = queues.name(actor)
        self._redrives = Redrives(queues)
        self._prefetch = prefetch
        self._held: set[SqsDelivery] = set()
        self._unseen: deque[SqsDelivery] = deque()
        self._polls: set[asyncio.Task[None]] = set()
        """Until they have handed on what they brought."""
        self._polling = 0
        self._asked = 0
        """Messages that the polls under way may bring."""
        self._more = False
        """Whether the last poll found as many messages as it asked for."""
        self._error: TransportError | None = None
        self._pause = FIRST_PAUSE
        self._margin = POLL_MARGIN
        self._returning: set[asyncio.Task[None]] = set()
        self._too_much: asyncio.TimerHandle | None = None
        """When what is too much then is returned."""
        self._stopping = False
        self._news = asyncio.Event()
        prefetch.on_change(self._follow)

    @property
    def limit(self) -> int:
        """Deliveries before a message is dead-lettered."""
        return self._queues.limit(self.actor)

    def origin(self, arn: str) -> str:
        """The actor of the queue with this ARN."""
        return self._queues.origin(arn)

    def deaths(self, actor: str) -> int:
        """Deliveries of a message of this actor that SQS itself dead-lettered."""
        return self._redrives.deliveries(actor)

    async def stream(self) -> AsyncGenerator[SqsDelivery]:
        """The deliveries, until it is closed. Then nothing more is asked for, and messages that were not yielded are
        returned."""
        try:
            while True:
                while self._unseen:
                    delivery = self._unseen.popleft()
                    if await self._passed_on(delivery):
                        continue
                    self._ask()
                    yield delivery
                self._news.clear()
                await self._recover()
                self._ask()
                if not self._unseen:
                    await self._news.wait()
        finally:
            await self._stop_taking()

    async def leave(self) -> None:
        """Return unanswered messages. The polls under way are waited for, never aborted: SQS would hide what they find
        from everybody for the visibility timeout, and count it as delivered."""
        try:
            await self._stop_taking()
            if self._polls:
                polls = asyncio.ensure_future(asyncio.wait(set(self._polls)))
                await ended(polls, poll_ends_within(self._settings))
                await self._in_time(self._returned())
            await self._in_time(self._show(list(self._held)))
        finally:
            for delivery in list(self._held):  # no answer came in time, and others are to have it
                self.settled(delivery)

    def settled(self, delivery: SqsDelivery) -> None:
        """It is no longer ours, so there is room for another."""
        self._keeper.release(delivery.lease)
        self._held.discard(delivery)
        self._news.set()

    async def publish_copy(
        self, body: bytes, values: Mapping[str, object], others: attributes.Attributes, delay: int
    ) -> None:
        """Send to this queue. Raises TransportUnavailable, MessageRefused."""
        await self._publish(self.actor, body, {attributes.ACTOR: self.actor, **values}, others, delay)

    async def publish_dead(self, body: bytes, values: Mapping[str, object], others: attributes.Attributes) -> None:
        """Send to the dead letters. Raises TransportUnavailable, MessageRefused."""
        marks = {attributes.ACTOR: self.actor, **values}
        try:
            await self._publish(DEAD_LETTERS, body, marks, others, 0)
        except TransportUnavailable:
            await self._queues.dead_letters()
            await self._publish(DEAD_LETTERS, body, marks, others, 0)

    async def _publish(
        self, actor: str, body: bytes, values: Mapping[str, object], others: attributes.Attributes, delay: int
    ) -> None:
        message = outgoing(body, values, others, delay=delay, most=self._settings.message_bytes)
        answer = await self._publisher.publish(actor, message)
        if isinstance(answer, Unroutable):
            raise TransportUnavailable(str(answer)) from answer  # it is declared again, and nothing is lost meanwhile
        if answer is not None:
            raise answer

    def _ask(self) -> None:
        """Begin polls while there is room. Ahead of time only for several messages, so that a busy receiver makes few
        requests."""
        most = self._prefetch.most
        while self._polling < (MOST_POLLS if self._more else 1):
            room = min(LARGEST_BATCH, most - len(self._held) - self._asked)
            if room <= 0 or (self._unseen and room < min(LARGEST_BATCH, most // 2)):
                return
            self._asked += room
            self._polling += 1
            poll = asyncio.create_task(self._poll(room), name=f"poll-{self._name}")
            self._polls.add(poll)
            poll.add_done_callback(self._polls.discard)

    async def _poll(self, count: int) -> None:
        margin = self._margin
        try:
            received = await self._keeper.poll(await self._found(), count, self._settings.wait_time, margin)
        except TransportError as error:
            self._error, self._more = error, False
            received = []
            if isinstance(error, NotAnswered):
                self._margin = min(margin * 2, MOST_POLL_MARGIN)
        else:
            self._error, self._more, self._pause = None, len(received) == count, FIRST_PAUSE
            self._margin = POLL_MARGIN
        finally:
            self._asked -= count
            self._polling -= 1
            self._news.set()  # whatever ended the poll: else nothing would begin the next one
        for message, lease in received:
            delivery = SqsDelivery(self, lease, message)
            self._held.add(delivery)
            self._unseen.append(delivery)
        if self._stopping:
            await self._return_unseen()
        elif len(self._held) > self._prefetch.most:  # it was lowered in the meantime
            self._follow()

    async def _found(self) -> str:
        """The queue's URL. Only dead letters need no declaration."""
        return await (self._queues.dead_letters() if self.dead_letters else self._queues.url(self.actor))

    async def _recover(self) -> None:
        """Wait after a poll that failed, and declare the queue again if it is missing."""
        error, self._error = self._error, None
        if error is None:
            return
        if isinstance(error, Unroutable):
            self._queues.forget(self.actor)
            logger.warning("receiving from %s: %s", self._name, error)
            await asyncio.sleep(QUEUE_PAUSE * random.uniform(1.0, 2.0))  # noqa: S311 # spreads, no secret
            try:
                await self._queues.declare_again(self.actor)
            except TransportError as again:
                logger.warning("declaring %s again: %s", self._name, again)
            return
        logger.warning("receiving from %s: %s; again in %.1f s", self._name, error, self._pause)
        await asyncio.sleep(self._pause * random.uniform(0.8, 1.2))  # noqa: S311 # spreads, no secret
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _passed_on(self, delivery: SqsDelivery) -> bool:
        """Whether no handler gets it: it must wait longer, was delivered too often, or is no longer ours."""
        if delivery.lease.expired():
            self.settled(delivery)
            return True
        if delivery.delay_left:
            return await self._pass_on(delivery, delivery.wait_on, "a delayed message")
        if delivery.moved_by_sqs:
            await self._redrives.learn(delivery.actor)
        if not self.dead_letters and delivery.deliveries > self.limit:
            return await self._pass_on(delivery, delivery.bury, "a dead letter")
        return False

    async def _pass_on(self, delivery: SqsDelivery, pass_on: Callable[[], Awaitable[None]], what: str) -> bool:
        """Send it elsewhere. If that is not possible now, it comes again when its lease expires."""
        try:
            await pass_on()
        except asyncio.CancelledError:
            self._unseen.appendleft(delivery)  # `_stop_taking` returns it
            raise
        except LeaseLost:
            pass
        except (TransportUnavailable, MessageRefused) as error:
            logger.warning("%s of %s comes again later: %s", what, self._name, error)
            self.settled(delivery)
        return True

    async def _stop_taking(self) -> None:
        self._prefetch.on_change(lambda: None)
        if self._too_much is not None:
            self._too_much.cancel()
        self._stopping = True
        await self._in_time(self._returned())

    async def _returned(self) -> None:
        await self._return_unseen()
        if self._returning:
            await asyncio.wait(set(self._returning))

    async def _in_time(self, returning: Coroutine[Any, Any, None]) -> None:
        if not await in_time(returning, LEAVE_WITHIN, f"leave-{self._name}"):
            logger.warning("leaving %s: no answer within %g s", self._name, LEAVE_WITHIN)

    def _follow(self) -> None:
        """The prefetch was changed: take more, or return what stays too much."""
        if self._surplus > 0 and self._too_much is None:
            self._too_much = asyncio.get_running_loop().call_later(RETURN_AFTER, self._return_surplus)
        self._news.set()

    @property
    def _surplus(self) -> int:
        """Messages that are held beyond the prefetch and may be returned."""
        return min(len(self._held) - self._prefetch.most, len(self._unseen))

    def _return_surplus(self) -> None:
        """The newest first."""
        self._too_much = None
        returned = [self._unseen.pop() for _ in range(self._surplus)]
        if not returned:
            return
        returning = asyncio.create_task(self._return(returned), name=f"return-{self._name}")
        self._returning.add(returning)
        returning.add_done_callback(self._returning.discard)

    async def _return_unseen(self) -> None:
        unseen = list(self._unseen)
        self._unseen.clear()
        await self._return(unseen)

    async def _return(self, unseen: list[SqsDelivery]) -> None:
        """As copies that keep the count. What cannot be returned comes again when its lease expires."""
        await self._answered(unseen, [delivery.return_unseen() for delivery in unseen])

    async def _show(self, held: list[SqsDelivery]) -> None:
        await self._answered(held, [delivery.show(0) for delivery in held])

    async def _answered(self, deliveries: list[SqsDelivery], answers: list[Awaitable[None]]) -> None:
        errors = await asyncio.gather(*answers, return_exceptions=True)
        for delivery, error in zip(deliveries, errors, strict=True):
            if isinstance(error, TransportError):
                logger.warning("returning a message of %s: %s", self._name, error)
                self.settled(delivery)
            elif error is not None:
                raise error
