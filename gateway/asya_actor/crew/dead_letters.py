"""Dead letters: messages whose workers died or could not answer as often as their queue allows."""

import logging

from asya_actor.crew.member import Crew
from asya_actor.envelopes import EnvelopeReader
from asya_actor.failures import broken
from asya_actor.publishing import settle
from asya_actor.telemetry.about import working_on
from asya_actor.unreadable import salvage
from asya_crds.envelope import InvalidEnvelope
from asya_transports.port import Delivery

log = logging.getLogger(__name__)


async def dead_letter(crew: Crew, delivery: Delivery, reader: EnvelopeReader) -> str:
    """Report the task as failed with class runtime, the actor, and how often its message was delivered."""
    try:
        envelope = await reader.read(delivery.body)
    except InvalidEnvelope as error:
        envelope = salvage(delivery.body)
        log.error("a dead letter of %s is not an envelope: %s", delivery.actor, error)
    times = delivery.deliveries
    message = f"{delivery.actor} could not finish the message; it was delivered {times} time{'s' if times != 1 else ''}"
    log.error("dead letter %s: %s", envelope.id, message)
    with working_on(envelope):
        outcome = await crew.failed(envelope, broken("DeadLetter", message), actor=delivery.actor, attempts=times)
    await settle(delivery.ack, "acknowledging a dead letter")
    return outcome
