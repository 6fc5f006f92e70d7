"""How often queues deliver a message before SQS itself moves it to the dead letters, which do not say it."""

import logging
import time

from asya_crds import jsontext
from asya_transports.port import TransportError
from asya_transports.sqs.queues import QueueUrls

logger = logging.getLogger(__name__)

KNOWN_FOR = 300.0
"""Seconds after which a queue is asked again, or after which one that did not answer is."""


class Redrives:
    """Asks each queue for its redrive policy, and remembers what it said."""

    def __init__(self, queues: QueueUrls) -> None:
        self._queues = queues
        self._known: dict[str, int] = {}
        self._asked: dict[str, float] = {}

    def deliveries(self, actor: str) -> int:
        """Deliveries of a message of this actor that SQS dead-lettered: as its queue says, or else as our queues are
        declared."""
        return self._known.get(actor) or self._queues.limit(actor)

    async def learn(self, actor: str) -> None:
        """Ask the actor's queue, if it was not asked lately. One that is gone, or whose attributes may not be read,
        stays unknown."""
        if not actor or time.monotonic() - self._asked.get(actor, -KNOWN_FOR) < KNOWN_FOR:
            return
        self._asked[actor] = time.monotonic()
        try:
            policy = await self._queues.attribute(actor, "RedrivePolicy")
        except TransportError as error:
            logger.info("how often the queue of %s delivers a message is not known: %s", actor, error)
            return
        if (found := _most_receives(policy)) is not None:
            self._known[actor] = found


def _most_receives(policy: str) -> int | None:
    """`maxReceiveCount` of the JSON text, a number or its text; None if it has none."""
    try:
        found = int(jsontext.loads(policy)["maxReceiveCount"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if found > 0 else None
