"""A pause: the question, the checkpoint, and the report of both."""

from collections.abc import Mapping
from typing import Any

from asya_actor.forwarding import pause_id
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.incarnations import incarnation_of
from asya_crds.naming import HEADER_PAUSE, RESUME


class BadPause(ValueError):
    """The header x-asya-pause is not a question."""


def question_of(envelope: Envelope) -> Mapping[str, Any] | None:
    """The question in the header x-asya-pause ({prompt, fields[]}, an object or its JSON text); None if it is absent.

    Raises BadPause.
    """
    value = envelope.headers.get(HEADER_PAUSE)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = jsontext.loads(value)
        except jsontext.InvalidJSON as error:
            raise BadPause(f"header {HEADER_PAUSE}: {error}") from None
    if not isinstance(value, Mapping):
        raise BadPause(f"header {HEADER_PAUSE}: expected an object {{prompt, fields}}")
    return value


def checkpoint_of(onward: Envelope) -> Envelope:
    """The envelope to continue from, without the question, and without x-resume, which receives the answer."""
    headers = {key: value for key, value in onward.headers.items() if key != HEADER_PAUSE}
    route = onward.route
    if route.curr == RESUME:
        head, rest = (route.next[0], route.next[1:]) if route.next else ("", ())
        route = Route(route.prev, head, rest)
    return onward.with_(headers=headers, route=route)


def pause_report(onward: Envelope, asked_at: Route, question: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the report for a pause at the hop `asked_at` (unshifted); `onward` is the envelope that would be
    sent."""
    incarnation = incarnation_of(onward.id, onward.headers)
    return {
        **asked_at.as_dict(),
        **({"incarnation": incarnation.number} if incarnation.number else {}),
        "status": "paused",
        "message": "Paused: waiting for external input",
        "pause_id": pause_id(onward.id, incarnation.hop(asked_at.hop)),
        "pause_metadata": dict(question),
        "checkpoint": checkpoint_of(onward).as_dict(),
    }
