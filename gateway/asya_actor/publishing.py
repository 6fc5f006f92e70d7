"""Publishing that does not give up while the queue system is away, and settling what was received."""

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
    """`patient` actors (x-sink, x-sump) are waited for as long as it takes: without them no task ends. `hurried`: a
    queue that takes nothing now (it is full) is not waited for."""

    transport: Transport
    unroutable_timeout: float
    patient: frozenset[str]
    hurried: bool = False

    async def publish(self, messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        """Returns when each message was confirmed, or refused for good (MessageRefused, Unroutable past the timeout,
        or NotTaken by one who is in a hurry)."""
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
    """Ack, put back or replace a delivery, however long the queue system is away; False where it has become
    somebody else's. Raises MessageRefused for a body that a queue system does not take."""
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
