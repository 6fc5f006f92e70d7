"""One message that SQS hides from others for us, and the ways to return it or pass it on."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

from asya_crds import jsontext
from asya_transports.port import LeaseLost
from asya_transports.sqs import attributes
from asya_transports.sqs.leases import Lease
from asya_transports.sqs.receipts import LATE, Receipts


class Holder(Protocol):
    """What a delivery needs from its receiver. Publishing raises TransportUnavailable, MessageRefused."""

    actor: str
    dead_letters: bool
    receipts: Receipts

    @property
    def limit(self) -> int:
        """Deliveries before a message is dead-lettered."""

    def origin(self, arn: str) -> str:
        """The actor of the queue with this ARN."""

    def deaths(self, actor: str) -> int:
        """Deliveries of a message of this actor that SQS itself dead-lettered."""

    def settled(self, delivery: "SqsDelivery") -> None:
        """It is no longer ours."""

    async def publish_copy(
        self, body: bytes, values: Mapping[str, object], others: attributes.Attributes, delay: int
    ) -> None:
        """Send to this queue."""

    async def publish_dead(self, body: bytes, values: Mapping[str, object], others: attributes.Attributes) -> None:
        """Send to the dead letters."""


class SqsDelivery:
    """A received message, as a Delivery."""

    def __init__(self, owner: Holder, lease: Lease, message: Mapping[str, Any]) -> None:
        self.lease = lease
        self.replaced = False
        """Whether a copy or a dead letter is confirmed in its place. Then it is only to be acknowledged: another answer
        would multiply the message."""
        self._owner = owner
        self._body = str(message.get("Body", "")).encode(errors="replace")
        self._attributes: attributes.Attributes = message.get("MessageAttributes") or {}
        self._system: Mapping[str, str] = message.get("Attributes") or {}

    @property
    def actor(self) -> str:
        if not self._owner.dead_letters:
            return self._owner.actor
        if died_in := attributes.text(self._attributes, attributes.DIED_IN):
            return died_in
        if source := self._system.get("DeadLetterQueueSourceArn", ""):
            return self._owner.origin(source)
        return attributes.text(self._attributes, attributes.ACTOR) or _current_actor(self._body)

    @property
    def body(self) -> bytes:
        return self._body

    @property
    def deliveries(self) -> int:
        """SQS counts how often this copy was received."""
        before = attributes.number(self._attributes, attributes.DELIVERIES)
        if self._owner.dead_letters:
            if attributes.text(self._attributes, attributes.DIED_IN):
                return max(1, before)
            return before + self._owner.deaths(self.actor)
        return before + max(1, int(self._system.get("ApproximateReceiveCount", "1")))

    @property
    def moved_by_sqs(self) -> bool:
        """Whether it is a dead letter of which only its queue knows how often it was delivered."""
        return self._owner.dead_letters and not attributes.text(self._attributes, attributes.DIED_IN)

    @property
    def delay_left(self) -> int:
        """Seconds that it must still wait before a handler may have it."""
        return 0 if self._owner.dead_letters else attributes.number(self._attributes, attributes.DELAY_LEFT)

    @property
    def receipt(self) -> None:
        """Only SQS itself can delete it."""
        return None

    def acknowledged(self) -> None:
        raise RuntimeError("a delivery without a receipt is acknowledged by its holder alone")

    async def ack(self) -> None:
        try:
            await self._owner.receipts.delete(self.lease)
        except LeaseLost:
            self._owner.settled(self)
            raise
        self._owner.settled(self)

    async def nack(self, delay: float = 0.0) -> None:
        self.check()
        seconds = math.ceil(delay)
        if not self._owner.dead_letters and self.deliveries >= self._owner.limit:
            await self.bury()
        elif seconds > self.lease.longest():
            await self._replace(self.body, seconds, {attributes.DELIVERIES: self.deliveries})
        else:
            await self.show(seconds)

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        await self._replace(body, math.ceil(delay), {})

    async def extend(self) -> None:
        await self._owner.receipts.renew(self.lease)

    def check(self) -> None:
        """Raises LeaseLost if another consumer may have it."""
        if self.lease.expired():
            self._owner.settled(self)
            raise LeaseLost(LATE)

    async def show(self, seconds: int) -> None:
        """Return it; SQS counts the delivery."""
        if self.replaced:
            await self.ack()
            return
        try:
            await self._owner.receipts.show(self.lease, seconds)
        except LeaseLost:
            self._owner.settled(self)
            raise
        self._owner.settled(self)

    async def bury(self) -> None:
        """Move it to the dead letters with origin and count; it is removed here once that is confirmed."""
        self.check()
        marks = {attributes.DIED_IN: self._owner.actor, attributes.DELIVERIES: self.deliveries}
        if not self.replaced:
            await self._owner.publish_dead(self.body, marks, self._others)
            self.replaced = True
        await self.ack()

    async def return_unseen(self) -> None:
        """Return a message that no handler has seen: as a copy with the count of before, because SQS has counted."""
        if self._owner.dead_letters:
            await self.show(0)
        else:
            await self.wait_on()

    async def wait_on(self) -> None:
        """Send it on for the rest of its delay, uncounted: no handler has seen it."""
        await self._replace(self.body, self.delay_left, {attributes.DELIVERIES: self.deliveries - 1})

    @property
    def _others(self) -> dict[str, dict[str, Any]]:
        return attributes.of_others(self._attributes)

    async def _replace(self, body: bytes, delay: int, values: Mapping[str, object]) -> None:
        self.check()  # who has it by now would multiply it, too
        if self._owner.dead_letters:
            values = {**values, attributes.DIED_IN: self.actor, attributes.DELIVERIES: self.deliveries}
        if not self.replaced:
            await self._owner.publish_copy(body, values, self._others, delay)
            self.replaced = True
        await self.ack()


def _current_actor(body: bytes) -> str:
    """`route.curr` of an envelope; empty if it is none. For dead letters of other programs, where SQS does not name the
    queue in which they died."""
    try:
        current = jsontext.loads(body)["route"]["curr"]
    except (ValueError, TypeError, KeyError):
        return ""
    return current if isinstance(current, str) else ""
