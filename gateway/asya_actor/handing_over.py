"""A hop's end as mesh takes it: the envelopes that the hop sends, and which of them is the task's success."""

from collections.abc import Sequence

from asya_actor.forwarding import FAILED, SUCCEEDED, destination
from asya_actor.mesh.lives import HopEnd, WireSend
from asya_actor.pausing import BadPause, question_of
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_crds.hop_reports import completed_message
from asya_crds.incarnations import resolve
from asya_crds.naming import HEADER_FAN_IN, HEADER_HOOK, HEADER_MESH_STATUS, HEADER_ORIGIN, PAUSE
from asya_transports.port import Delivery

_NEEDS_THE_CREW = (HEADER_FAN_IN, HEADER_ORIGIN, HEADER_HOOK, HEADER_MESH_STATUS)
"""Headers of envelopes whose arrival in x-sink is not the success of the task of their id, or not only that."""


def asks(frame: Envelope) -> bool:
    """Whether the frame pauses its task. (x-pause itself asks the question in the header.)"""
    if frame.status.get("phase") == FAILED or frame.route.curr == PAUSE:
        return False
    try:
        return question_of(frame) is not None
    except BadPause:
        return True


def end_of(
    task_id: str,
    route: Route,
    frames: Sequence[Envelope],
    texts: Sequence[str],
    delivery: Delivery,
    *,
    milliseconds: int | None,
    sink: str,
    sump: str,
) -> HopEnd:
    """The end of the task's hop that sends these frames. `texts` are their payloads if they are already encoded.

    Children come first. `milliseconds`: the duration in the log's entry; None for a hop that failed, which has none.
    """
    pairs = list(zip(frames, texts or (None,) * len(frames), strict=True))
    if len(pairs) > 1:
        pairs.sort(key=lambda pair: pair[0].id == task_id)
    sends = [_send(frame, text, task_id, destination(frame, sink, sump)) for frame, text in pairs]
    log = "" if milliseconds is None else _log(milliseconds)
    last, index = pairs[-1][0], len(pairs) - 1
    ends = (index, _last_actor(last)) if _succeeds(last, task_id, sink) else None
    receipt = delivery.receipt
    ack = "" if receipt is None else f'{{"message":{receipt.message},"receipt":"{receipt.receipt}"}}'
    return HopEnd(route, sends, log, ends, ack)


def _log(milliseconds: int) -> str:
    """The log's entry (LogMessage)."""
    return f'{{"message":"{completed_message(milliseconds)}","duration_ms":{milliseconds}}}'


def _send(frame: Envelope, text: str | None, task_id: str, actor: str) -> WireSend:
    head, payload = frame.to_texts(text)
    members = f'{{"to":{jsontext.dumps(actor)},"id":{jsontext.quoted(frame.id)}'
    if frame.id != task_id:
        child = {"parent_id": frame.parent_id, **frame.route.as_dict()}
        members += f',"child":{jsontext.dumps(child)}'
    return WireSend(members, head, payload)


def _succeeds(frame: Envelope, task_id: str, sink: str) -> bool:
    """Whether the crew would only report the task's success when this frame arrives."""
    return (
        frame.id == task_id == resolve(frame.id).task_id
        and frame.status.get("phase") == SUCCEEDED
        and destination(frame, sink, "") == sink
        and not any(name in frame.headers for name in _NEEDS_THE_CREW)
    )


def _last_actor(frame: Envelope) -> str | None:
    return frame.route.prev[-1] if frame.route.prev else frame.route.curr or None
