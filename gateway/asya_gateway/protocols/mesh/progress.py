"""Decoding progress reports, pauses among them."""

from typing import Any

from asya_crds.envelope import Route
from asya_crds.large_json import Encoded, encode
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.pausing import read_pause
from asya_gateway.domain.progress import report_key
from asya_gateway.domain.reports import Claim, PauseReport, ProgressReport
from asya_gateway.domain.status import ActorState, TaskStatus
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.fields import (
    Body,
    checked_id,
    identifier,
    optional_integer,
    optional_number,
    optional_object,
    optional_text,
)
from asya_gateway.protocols.mesh.hops import check_same_id, progress_of, read_route

_WAITING = {"paused": TaskStatus.PAUSED, "auth_required": TaskStatus.AUTH_REQUIRED}
_DEFAULT_PAUSE = {"prompt": "Task paused", "fields": []}
"""What x-pause asks where nobody configured a question."""


def decode_progress(task_id: str, body: Body) -> ProgressReport | PauseReport:
    """A report of one hop. Raises InvalidInput naming the field.

    A report that carries `pause_metadata` is a pause whatever its status says: existing sidecars say `completed`.
    """
    check_same_id(body, task_id)
    status = optional_text(body, "status")
    if body.get("pause_metadata") is not None or status in _WAITING:
        return _pause(task_id, body)
    state = _state(body.get("status"))
    route = read_route(body)
    claim = _claim(body.get("claim"))
    return ProgressReport(
        task_id=task_id,
        state=state,
        route=route,
        key=report_key(claim, state),
        progress=progress_of(route, state),
        message=optional_text(body, "message"),
        detail=_measures(body),
        claim=claim,
        frames=_frames(body, state),
    )


def _state(value: Any) -> ActorState:
    try:
        return ActorState(value)
    except ValueError:
        expected = ", ".join(state.value for state in ActorState)
        raise InvalidInput(f"expected one of {expected}, paused", field="status") from None


def _measures(body: Body) -> dict[str, Any]:
    """What a sidecar measured; route, state and message have fields of their own."""
    measures = {key: optional_number(body, key) for key in ("duration_ms", "message_size_kb")}
    return {key: value for key, value in measures.items() if value is not None}


def _claim(value: Any) -> Claim | None:
    """{hop, attempt, claimant}; the hop names the step within the task, as text or as a number."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidInput("expected an object {hop, attempt, claimant}", field="claim")
    hop = value.get("hop")
    if isinstance(hop, int | float):
        hop = str(optional_integer(value, "hop"))
    attempt = optional_integer(value, "attempt", least=1)
    if attempt is None:
        raise InvalidInput("expected an integer from 1", field="claim.attempt")
    return Claim(checked_id(hop, "claim.hop"), attempt, identifier(value, "claimant"))


def _frames(body: Body, state: ActorState) -> JsonText | None:
    frames = body.get("frames")
    if frames is None:
        return None
    if state is not ActorState.PROCESSED:
        raise InvalidInput("expected frames with the status processed only", field="frames")
    if isinstance(frames, Encoded):
        right = frames.shape == "objects"
    else:
        right = isinstance(frames, list) and all(isinstance(frame, dict) for frame in frames)
    if not right:
        raise InvalidInput("expected a list of envelopes", field="frames")
    return encode(frames)


def _checkpoint(body: Body) -> JsonText | None:
    value = body.get("checkpoint")
    if isinstance(value, Encoded) and value.shape == "object":
        return encode(value)
    checkpoint = optional_object(body, "checkpoint")
    return None if checkpoint is None else encode(checkpoint)


def _pause(task_id: str, body: Body) -> PauseReport:
    metadata = body.get("pause_metadata")
    if metadata is None:
        metadata = _DEFAULT_PAUSE
    route = read_route(body)
    checkpoint = _checkpoint(body)
    _claim(body.get("claim"))
    return PauseReport(
        task_id=task_id,
        pause=read_pause(metadata, _pause_id(body, metadata, route)),
        status=_WAITING.get(str(body.get("status")), TaskStatus.PAUSED),
        route=route,
        # The hop that asked has reported its own completion before; here it only waits.
        progress=progress_of(route, ActorState.RECEIVED),
        checkpoint=checkpoint,
    )


def _pause_id(body: Body, metadata: Any, route: Route) -> str:
    """The given id, or one derived from the hop, so that a redelivered report is the same pause."""
    if body.get("pause_id") is not None:
        return identifier(body, "pause_id")
    if isinstance(metadata, dict) and metadata.get("pause_id") is not None:
        return checked_id(metadata["pause_id"], "pause_metadata.pause_id")
    return f"hop-{route.hop}"
