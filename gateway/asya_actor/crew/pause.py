"""x-pause: asks a question and sends nothing; the answer goes to x-resume."""

from collections.abc import Mapping
from typing import Any

from asya_actor.crew.member import Crew
from asya_crds import jsontext
from asya_crds.envelope import Envelope
from asya_crds.naming import HEADER_PAUSE


async def pause(crew: Crew, envelope: Envelope, default_question: Mapping[str, Any]) -> str:
    """Report the question in the header x-asya-pause, or the configured one, with the envelope to continue from."""
    asked = envelope.headers.get(HEADER_PAUSE)
    question = jsontext.dumps(default_question) if asked is None else asked
    onward = envelope.with_(
        route=envelope.route.shifted(),
        headers=dict(envelope.headers) | {HEADER_PAUSE: question},
        status={key: value for key, value in envelope.status.items() if key != "reason"} | {"phase": "pending"},
    )
    await crew.onward.pause(crew.urls.of(envelope.headers), onward, envelope.route)
    return "paused"
