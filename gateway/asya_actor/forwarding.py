"""The envelopes that a hop sends, made from the handler's frames or its failure, and their destinations. Pure.

Everything is derived from the incoming envelope, so that a repeated hop creates the same envelopes.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from asya_actor.contract.message import Frame
from asya_actor.failures import Failure
from asya_crds import failed_envelope
from asya_crds.envelope import Envelope, Route, format_time
from asya_crds.failed_envelope import FAILED as FAILED
from asya_crds.failed_envelope import HEADER_FIRST_ATTEMPT as HEADER_FIRST_ATTEMPT
from asya_crds.failed_envelope import hop_headers, hop_status
from asya_crds.incarnations import incarnation_of
from asya_crds.naming import HEADER_INCARNATION

_CHILDREN = UUID("6f0e4f5c-0d1b-5f0e-9a53-6a6f3d1c7b21")
"""Namespace of the ids of fan-out children (RFC 9562, version 5): an arbitrary constant."""

REDELIVERIES = "redeliveries"
"""`status` key: how often a worker died with this message. It is kept when the queue's own count restarts."""

GIVEN_BACK = "given_back"
"""`status` key: how often a worker that was stopping returned this message before its handler had ended."""

SENT_AGAIN = "sent_again"
"""`status` key: how often a dead letter that nobody had worked on was sent to its actor again."""

_OF_THE_MESH = (
    "phase",
    "reason",
    "actor",
    "attempt",
    "max_attempts",
    "created_at",
    "updated_at",
    "deadline_at",
    "error",
    REDELIVERIES,
    GIVEN_BACK,
    SENT_AGAIN,
)
"""Keys of `status` that are set for every hop. Other keys set by a handler are passed on."""

SUCCEEDED, PENDING, RETRYING = "succeeded", "pending", "retrying"


def child_id(envelope_id: str, hop: int | str, index: int) -> str:
    """The id of a frame of the hop with this name. The first frame keeps the envelope's id; the others have ids derived
    from it."""
    return envelope_id if index == 0 else str(uuid5(_CHILDREN, f"{envelope_id}\0{hop}\0{index}"))


def pause_id(envelope_id: str, hop: int | str) -> str:
    """The id of a pause at the hop with this name."""
    return str(uuid5(_CHILDREN, f"{envelope_id}\0{hop}\0pause"))


def hop_of(envelope: Envelope) -> str:
    """The name of the envelope's current hop."""
    return incarnation_of(envelope.id, envelope.headers).hop(envelope.route.hop)


def forward(envelope: Envelope, frames: Sequence[Frame], extra: Mapping[str, Any] | None = None) -> list[Envelope]:
    """The envelopes for a handler's frames; if it created none, an envelope at its end with the original payload.

    `extra` are headers that override the frame's own (the trace context).
    """
    if not frames:
        status = hop_status(envelope, SUCCEEDED, envelope.route.curr, reason="Completed")
        return [envelope.with_(headers=hop_headers(envelope.headers, extra), status=status)]
    return [_forwarded(envelope, index, frame, extra) for index, frame in enumerate(frames)]


def _forwarded(envelope: Envelope, index: int, frame: Frame, extra: Mapping[str, Any] | None) -> Envelope:
    route = frame.route.shifted()
    phase, reason = (PENDING, None) if route.curr else (SUCCEEDED, "Completed")
    parent = envelope.parent_id if index == 0 else envelope.parent_id or envelope.id
    own = {key: value for key, value in frame.status.items() if key not in _OF_THE_MESH}
    return Envelope(
        id=envelope.id if index == 0 else child_id(envelope.id, hop_of(envelope), index),
        parent_id=parent,
        route=route,
        headers=hop_headers(_with_incarnation(frame.headers, envelope), extra),
        status=own | hop_status(envelope, phase, route.curr or envelope.route.curr, reason=reason),
        payload=frame.payload,
    )


def failed(envelope: Envelope, failure: Failure, actor: str, *, reason: str, most_attempts: int = 1) -> Envelope:
    """The envelope for x-sump (asya_crds.failed_envelope)."""
    return failed_envelope.failed(envelope, failure.as_dict(), actor, reason=reason, most_attempts=most_attempts)


def rerouted(envelope: Envelope, failure: Failure, actors: Sequence[str]) -> Envelope:
    """The envelope for a policy's `onExhausted` actors: the unchanged payload, the error in `status.error`, and these
    actors instead of the rest of the route."""
    route = Route((*envelope.route.prev, envelope.route.curr), actors[0], tuple(actors[1:]))
    status = hop_status(envelope, PENDING, actors[0], reason="PolicyRouted") | {"error": failure.as_dict()}
    return envelope.with_(route=route, status=status, headers=hop_headers(envelope.headers))


def retried(envelope: Envelope, first_at: datetime, most_attempts: int) -> Envelope:
    """The same message for another attempt at the same hop."""
    status = dict(envelope.status) | {
        "phase": RETRYING,
        "attempt": envelope.attempt + 1,
        "max_attempts": max(most_attempts, envelope.attempt + 1),
        "updated_at": format_time(datetime.now(UTC)),  # noqa: TID251 # shown, and compared with nothing
    }
    status.pop(REDELIVERIES, None)
    status.pop(GIVEN_BACK, None)
    status.pop(SENT_AGAIN, None)
    headers = dict(envelope.headers) | {HEADER_FIRST_ATTEMPT: format_time(first_at)}
    return envelope.with_(status=status, headers=headers)


def put_off(envelope: Envelope, redeliveries: int) -> Envelope:
    """The same message for later, with the count of worker deaths, which its queue would lose."""
    return envelope.with_(status=dict(envelope.status) | {REDELIVERIES: redeliveries})


def given_back(envelope: Envelope, redeliveries: int) -> Envelope:
    """The same message for another worker, because this one is stopping. This is not a death: only the earlier deaths
    count."""
    counts = {REDELIVERIES: redeliveries, GIVEN_BACK: given_back_before(envelope) + 1}
    return envelope.with_(status=dict(envelope.status) | counts)


def sent_again(envelope: Envelope) -> Envelope:
    """The same message for its actor, where it has become a dead letter and nobody has worked on it."""
    return envelope.with_(status=dict(envelope.status) | {SENT_AGAIN: sent_again_before(envelope) + 1})


def sent_again_before(envelope: Envelope) -> int:
    """How often the message, as a dead letter, was sent to its actor again."""
    return _count(envelope, SENT_AGAIN)


def redeliveries_of(envelope: Envelope) -> int:
    """How often a worker died with this message before its queue's count restarted."""
    return _count(envelope, REDELIVERIES)


def given_back_before(envelope: Envelope) -> int:
    """How often the message was returned by workers that were stopping."""
    return _count(envelope, GIVEN_BACK)


def _count(envelope: Envelope, key: str) -> int:
    count = envelope.status.get(key)
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0


def destination(envelope: Envelope, sink: str, sump: str) -> str:
    """The actor to whose queue an outgoing envelope goes."""
    match envelope.status.get("phase"):
        case "failed":
            return sump
        case "succeeded":
            return sink
        case _:
            return envelope.route.curr or sink


def _with_incarnation(headers: Mapping[str, Any], envelope: Envelope) -> dict[str, Any]:
    """A handler's headers with the incarnation of the incoming envelope. With an older one, the next pause would be
    ignored, and the task would wait until its deadline."""
    kept = {key: value for key, value in headers.items() if key != HEADER_INCARNATION}
    came = envelope.headers.get(HEADER_INCARNATION)
    return kept if came is None else kept | {HEADER_INCARNATION: came}
