"""One message that we hold, and the ways to answer it or pass it on."""

import time
from collections.abc import Mapping
from typing import Protocol

from asya_transports.port import LeaseLost
from asya_transports.pubsub import delays
from asya_transports.pubsub.attributes import (
    DEAD_COUNT,
    DEAD_SOURCE,
    DELAY,
    DELIVERIES,
    DIED_IN,
    copied,
    count,
    delay_of,
    with_delay,
)
from asya_transports.pubsub.delays import MOST_ATTEMPTS, remaining
from asya_transports.pubsub.leases import Lease
from asya_transports.pubsub.publisher import Publication


class Holder(Protocol):
    """What a delivery needs from its receiver. All of these raise TransportUnavailable; publishing raises
    MessageRefused, too."""

    actor: str
    dead_letters: bool

    @property
    def limit(self) -> int:
        """Deliveries before a message is dead-lettered."""

    def origin(self, subscription: str) -> str:
        """The actor of a subscription."""

    def settled(self, delivery: "PubSubDelivery") -> None:
        """It is not ours any more."""

    async def acknowledge(self, lease: Lease) -> None:
        """The message is deleted."""

    async def renew(self, lease: Lease) -> None:
        """Renew the lease by its full length."""

    async def release(self, lease: Lease, delay: float) -> None:
        """Let the service deliver the message again after so many seconds."""

    async def publish(self, copy: Publication) -> None:
        """Publish to an actor's topic."""

    async def publish_dead(self, body: bytes, attributes: Mapping[str, str]) -> None:
        """Publish to the dead letters."""


class PubSubDelivery:
    """A message under our lease, as a Delivery."""

    def __init__(
        self, owner: Holder, lease: Lease, body: bytes, attributes: Mapping[str, str], attempt: int, published: float
    ) -> None:
        """`attempt`: the service's count of deliveries, 0 if it counts none; `published`: seconds since the epoch,
        by our clock."""
        self.replaced = False
        """Whether a copy or a dead letter is confirmed in its place. Then it is only to be acknowledged: another answer
        would multiply the message."""
        self._owner = owner
        self.lease = lease
        self._body = body
        self._attributes = attributes
        self._attempt = attempt
        self._published = published

    @property
    def actor(self) -> str:
        if not self._owner.dead_letters:
            return self._owner.actor
        died_in = self._attributes.get(DIED_IN)
        return died_in if died_in is not None else self._owner.origin(self._attributes.get(DEAD_SOURCE, ""))

    @property
    def body(self) -> bytes:
        return self._body

    @property
    def deliveries(self) -> int:
        before = count(self._attributes, DELIVERIES)
        if not self._owner.dead_letters:
            return before + max(self._attempt, 1)
        if DIED_IN in self._attributes:
            return max(before, 1)
        return max(before + count(self._attributes, DEAD_COUNT), 1)

    @property
    def receipt(self) -> None:
        """No database holds the queues."""
        return None

    @property
    def wait(self) -> float | None:
        """Seconds that are left of its delay, or less than 0; None if it was published without one."""
        delay = delay_of(self._attributes)
        now = time.time()  # noqa: TID251 # ServiceClock has made the time of publishing one of this clock
        return None if delay is None else remaining(delay, self._published, now)

    @property
    def exhausted(self) -> bool:
        """Whether it was delivered too often before."""
        return not self._owner.dead_letters and self.deliveries > self._owner.limit

    def acknowledged(self) -> None:
        raise RuntimeError("a delivery without a receipt is acknowledged by its holder alone")

    async def ack(self) -> None:
        self._check()
        try:
            await self._owner.acknowledge(self.lease)
        except LeaseLost:
            self._owner.settled(self)
            raise
        self._owner.settled(self)

    async def nack(self, delay: float = 0.0) -> None:
        self._check()
        if self._owner.dead_letters:
            await self._release(delay)
        elif self.deliveries >= self._owner.limit:
            await self._bury(self.deliveries)
        elif self._attempt == 0 or delay > delays.LONGEST_DELAY:
            await self._replace(self.body, {DELIVERIES: str(self.deliveries), **with_delay(delay)})
        else:
            await self._release(delay)

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        self._check()
        await self._replace(body, with_delay(delay))

    async def extend(self) -> None:
        self._check()
        await self._owner.renew(self.lease)

    async def bury(self) -> None:
        """Move it to the dead letters. Nobody has worked on this delivery, so it does not count."""
        self._check()
        await self._bury(self.deliveries - 1)

    async def return_unseen(self) -> None:
        """Return a message that no handler has seen, without counting this delivery."""
        self._check()
        wait = self.wait
        if self._owner.dead_letters or wait is not None:  # in both cases the service's count is not used
            await self._release(wait or 0.0)
        else:
            await self._replace(self.body, {DELIVERIES: str(self.deliveries - 1)})

    async def defer(self, wait: float) -> None:
        """Hold it back for what is left of its delay, or replace it by a copy without a delay, whose count of
        deliveries begins with the work on it."""
        self._check()
        if wait <= 0:
            await self._replace(self.body, self._counted)
        elif self._attempt < MOST_ATTEMPTS:
            await self._release(wait)
        else:
            await self._replace(self.body, {**self._counted, **with_delay(wait)})

    @property
    def _counted(self) -> dict[str, str]:
        return {DELIVERIES: self._attributes[DELIVERIES]} if DELIVERIES in self._attributes else {}

    def _check(self) -> None:
        if self.lease.expired:
            self._owner.settled(self)
            raise LeaseLost("the lease has expired, Pub/Sub delivers the message again")

    async def _release(self, delay: float) -> None:
        if self.replaced:
            await self.ack()
            return
        try:
            await self._owner.release(self.lease, delay)
        except LeaseLost:
            self._owner.settled(self)
            raise
        self._owner.settled(self)

    async def _bury(self, deliveries: int) -> None:
        marks = {DIED_IN: self._owner.actor, DELIVERIES: str(max(deliveries, 1))}
        if not self.replaced:
            await self._owner.publish_dead(self.body, {**copied(self._attributes), **marks})
            self.replaced = True
        await self.ack()

    async def _replace(self, body: bytes, marks: Mapping[str, str]) -> None:
        if self._owner.dead_letters:
            kept = {name: self._attributes[name] for name in (DIED_IN, DELIVERIES) if name in self._attributes}
            marks = {**kept, **{name: value for name, value in marks.items() if name == DELAY}}
        if not self.replaced:
            await self._owner.publish(Publication(self._owner.actor, body, {**copied(self._attributes), **marks}))
            self.replaced = True
        await self.ack()
