"""Decoding progress reports, including pauses."""

from typing import Any

from asya_crds import jsontext
from asya_crds.answers import AnswerAction
from asya_crds.envelope import Envelope, InvalidEnvelope, Route
from asya_crds.incarnations import LARGEST, Reported, hop_name, resolve, resume_id
from asya_crds.large_json import FEW_VALUES, Encoded, TooManyValues, count_values, encode
from asya_crds.merging import CannotMerge, merge
from asya_crds.mesh_messages import ClaimMessage, ProgressMessage
from asya_crds.naming import HEADER_PAUSE, MAX_ID_LENGTH, PAUSE, RESUME
from asya_crds.status import HopState, TaskStatus
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.inputs import places_of
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.pausing import read_pause
from asya_gateway.domain.progress import report_key
from asya_gateway.domain.reports import Claim, PauseReport, ProgressReport
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.fields import (
    Body,
    checked_id,
    identifier,
    optional_object,
    optional_text,
)
from asya_gateway.protocols.http.messages import read
from asya_gateway.protocols.mesh.hops import (
    check_same_id,
    claimed_hop,
    is_shifted,
    progress_of,
    read_incarnation,
    read_route,
)

_WAITING = {"paused": TaskStatus.PAUSED, "auth_required": TaskStatus.AUTH_REQUIRED}
_DEFAULT_PAUSE = {"prompt": "Task paused", "fields": []}
"""What x-pause asks if no question is configured."""


def decode_progress(reported: str, body: Body) -> ProgressReport | PauseReport:
    """A report of one hop, under the task's id or a resume envelope's. Raises InvalidInput naming the field.

    A report with `pause_metadata` is a pause, whatever its status: existing sidecars send `completed`.
    """
    check_same_id(body, reported)
    optional_text(body, "status")
    if is_pause(body):
        return _pause(reported, body)
    named = resolve(reported)
    said = read(ProgressMessage, body)
    state = said.status
    route = read_route(body)
    incarnation = named.incarnation if said.incarnation is None else said.incarnation
    claim = _claim(said.claim, named)
    return ProgressReport(
        task_id=named.task_id,
        state=state,
        route=route,
        key=report_key(claim, state),
        progress=progress_of(route, state, shifted=is_shifted(body, route, state)),
        message=said.message,
        duration_ms=said.duration_ms,
        message_size_kb=said.message_size_kb,
        claim=claim,
        frames=_frames(body, state),
        incarnation=incarnation,
    )


def is_pause(body: Body) -> bool:
    """Whether a report says that its task waits for an answer."""
    status = body.get("status")
    return body.get("pause_metadata") is not None or (isinstance(status, str) and status in _WAITING)


def _claim(said: ClaimMessage | None, reported: Reported) -> Claim | None:
    return None if said is None else Claim(claimed_hop(said.hop, reported), said.attempt, said.claimant)


def _frames(body: Body, state: HopState) -> JsonText | None:
    frames = body.get("frames")
    if frames is None:
        return None
    if state is not HopState.PROCESSED:
        raise InvalidInput("expected frames with the status processed only", field="frames")
    if isinstance(frames, Encoded):
        right = frames.shape == "objects"
    else:
        right = isinstance(frames, list) and all(isinstance(frame, dict) for frame in frames)
    if not right:
        raise InvalidInput("expected a list of envelopes", field="frames")
    return encode(frames)


def _checkpoint(body: Body, pause: Pause) -> JsonText | None:
    """The envelope to continue from. One that x-resume could not read, or whose payload has no place for any answer, is
    refused before the question is asked (the payload of a large one is not checked). Raises InvalidInput."""
    value = body.get("checkpoint")
    if isinstance(value, Encoded):
        if value.shape != "envelope":
            raise InvalidInput("expected an envelope {id, route, payload}", field="checkpoint")
        return encode(value)
    checkpoint = optional_object(body, "checkpoint")
    if checkpoint is None:
        return None
    try:
        payload = Envelope.from_dict(checkpoint).payload
    except InvalidEnvelope as error:
        raise InvalidInput(f"expected an envelope {{id, route, payload}}: {error}", field="checkpoint") from None
    _check_place(payload, pause)
    return encode(checkpoint)


def _check_place(payload: Any, pause: Pause) -> None:
    """Refuse a question if every answer to it would fail. Raises InvalidInput."""
    places = places_of(pause, AnswerAction.ACCEPT)
    always = [field for field in places if field.get("default") is not None or field.get("required", True)]
    if not always:
        return
    try:
        merge(payload, {field["name"]: field.get("default") for field in always}, always)
    except CannotMerge as error:
        asked = "fields" if pause.plain else "inputs"
        raise InvalidInput(f"no answer has a place in the payload: {error}", field=f"pause_metadata.{asked}") from None


def _pause(reported: str, body: Body) -> PauseReport:
    named = resolve(reported)
    metadata = _metadata(body.get("pause_metadata"))
    route = read_route(body)
    incarnation = read_incarnation(body, named)
    if body.get("claim") is not None:
        read(ProgressMessage, {"status": HopState.RECEIVED, "claim": body["claim"]})
    pause = read_pause(metadata, _pause_id(body, metadata, route, incarnation))
    checkpoint = _checkpoint(body, pause)
    reported_status = _WAITING.get(str(body.get("status")))
    # Existing sidecars report `completed`, but pass on what the question says.
    asked_status = TaskStatus.AUTH_REQUIRED if metadata.get("status") == TaskStatus.AUTH_REQUIRED else None
    if len(resume_id(named.task_id, LARGEST)) > MAX_ID_LENGTH:
        raise InvalidInput("the task's id is too long for the id of a resume envelope", field="pause_metadata")
    if checkpoint is None and reported_status is None:
        _check_resumable(route)
    return PauseReport(
        task_id=named.task_id,
        pause=pause,
        status=asked_status or reported_status or TaskStatus.PAUSED,
        route=route,
        # The hop that asked has already reported its completion; here it only waits.
        progress=progress_of(route, HopState.RECEIVED),
        checkpoint=checkpoint,
        incarnation=incarnation,
        reported_as=reported,
    )


def _metadata(value: Any) -> Any:
    """The question; a handler may have set the header to its JSON text. One with very many values is refused, because
    it would be decoded for each of its readers. Raises InvalidInput."""
    if value is None:
        return _DEFAULT_PAUSE
    try:
        if isinstance(value, str):
            count_values(value.encode("utf-8", "surrogatepass"), FEW_VALUES)
            return jsontext.loads(value)
    except TooManyValues as error:
        raise InvalidInput(str(error), field="pause_metadata") from None
    except jsontext.InvalidJSON as error:
        raise InvalidInput(f"expected an object or its JSON text: {error}", field="pause_metadata") from None
    return value


def _check_resumable(route: Route) -> None:
    """Refuse a pause that cannot be resumed: if an actor sets the header, its sidecar drops the message. Only x-pause,
    whose route continues to x-resume, has stored it. Raises InvalidInput."""
    stored = route.curr == RESUME or route.prev[-1:] == (PAUSE,)
    if not route.says_nothing and not stored:
        actor = route.prev[-1] if route.prev else route.curr
        raise InvalidInput(
            f"{actor} pauses by the header {HEADER_PAUSE}, but its sidecar "
            f"stores no checkpoint to resume from: route to {PAUSE} instead",
            field="pause_metadata",
        )


def _pause_id(body: Body, metadata: Any, route: Route, incarnation: int | None) -> str:
    """The given id, or one derived from the hop, so that a redelivered report is the same pause."""
    if body.get("pause_id") is not None:
        return identifier(body, "pause_id")
    if isinstance(metadata, dict) and metadata.get("pause_id") is not None:
        return checked_id(metadata["pause_id"], "pause_metadata.pause_id")
    return f"hop-{hop_name(incarnation or 0, route.hop)}"
