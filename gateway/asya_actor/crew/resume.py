"""x-resume: merges an answer into the message that waits for it, and sends the message on."""

from collections.abc import Mapping
from typing import Any

from asya_actor.crew.member import Crew, named_by
from asya_actor.failures import broken
from asya_actor.pausing import BadPause, checkpoint_of, question_of
from asya_crds.envelope import Envelope, InvalidEnvelope
from asya_crds.incarnations import Incarnation, incarnation_header, incarnation_of, resolve
from asya_crds.merging import CannotMerge, merge
from asya_crds.naming import (
    HEADER_GATEWAY_URL,
    HEADER_PAUSE_ID,
    HEADER_RESUME_CHECKPOINT,
    HEADER_RESUME_TASK,
    RESUME,
)

_FRESH = (HEADER_GATEWAY_URL, "traceparent", "tracestate")
"""Headers that are taken from the answer, not from the checkpoint."""
_OF_THE_ANSWER = (HEADER_PAUSE_ID, HEADER_RESUME_TASK, HEADER_RESUME_CHECKPOINT)


async def resume(crew: Crew, envelope: Envelope, *, deep: bool) -> str:
    """Send the checkpoint with the answer in its payload and the new deadline, under the task's own id."""
    try:
        onward = resumed(envelope, deep=deep)
    except (CannotMerge, BadPause, InvalidEnvelope) as error:
        failed = envelope.with_(id=task_id_of(envelope))
        return await crew.failed(failed, broken("CannotResume", str(error)), actor=RESUME)
    await crew.onward.send(None, onward.id, onward.route, [onward])
    return "resumed"


def resumed(envelope: Envelope, *, deep: bool) -> Envelope:
    """The resumed envelope, in the incarnation that the answer began. Named fields are merged here only if the gateway
    is of the previous version, which sends the question with the answer instead of merging.

    Raises CannotMerge, BadPause, InvalidEnvelope.
    """
    found = envelope.headers.get(HEADER_RESUME_CHECKPOINT)
    if not isinstance(found, Mapping):
        raise CannotMerge(
            "the resume envelope has no checkpoint: the pause was made by a "
            "crew that stores its own checkpoints; only its x-resume can read them"
        )
    checkpoint = checkpoint_of(Envelope.from_dict(found))
    question = question_of(envelope) or {}
    fields = question.get("fields")
    payload = merge(checkpoint.payload, envelope.payload, fields if isinstance(fields, list) else [], deep=deep)
    fresh = {key: envelope.headers[key] for key in _FRESH if key in envelope.headers}
    task_id = task_id_of(envelope)
    number, began = resolve(envelope.id).incarnation or 1, incarnation_of(checkpoint.id, checkpoint.headers).began
    begun = incarnation_header(task_id, Incarnation(number, began))
    headers = {key: value for key, value in checkpoint.headers.items() if key not in _OF_THE_ANSWER} | fresh | begun
    return checkpoint.with_(id=task_id, payload=payload, headers=headers, status=_status(checkpoint, envelope))


def task_id_of(envelope: Envelope) -> str:
    """The task that is answered. The header has the id under which the pause was reported, which may be that of an
    earlier answer's envelope."""
    return resolve(named_by(HEADER_RESUME_TASK, envelope)).task_id


def _status(checkpoint: Envelope, envelope: Envelope) -> dict[str, Any]:
    """The checkpoint's status, reset to a first attempt, with the deadline from the answer."""
    phase = "pending" if checkpoint.route.curr else "succeeded"
    status = dict(checkpoint.status) | {"phase": phase, "attempt": 1}
    if checkpoint.route.curr:
        status["actor"] = checkpoint.route.curr
    for key in ("deadline_at", "updated_at"):
        status.pop(key, None)
        if key in envelope.status:
            status[key] = envelope.status[key]
    return status
