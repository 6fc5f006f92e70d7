"""Dead letters: messages that were delivered as often as their queue allows. Some of them no handler has ever seen,
because the connections of several workers broke one after the other; those are sent again."""

import logging
from enum import Enum, auto

from asya_actor.crew.member import Crew
from asya_actor.envelopes import EnvelopeReader
from asya_actor.failures import broken
from asya_actor.forwarding import hop_of, sent_again, sent_again_before
from asya_actor.mesh.client import MeshRefused
from asya_actor.publishing import settle
from asya_actor.telemetry.about import working_on
from asya_actor.unreadable import salvage
from asya_crds.envelope import Envelope, InvalidEnvelope
from asya_crds.mesh_messages import StandingAnswer
from asya_crds.naming import PAUSE, RESUME
from asya_crds.status import Standing
from asya_transports.port import Delivery, OutboundMessage

log = logging.getLogger(__name__)

MOST_SENT_AGAIN = 3
"""How often a message is sent to its actor again. One that kills every worker before it can begin ends nevertheless."""
HELD_DELAY = 5.0
"""Seconds until a dead letter is looked at again whose hop a live worker holds."""


class Fate(Enum):
    """What becomes of a dead letter."""

    FAIL = auto()
    """Its task fails."""
    SEND_AGAIN = auto()
    WAIT = auto()
    """A worker holds its hop: what becomes of it shows when that worker has ended."""
    DROP = auto()
    """Its hop was done without it."""


def fate_of(known: StandingAnswer, attempt: int) -> Fate:
    """What becomes of the dead letter of an attempt at a hop of which mesh knows this. Pure."""
    if not known.known or not known.open or known.standing is Standing.REPORTED:
        return Fate.FAIL
    if known.standing is Standing.COMPLETED:
        return Fate.DROP
    if known.standing is None or known.standing is Standing.PROCESSED:
        return Fate.SEND_AGAIN  # of a hop that is processed, the next worker sends on what is stored
    begun = known.attempt or attempt
    if begun != attempt:
        return Fate.DROP if begun > attempt else Fate.SEND_AGAIN
    return Fate.WAIT if known.held else Fate.FAIL


async def dead_letter(crew: Crew, delivery: Delivery, reader: EnvelopeReader) -> str:
    """Send the message to its actor again if nobody has begun its hop; otherwise report the task as failed with class
    runtime, the actor, and how often its message was delivered."""
    try:
        envelope = await reader.read(delivery.body)
    except InvalidEnvelope as error:
        log.error("a dead letter of %s is not an envelope: %s", delivery.actor, error)
        return await _fail(crew, delivery, salvage(delivery.body))
    with working_on(envelope):
        fate = await _fate(crew, delivery, envelope)
        if fate is Fate.WAIT:
            await settle(lambda: delivery.nack(HELD_DELAY), "putting back a dead letter")
            return "busy"
        if fate is Fate.SEND_AGAIN and await _sent_again(crew, delivery, envelope):
            outcome = "sent_again"
        elif fate is Fate.DROP:
            outcome = "dropped"
        else:
            return await _fail(crew, delivery, envelope)
        await settle(delivery.ack, "acknowledging a dead letter")
        return outcome


async def _fate(crew: Crew, delivery: Delivery, envelope: Envelope) -> Fate:
    base = crew.urls.of(envelope.headers)
    if base is None:
        return Fate.FAIL
    if delivery.actor in (crew.onward.sink, crew.onward.sump, PAUSE, RESUME):
        return Fate.SEND_AGAIN  # what the crew does may be done twice, and it claims nothing
    actor = envelope.route.curr
    if not actor or delivery.actor != actor:
        return Fate.FAIL
    try:
        known = await crew.client.standing(base, envelope.id, hop_of(envelope), actor)
    except MeshRefused as refusal:
        log.warning("mesh does not say whether the hop of dead letter %s was begun: %s", envelope.id, refusal)
        return Fate.FAIL
    return fate_of(known, envelope.attempt)


async def _sent_again(crew: Crew, delivery: Delivery, envelope: Envelope) -> bool:
    """Whether the message is with its actor's queue again. A crash before the acknowledgement sends it twice; the claim
    lets one of them run."""
    before = sent_again_before(envelope)
    if before >= MOST_SENT_AGAIN:
        log.error("dead letter %s was sent to %s again %d times already", envelope.id, delivery.actor, before)
        return False
    body = sent_again(envelope).to_json().encode()
    [error] = await crew.onward.publisher.publish([OutboundMessage(delivery.actor, body, envelope.id)])
    if error is not None:
        log.error("dead letter %s cannot be sent to %s again: %s", envelope.id, delivery.actor, error)
        return False
    log.warning("sent dead letter %s, which nobody had worked on, to %s again", envelope.id, delivery.actor)
    return True


async def _fail(crew: Crew, delivery: Delivery, envelope: Envelope) -> str:
    times = delivery.deliveries
    message = f"{delivery.actor} could not finish the message; it was delivered {times} time{'s' if times != 1 else ''}"
    log.error("dead letter %s: %s", envelope.id, message)
    with working_on(envelope):
        outcome = await crew.failed(envelope, broken("DeadLetter", message), actor=delivery.actor, attempts=times)
    await settle(delivery.ack, "acknowledging a dead letter")
    return outcome
