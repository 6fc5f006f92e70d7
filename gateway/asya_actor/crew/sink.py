"""x-sink: gets every message that has reached its end."""

from asya_actor.crew.errors import failure_of
from asya_actor.crew.member import Crew
from asya_crds.envelope import Envelope
from asya_crds.naming import HEADER_FAN_IN


async def sink(crew: Crew, envelope: Envelope) -> str:
    """Report the end given by the envelope's phase: succeeded unless it says otherwise.

    Parts that a fan-in has merged end no task. Newer sidecars also send failures here, and messages that they dropped
    because the task was canceled or waits; mesh already knows about these.
    """
    if HEADER_FAN_IN in envelope.headers:
        return "part"
    match envelope.status.get("phase"):
        case "failed":
            actor = envelope.status.get("actor")
            named = actor if isinstance(actor, str) else envelope.route.curr
            return await crew.failed(envelope, failure_of(envelope), actor=named, attempts=envelope.attempt)
        case "canceled" | "paused":
            return "known"
        case _:
            return await crew.succeeded(envelope)
