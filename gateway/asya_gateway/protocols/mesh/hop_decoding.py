"""Decoding the reports of hops that travel together."""

from typing import Any, NamedTuple

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.hop_reports import (
    MOST_PARTS,
    MOST_SENDS,
    AliveMessage,
    BeginMessage,
    ChildOfSend,
    EndMessage,
    PartMessage,
    QueuesMessage,
    SendMessage,
    processing_message,
)
from asya_crds.incarnations import Reported, resolve
from asya_crds.large_json import has_few_values
from asya_crds.mesh_messages import ClaimMessage, RouteMessage
from asya_crds.naming import check_own_id
from asya_crds.status import HopState
from asya_gateway.domain.errors import InvalidInput, TooLarge
from asya_gateway.domain.hop_reports import (
    Ack,
    BeginReport,
    EndReport,
    HopLog,
    PartReport,
    Send,
    Success,
    UnroutableRule,
)
from asya_gateway.domain.progress import report_key
from asya_gateway.domain.reports import ChildAnnouncement, Claim, ProgressReport
from asya_gateway.domain.task import LARGEST_INLINE
from asya_gateway.protocols.http.fields import Body
from asya_gateway.protocols.http.messages import read
from asya_gateway.protocols.mesh.hops import claimed_hop, progress_of, task_id_of

BESIDE = 64 * 1024
"""Bytes of a hop's envelopes beyond the largest result: their heads."""
LONGEST_UNROUTABLE = 1e7
"""Most seconds that an envelope waits for a missing queue (four months). A time far beyond cannot be stored."""


class NamedQueues(NamedTuple):
    """The queues that a request names. `same`: they are mesh's own, so that it can hand envelopes on."""

    same: bool
    unroutable: UnroutableRule


def decode_queues(body: Body, own: tuple[str, str, str]) -> NamedQueues:
    """`queues` of a request; `own` are mesh's (transport, namespace, place). Raises InvalidInput naming the field."""
    named = body.get("queues")
    if not isinstance(named, dict):
        raise InvalidInput("expected an object {transport, namespace, place}", field="queues")
    try:
        said = read(QueuesMessage, named)
    except InvalidInput as error:
        raise InvalidInput(error.message, field=f"queues.{error.field}") from None
    seconds = min(said.unroutable_seconds, LONGEST_UNROUTABLE)
    same = (said.transport, said.namespace, said.place) == own
    return NamedQueues(same, UnroutableRule(seconds, said.sink, said.sump))


def decode_begin(body: Body) -> BeginReport:
    """Raises InvalidInput naming the field."""
    said = read(BeginMessage, body)
    named, route = resolve(said.id), _route(said)
    claim = _claim(said.claim, named)
    return BeginReport(
        task_id=named.task_id,
        claim=claim,
        route=route,
        received_key=report_key(claim, HopState.RECEIVED),
        processing_key=report_key(claim, HopState.PROCESSING),
        received_progress=progress_of(route, HopState.RECEIVED),
        processing_progress=progress_of(route, HopState.PROCESSING),
        message_size_kb=said.message_size_kb,
        incarnation=_incarnation(said.incarnation, named),
    )


def decode_alive(body: Body) -> ProgressReport:
    """As the single report `processing`. Raises InvalidInput naming the field."""
    said = read(AliveMessage, body)
    named, route = resolve(said.id), _route(said)
    claim = _claim(said.claim, named)
    return ProgressReport(
        task_id=named.task_id,
        state=HopState.PROCESSING,
        route=route,
        key=report_key(claim, HopState.PROCESSING),
        progress=progress_of(route, HopState.PROCESSING),
        message=processing_message(route.curr),
        claim=claim,
        incarnation=_incarnation(said.incarnation, named),
    )


def decode_end(body: Body, queues: NamedQueues, most_bytes: int, *, large: bool) -> EndReport:
    """`large`: whether the request has more than `most_bytes`. Raises InvalidInput naming the field, TooLarge if its
    envelopes are too many or have more than `most_bytes`."""
    _check_size(body.get("sends"), most_bytes, judged=large)
    said = read(EndMessage, body)
    if said.parts is not None and said.parts > MOST_PARTS:
        raise TooLarge(f"expected at most {MOST_PARTS} parts", field="parts")
    named, route = resolve(said.id), _route(said)
    return EndReport(
        task_id=named.task_id,
        claim=_claim(said.claim, named),
        route=route,
        progress=progress_of(route, HopState.COMPLETED),
        sends=_sends(said.sends),
        unroutable=queues.unroutable,
        log=None if said.log is None else HopLog(said.log.message, said.log.duration_ms),
        ack=None if said.ack is None else Ack(said.ack.message, said.ack.receipt),
        incarnation=_incarnation(said.incarnation, named),
        success=_success(said, named.task_id, most_bytes - BESIDE),
        parts=said.parts,
    )


def decode_part(body: Body, most_bytes: int, *, large: bool) -> PartReport:
    """Raises InvalidInput naming the field, TooLarge as decode_end."""
    _check_size(body.get("sends"), most_bytes, judged=large)
    said = read(PartMessage, body)
    if said.part >= MOST_PARTS:
        raise TooLarge(f"expected at most {MOST_PARTS} parts", field="part")
    named = resolve(said.id)
    return PartReport(named.task_id, _claim(said.claim, named), said.part, _sends(said.sends))


def _success(said: EndMessage, task_id: str, most_bytes: int) -> Success | None:
    """The task's success, if its result is one that a final report may have. Else its envelope goes to x-sink, whose
    report mesh refuses, and the task fails with the reason. Raises InvalidInput."""
    ends = said.ends
    if ends is None:
        return None
    if ends.send >= len(said.sends):
        raise InvalidInput(f"expected the index of one of {len(said.sends)} envelopes", field="ends.send")
    send = said.sends[ends.send]
    if send.child is not None or task_id_of(send.id) != task_id:
        raise InvalidInput("expected the index of the task's own envelope", field="ends.send")
    if len(send.payload) > min(LARGEST_INLINE, most_bytes) or not has_few_values(send.payload):
        return None
    try:
        # Within a final report, the result is one level deeper.
        jsontext.loads(send.payload, max_depth=jsontext.MAX_DEPTH - 1)
    except jsontext.InvalidJSON:
        return None
    return Success(ends.send, send.payload, ends.actor)


def _check_size(sends: Any, most_bytes: int, *, judged: bool) -> None:
    """`judged`: whether the texts may have too many bytes, because the whole request has more."""
    if not isinstance(sends, list):
        return
    if len(sends) > MOST_SENDS:
        raise TooLarge(f"expected at most {MOST_SENDS} envelopes", field="sends")
    if not judged:
        return
    texts = [each.get(name) for each in sends if isinstance(each, dict) for name in ("head", "payload")]
    if sum(len(text) for text in texts if isinstance(text, str)) > most_bytes:
        raise TooLarge(f"expected envelopes of at most {most_bytes} bytes", field="sends")


def _sends(said: tuple[SendMessage, ...]) -> tuple[Send, ...]:
    sends = tuple(_send(index, each) for index, each in enumerate(said))
    children = [send.task_id for send in sends if send.child is not None]
    if len({*children}) < len(children):
        raise InvalidInput("expected each child once", field="sends")
    return sends


def _send(index: int, said: SendMessage) -> Send:
    task_id = task_id_of(said.id)
    child = None if said.child is None else _child(f"sends[{index}]", task_id, said.child)
    return Send(said.to, task_id, f'{said.head[:-1]},"payload":{said.payload}}}', child)


def _child(field: str, task_id: str, said: ChildOfSend) -> ChildAnnouncement:
    parent_id = task_id_of(said.parent_id)
    if task_id == parent_id:
        raise InvalidInput("expected another id than the child's own", field=f"{field}.child.parent_id")
    try:
        check_own_id(task_id)
    except ValueError as error:
        raise InvalidInput(str(error), field=f"{field}.id") from None
    return ChildAnnouncement(task_id, parent_id, _route(said), ends_itself=True)


def _claim(said: ClaimMessage, named: Reported) -> Claim:
    return Claim(claimed_hop(said.hop, named), said.attempt, said.claimant)


def _incarnation(said: int | None, named: Reported) -> int | None:
    return named.incarnation if said is None else said


def _route(said: RouteMessage) -> Route:
    return Route(said.prev, said.curr, said.next)
