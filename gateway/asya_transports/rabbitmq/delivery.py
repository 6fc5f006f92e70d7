"""One message that the broker holds for our channel, and the ways to return it or pass it on."""

from typing import Protocol

from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import AMQPChannelError
from pamqp.common import FieldTable

from asya_transports.port import LeaseLost, TransportUnavailable
from asya_transports.rabbitmq.acks import Acks
from asya_transports.rabbitmq.connection import answer_of, port_errors
from asya_transports.rabbitmq.delays import Wait
from asya_transports.rabbitmq.frames import Publication
from asya_transports.rabbitmq.headers import DELAY_LEFT, DELIVERIES, DIED_IN, copied, count

NACK_WITHIN = 5.0
"""Seconds until a return must be written to the connection."""


class Holder(Protocol):
    """What a delivery needs from its consumer. Publishing raises TransportUnavailable, MessageRefused."""

    actor: str
    dead_letters: bool

    @property
    def limit(self) -> int:
        """Deliveries before a message is dead-lettered."""

    def origin(self, queue: object) -> str:
        """The actor for a queue's name."""

    def deaths(self, actor: str, reason: str) -> int:
        """Deliveries of a message that the broker itself dead-lettered."""

    def settled(self, delivery: "RabbitDelivery") -> None:
        """The broker no longer holds it for our channel."""

    async def publish_copy(self, copy: Publication, delay: float) -> None:
        """Publish to this queue, now or later."""

    async def publish_delayed(self, copy: Publication, wait: Wait) -> None:
        """Publish to the next delay queue of its wait."""

    async def publish_dead(self, copy: Publication) -> None:
        """Publish to the dead letters."""


class RabbitDelivery:
    """A message that the broker holds for our channel, as a Delivery."""

    def __init__(self, owner: Holder, channel: AbstractChannel, acks: Acks, message: DeliveredMessage) -> None:
        self._owner = owner
        self._acks = acks
        self._channel = channel
        self._message = message
        self.headers: FieldTable = message.header.properties.headers or {}
        self.counted = "x-delivery-count" in self.headers or not message.redelivered

    @property
    def actor(self) -> str:
        if not self._owner.dead_letters:
            return self._owner.actor
        died_in = self.headers.get(DIED_IN)
        return str(died_in) if died_in is not None else self._owner.origin(self._death("queue"))

    @property
    def body(self) -> bytes:
        return self._message.body

    @property
    def deliveries(self) -> int:
        """The broker counts only in quorum queues; in others it only marks a redelivery."""
        if self._owner.dead_letters and DIED_IN in self.headers:
            return count(self.headers.get(DELIVERIES))
        before = count(self.headers.get(DELIVERIES))
        if self._owner.dead_letters:
            return before + self._owner.deaths(self.actor, str(self._death("reason")))
        again = 1 if self._message.redelivered else 0
        return before + max(count(self.headers.get("x-delivery-count")), again) + 1

    @property
    def receipt(self) -> None:
        """Only the channel that received a message can acknowledge it."""
        return None

    def acknowledged(self) -> None:
        raise RuntimeError("a delivery without a receipt is acknowledged by its holder alone")

    async def ack(self) -> None:
        if self._channel.is_closed:
            raise LeaseLost("its channel is closed, the broker delivers it again")
        try:
            with port_errors():
                await self._acks.add(self.tag)
        except (TransportUnavailable, AMQPChannelError) as error:
            raise LeaseLost(f"its channel is closed: {error}") from error
        self._owner.settled(self)

    async def nack(self, delay: float = 0.0) -> None:
        if not self._owner.dead_letters and self.deliveries >= self._owner.limit:
            await self.bury()
        elif delay > 0 or not self.counted:
            await self._replace(self.body, delay, {DELIVERIES: self.deliveries})
        else:
            await self._reject()

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        await self._replace(body, delay, {})

    async def extend(self) -> None:
        """The broker holds the message as long as the channel is open."""
        if self._channel.is_closed:
            raise LeaseLost("its channel is closed, the broker delivers it again")

    async def bury(self) -> None:
        """Move it to the dead letters with origin and count; it is removed here once that is confirmed."""
        marks: FieldTable = {DIED_IN: self._owner.actor, DELIVERIES: self.deliveries}
        await self._owner.publish_dead(self._copy(self.body, marks))
        await self.ack()

    async def return_unseen(self) -> None:
        """Return a message that no handler has seen, without the broker counting a delivery."""
        marks: FieldTable = {DELIVERIES: self.deliveries - 1}
        if (wait := Wait.read(self.headers.get(DELAY_LEFT))) is not None:
            marks[DELAY_LEFT] = wait.write()
        if self._owner.dead_letters:
            await self._reject()
        else:
            await self._replace(self.body, 0.0, marks)

    async def wait_on(self, wait: Wait) -> None:
        """Move it to the next delay queue: it left one before its time, and no handler has seen it."""
        marks: FieldTable = {DELIVERIES: self.deliveries - 1}
        await self._owner.publish_delayed(self._copy(self.body, marks), wait)
        await self.ack()

    @property
    def tag(self) -> int:
        """The delivery tag on its channel."""
        tag = self._message.delivery_tag
        if tag is None:
            raise LeaseLost("the delivery has no tag")
        return int(tag)

    async def _replace(self, body: bytes, delay: float, marks: FieldTable) -> None:
        if self._owner.dead_letters:
            marks = {**marks, DIED_IN: self.actor, DELIVERIES: self.deliveries}
        await self._owner.publish_copy(self._copy(body, marks), delay)
        await self.ack()

    async def _reject(self) -> None:
        try:
            await answer_of(self._channel.basic_nack(self.tag, requeue=True), NACK_WITHIN)
            self._acks.rejected(self.tag)
        except (TransportUnavailable, AMQPChannelError) as error:
            raise LeaseLost(f"its channel is closed: {error}") from error
        self._owner.settled(self)

    def _copy(self, body: bytes, marks: FieldTable) -> Publication:
        message_id = self._message.header.properties.message_id or ""
        return Publication("", "", body, message_id, {**copied(self.headers), **marks})

    def _death(self, key: str) -> object:
        deaths = self.headers.get("x-death")
        latest = deaths[0] if isinstance(deaths, list) and deaths else {}
        return latest.get(key, "") if isinstance(latest, dict) else ""
