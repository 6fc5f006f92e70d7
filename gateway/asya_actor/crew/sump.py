"""x-sump: every message that failed for good."""

import logging

from asya_actor.crew.errors import failure_of
from asya_actor.crew.member import Crew
from asya_crds.envelope import Envelope

log = logging.getLogger(__name__)


async def sump(crew: Crew, envelope: Envelope) -> str:
    """Report the failure that the envelope carries. A part of a fan-in too: what waits for it would wait for ever."""
    failure = failure_of(envelope)
    actor = envelope.status.get("actor")
    named = actor if isinstance(actor, str) and actor else envelope.route.curr
    log.warning("task %s failed in %s: %s: %s", envelope.id, named, failure.type or "error", failure.message)
    return await crew.failed(envelope, failure, actor=named, attempts=envelope.attempt)
