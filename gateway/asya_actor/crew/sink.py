"""x-sink: every message that has come to its end."""

from asya_actor.crew.errors import failure_of
from asya_actor.crew.member import Crew
from asya_crds.envelope import Envelope
from asya_crds.naming import HEADER_FAN_IN


async def sink(crew: Crew, envelope: Envelope) -> str:
    """Report the end that the envelope's phase tells: succeeded unless it says otherwise.

    Parts that a fan-in has merged end nothing. Newer sidecars send failures here too, and messages that they
    dropped because their task was canceled or waits, of which mesh knows already.
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
