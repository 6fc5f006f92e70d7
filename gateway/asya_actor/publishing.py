"""Publishing that retries while the queue system is unavailable, and answering deliveries."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from asya_actor.retry_pauses import FIRST_PAUSE, LONGEST_PAUSE
from asya_actor.telemetry.metrics import PUBLISH_RETRIES
from asya_transports.port import (
    LeaseLost,
    MessageRefused,
    NotTaken,
    OutboundMessage,
    Transport,
    TransportError,
    TransportUnavailable,
    Unroutable,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryingPublisher:
    """Publishes to `patient` actors (x-sink, x-sump) are retried without limit, because no task ends without them.
    `hurried`: do not wait for a queue that accepts nothing now (because it is full)."""

    transport: Transport
    unroutable_timeout: float
    patient: frozenset[str]
    hurried: bool = False

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        """Publish; returns when each message was confirmed or permanently refused (MessageRefused, Unroutable after the
        timeout, or NotTaken if `hurried`)."""
        answers: list[TransportError | None] = [None] * len(messages)
        left = list(range(len(messages)))
        pause, give_up = FIRST_PAUSE, time.monotonic() + self.unroutable_timeout
        while left:
            replies = await self.transport.publish([messages[index] for index in left])
            again: list[int] = []
            for index, reply in zip(left, replies, strict=True):
                answers[index] = reply
                if reply is not None and self._may_come(messages[index], reply, give_up):
                    again.append(index)
            left = again
            if left:
                PUBLISH_RETRIES.inc(len(left))
                log.warning("publishing to %s, trying again: %s", messages[left[0]].actor, answers[left[0]])
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 # not a secret
                pause = min(pause * 2, LONGEST_PAUSE)
        return answers

    def _may_come(self, message: OutboundMessage, error: TransportError, give_up: float) -> bool:
        match error:
            case MessageRefused():
                return False
            case Unroutable():
                return message.actor in self.patient or time.monotonic() < give_up
            case NotTaken():
                return not self.hurried
            case _:
                return True


async def settle(answer: Callable[[], Awaitable[None]], what: str) -> bool:
    """Acknowledge, return or replace a delivery, retrying while the queue system is unavailable. Returns False if the
    delivery is no longer ours. Raises MessageRefused for a body that the queue system does not accept."""
    pause = FIRST_PAUSE
    while True:
        try:
            await answer()
        except LeaseLost as error:
            log.warning("%s: %s", what, error)
            return False
        except TransportUnavailable as error:
            log.warning("%s, trying again: %s", what, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            return True
