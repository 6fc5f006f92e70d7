"""Returning a message whose handler did not end within its worker's shutdown time."""

import asyncio
import logging

from asya_actor.forwarding import given_back, given_back_before, redeliveries_of
from asya_actor.publishing import settle
from asya_crds.envelope import Envelope, InvalidEnvelope
from asya_transports.bounded import ended
from asya_transports.port import Delivery, Receipt, TransportError

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds. A message that cannot be returned by then is redelivered when the worker is gone, and that counts as a
delivery."""


class TrackedDelivery:
    """A delivery that records whether its answer has begun; after that there is nothing to return."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self.begun = False

    @property
    def actor(self) -> str:
        return self._delivery.actor

    @property
    def body(self) -> bytes:
        return self._delivery.body

    @property
    def deliveries(self) -> int:
        return self._delivery.deliveries

    @property
    def receipt(self) -> Receipt | None:
        return self._delivery.receipt

    def acknowledged(self) -> None:
        self.begun = True
        self._delivery.acknowledged()

    async def ack(self) -> None:
        self.begun = True
        await self._delivery.ack()

    async def nack(self, delay: float = 0.0) -> None:
        self.begun = True
        await self._delivery.nack(delay)

    async def requeue(self, body: bytes, delay: float = 0.0) -> None:
        self.begun = True
        await self._delivery.requeue(body, delay)

    async def extend(self) -> None:
        await self._delivery.extend()

    async def give_back(self) -> None:
        """Return the message to another worker at once, without counting a delivery, because an orderly shutdown is not
        a worker's death."""
        if self.begun:
            return
        body, deliveries = self._delivery.body, self._delivery.deliveries
        try:
            envelope = Envelope.from_json(body)
        except InvalidEnvelope:
            what = "a message that is not an envelope"
        else:
            what = f"task {envelope.id}, given back {given_back_before(envelope) + 1} times so far"
            body = given_back(envelope, redeliveries_of(envelope) + deliveries - 1).to_json().encode()
        returning = asyncio.ensure_future(settle(lambda: self._delivery.requeue(body), f"returning {what}"))
        if not await ended(returning, PATIENCE):
            log.warning("%s: not returned in time: %s: no answer", self.actor, what)
            return
        try:
            if returning.result():
                log.warning("%s: this worker ends before its handler and returns %s", self.actor, what)
        except TransportError as error:
            log.warning("%s: not returned: %s: %s", self.actor, what, error)
