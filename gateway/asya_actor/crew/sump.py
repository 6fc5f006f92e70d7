"""x-sump: gets every message that failed permanently."""

import logging

from asya_actor.crew.errors import failure_of
from asya_actor.crew.member import Crew
from asya_crds.envelope import Envelope

log = logging.getLogger(__name__)


async def sump(crew: Crew, envelope: Envelope) -> str:
    """Report the failure in the envelope, also for a part of a fan-in, because the fan-in would wait for it forever."""
    failure = failure_of(envelope)
    actor = envelope.status.get("actor")
    named = actor if isinstance(actor, str) and actor else envelope.route.curr
    log.warning("task %s failed in %s: %s: %s", envelope.id, named, failure.type or "error", failure.message)
    return await crew.failed(envelope, failure, actor=named, attempts=envelope.attempt)
