"""One stream of deliveries: takes batches, waits for the bell, returns unanswered messages."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from asya_crds.naming import DEAD_LETTERS
from asya_transports.bounded import in_time
from asya_transports.port import LeaseLost, Prefetch, Receipt, TransportUnavailable
from asya_transports.postgres import statements
from asya_transports.postgres.answers import Acknowledgements
from asya_transports.postgres.lease_keeper import LeaseKeeper
from asya_transports.postgres.pool import ConnectionPool, message_errors

logger = logging.getLogger(__name__)

MAX_TAKE = 256
"""Most messages of one take; their bodies are in memory at the same time."""
DECLARE_EVERY = 5.0
"""Seconds between two declarations of a queue with a consumer, in case it was deleted."""
LEAVE_WITHIN = 5.0
"""Seconds for the return of messages. Those that cannot be returned are redelivered when their lease expires."""
PATIENCE = 1 / 3
"""Share of the visibility timeout for which a newly connected receiver does not take messages that others had taken."""


class PostgresDelivery:
    """A taken row, as a Delivery."""

    def __init__(
        self, owner: "PostgresReceiver", message: int, receipt: UUID, actor: str, deliveries: int, body: bytes
    ):
        self._owner = owner
        self.message = message
        self.lease = receipt
        self._actor = actor
        self._deliveries = deliveries
        self._body = body

    @property
    def actor(self) -> str:
        return self._actor

    @property
    def body(self) -> bytes:
        return self._body

    @property
    def deliveries(self) -> int:
        return self._deliveries

    @property
    def receipt(self) -> Receipt:
        return Receipt(self.message, str(self.lease))

    def acknowledged(self) -> None:
        self._owner.answered(self)

    async def ack(self) -> None:
        try:
            await self._owner.acknowledgements.add(self.message, self.lease)
        except LeaseLost:
            self._owner.answered(self)
            raise
        self._owner.answered(self)

    async def nack(self, delay: float = 0.0) -> None:
        await self._owner.put_back(self, delay)

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        await self._owner.replace(self, body, delay)

    async def extend(self) -> None:
        await self._owner.extend(self)


class PostgresReceiver:
    """The consumer of one queue. `limit` is the number of deliveries if the queue is not declared (None: unlimited)."""

    def __init__(
        self,
        pool: ConnectionPool,
        keeper: LeaseKeeper,
        acknowledgements: Acknowledgements,
        *,
        queue: str,
        actor: str,
        dead_letters: str,
        limit: int | None,
        prefetch: Prefetch,
        visibility_timeout: float,
        poll_interval: float,
        ring: Callable[[list[str]], None],
        declare: Callable[[], Awaitable[None]],
    ) -> None:
        self.acknowledgements = acknowledgements
        self._pool = pool
        self._keeper = keeper
        self._queue = queue
        self.actor = actor
        self._dead_letters = dead_letters
        self._limit = limit
        self._prefetch = prefetch
        self._visibility = timedelta(seconds=visibility_timeout)
        self._poll_interval = poll_interval
        self._ring = ring
        self._declare = declare
        self._declare_at = time.monotonic() + DECLARE_EVERY
        self._held: dict[int, PostgresDelivery] = {}
        self._untouched: deque[PostgresDelivery] = deque()
        self._look = asyncio.Event()
        self._look.set()
        self._taking: asyncio.Task[None] | None = None
        self._returning: set[asyncio.Task[None]] = set()
        self._more = False
        """Whether the last take found as many messages as it asked for."""
        self._news = True
        """Whether the bell has rung since the last take began."""
        self._poll_at = 0.0
        self._patient_until = 0.0
        prefetch.on_change(self._follow)

    def rung(self) -> None:
        """Try to take messages now."""
        self._news = True
        self._look.set()

    async def stream(self) -> AsyncGenerator[PostgresDelivery]:
        """The deliveries, until it is closed. Then nothing more is taken, and messages that were not yielded are
        returned."""
        pause = 0.1
        self._be_patient()
        try:
            while True:
                while self._untouched:
                    delivery = self._untouched.popleft()
                    self._take_ahead()
                    yield delivery
                self._look.clear()
                if self._taking is not None or (self._due and len(self._held) < self._prefetch.most):
                    try:
                        await self._declare_again()
                        await self._take()
                        pause = 0.1
                    except TransportUnavailable as error:
                        logger.warning("taking from %s: %s", self._queue, error)
                        self._be_patient()
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, self._poll_interval)
                        self.rung()
                if not self._untouched:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._until_poll):
                            await self._look.wait()
        finally:
            await self._stop_taking()

    @property
    def _due(self) -> bool:
        """Whether there may be messages that the last take did not see. A take that found fewer than it asked for has
        emptied the queue, so the next one waits for the bell or the poll."""
        return self._news or self._more or time.monotonic() >= self._poll_at

    @property
    def _until_poll(self) -> float:
        """Seconds; a whole interval if there is no room to take messages, since an answered one ends the wait."""
        left = self._poll_at - time.monotonic()
        return left if left > 0 and len(self._held) < self._prefetch.most else self._poll_interval

    def _take_ahead(self) -> None:
        """Begin the next take while messages are left: when half of what may be held has room, so that a busy receiver
        makes few large takes, and if the last one found as many as it asked for."""
        room = self._prefetch.most - len(self._held)
        worth = self._more and room > self._prefetch.most // 2
        if worth and self._taking is None and time.monotonic() < self._declare_at:
            self._begin_take()

    async def _declare_again(self) -> None:
        """Messages are also taken from undeclared queues, but publishing to them is refused."""
        if time.monotonic() >= self._declare_at:
            self._declare_at = time.monotonic() + DECLARE_EVERY
            await self._declare()

    def _be_patient(self) -> None:
        """For a while, do not take messages that others had taken. After a database outage every lease has expired, and
        live consumers need time to renew theirs, which they do as soon as they are connected again."""
        self._patient_until = time.monotonic() + self._visibility.total_seconds() * PATIENCE

    async def leave(self) -> None:
        """Return unanswered messages. Those that cannot be returned now are redelivered when their lease expires."""
        await self._stop_taking()
        await self._in_time(self._give_back(list(self._held.values()), untouched=False))

    async def _stop_taking(self) -> None:
        self._prefetch.on_change(lambda: None)
        await self._in_time(self._return_untouched())

    async def _in_time(self, returning: Coroutine[Any, Any, None]) -> None:
        if not await in_time(returning, LEAVE_WITHIN, f"leave-{self._queue}"):
            logger.warning("leaving %s: no answer within %g s", self._queue, LEAVE_WITHIN)

    async def _return_untouched(self) -> None:
        if self._taking is not None:
            with contextlib.suppress(TransportUnavailable):
                await self._taking
        untouched = list(self._untouched)
        self._untouched.clear()
        await self._give_back(untouched, untouched=True)
        await asyncio.gather(*self._returning)

    def _follow(self) -> None:
        """The prefetch was changed: take more, or return what is too much, the newest first."""
        surplus = min(len(self._held) - self._prefetch.most, len(self._untouched))
        if surplus <= 0:
            self._look.set()
            return
        returned = [self._untouched.pop() for _ in range(surplus)]
        returning = asyncio.create_task(self._give_back(returned, untouched=True), name=f"return-{self._queue}")
        self._returning.add(returning)
        returning.add_done_callback(self._returning.discard)

    async def _give_back(self, held: Sequence[PostgresDelivery], *, untouched: bool) -> None:
        for delivery in held:
            self._held.pop(delivery.message, None)
            self._keeper.release(delivery.message, delivery.lease)
        if not held:
            return
        try:
            async with self._pool.connection() as connection:
                await connection.execute(
                    statements.GIVE_BACK,
                    [delivery.message for delivery in held],
                    [delivery.lease for delivery in held],
                    [untouched] * len(held),
                )
        except TransportUnavailable as error:
            logger.warning("returning %d messages of %s: %s", len(held), self._queue, error)
        self._ring([self.actor])

    def answered(self, delivery: PostgresDelivery) -> None:
        """The delivery is no longer ours, so there is room for another."""
        self._keeper.release(delivery.message, delivery.lease)
        current = self._held.get(delivery.message)
        if current is delivery:
            del self._held[delivery.message]
            self._look.set()

    async def put_back(self, delivery: PostgresDelivery, delay: float) -> None:
        """Return it to the queue, or move it to the dead letters if its deliveries are used up."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(
                statements.NACK,
                delivery.message,
                delivery.lease,
                self._queue,
                timedelta(seconds=delay),
                self._limit,
                self._dead_letters,
                self.actor,
            )
        self._done(delivery, found=row is not None)
        if row is not None and row["died"]:
            self._ring([DEAD_LETTERS])
        elif delay <= 0:
            self._ring([self.actor])

    async def replace(self, delivery: PostgresDelivery, body: bytes, delay: float) -> None:
        """Replace the body of the row and reset it like a new message."""
        async with self._pool.connection() as connection:
            with message_errors():
                row = await connection.fetchrow(
                    statements.REQUEUE, delivery.message, delivery.lease, body, timedelta(seconds=delay)
                )
        self._done(delivery, found=row is not None)
        if delay <= 0:
            self._ring([self.actor])

    async def extend(self, delivery: PostgresDelivery) -> None:
        """Extend the lease to a full visibility timeout from now."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(statements.EXTEND, [delivery.message], [delivery.lease], self._visibility)
        if not rows:
            raise LeaseLost("the lease expired and the message was delivered again")

    def _done(self, delivery: PostgresDelivery, *, found: bool) -> None:
        self.answered(delivery)
        if not found:
            raise LeaseLost("the lease expired and the message was delivered again")

    async def _take(self) -> None:
        taking = self._taking
        if taking is None:
            taking = self._begin_take()
        else:
            # It began before the last bell, and may not have seen what that rang for.
            self._look.set()
        try:
            await asyncio.shield(taking)
        finally:
            if taking.done():
                self._taking = None

    def _begin_take(self) -> "asyncio.Task[None]":
        self._news, self._poll_at = False, time.monotonic() + self._poll_interval
        # A separate task: a reader that is cancelled during a take must not leave the rows to their leases.
        self._taking = taking = asyncio.create_task(self._take_batch(), name=f"take-{self._queue}")
        taking.add_done_callback(self._taken)
        return taking

    def _taken(self, taking: "asyncio.Task[None]") -> None:
        """Forget a take that succeeded. The error of one that did not is raised where the next one would begin."""
        if self._taking is taking and not taking.cancelled() and taking.exception() is None:
            self._taking = None

    async def _take_batch(self) -> None:
        room = min(self._prefetch.most - len(self._held), MAX_TAKE)
        if room <= 0:  # it was lowered since the take began, which is due again when there is room
            self._news = True
            return
        async with self._pool.connection() as connection:
            rows = await connection.fetch(
                statements.TAKE,
                self._queue,
                room,
                self._visibility,
                self._limit,
                self._dead_letters,
                self.actor,
                time.monotonic() >= self._patient_until,
            )
        self._more = len(rows) == room
        died = False
        for row in sorted(rows, key=lambda row: row["id"]):
            if row["receipt"] is None:
                died = True
                continue
            actor, deliveries = row["died_in"] or self.actor, row["died_after"] or row["deliveries"]
            delivery = PostgresDelivery(self, row["id"], row["receipt"], actor, deliveries, row["body"])
            self._held[delivery.message] = delivery
            self._keeper.hold(delivery.message, delivery.lease)
            self._untouched.append(delivery)
        if len(self._held) > self._prefetch.most:  # it was lowered in the meantime
            self._follow()
        if died:
            self.rung()
            self._ring([DEAD_LETTERS])
