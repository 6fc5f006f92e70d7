"""The reports of a hop that travel together: POST /mesh/hops/reports. Both ends and the OpenAPI description are made
from these.

A request is {queues, reports}, its answer {answers}, one for each report in the same order. The reports of a request
are read one by one, so that a wrong one refuses only itself.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import PlainValidator, WithJsonSchema

from asya_crds.mesh_messages import ClaimMessage, RouteMessage
from asya_crds.message import WireMessage
from asya_crds.message_fields import (
    Attempt,
    Count,
    Flag,
    Id,
    Incarnation,
    Measure,
    Text,
    integer,
)
from asya_crds.naming import SINK, SUMP, check_actor_name

REPORTS_PATH = "/mesh/hops/reports"
CREWS_PATH = "/mesh/crews/heartbeat"

LARGEST_MESSAGE_ID = 2**63 - 1
MOST_SENDS = 4096
"""Most envelopes that one report hands over."""
MOST_PARTS = 64
"""Most parts that come before an end, which moves all of them in one statement."""


class ReportKind(StrEnum):
    """What a report says of its hop."""

    BEGIN = "begin"
    """A message has arrived: claims the hop, and is answered with what to do."""
    END = "end"
    """The handler has ended: everything that follows from it, in one transaction."""
    PART = "part"
    """Envelopes of an end that come before it, because they exceed one report. Nothing is handed on before the end."""
    ALIVE = "alive"
    """The handler is running: renews the claim."""


class BeginAction(StrEnum):
    """What the worker must do with its message. (Not a ClaimAction: other reports are never answered with `drop`.)"""

    GO = "go"
    BUSY = "busy"
    """Another worker holds the claim: try again later."""
    DONE = "done"
    """The hop is done: do not run the handler; send the frames that it left, if any."""
    DROP = "drop"
    """The task has ended, waits for an answer or is overdue: acknowledge the message without work."""


class EndOutcome(StrEnum):
    """What became of an end, or of a part of one."""

    ENDED = "ended"
    """All of it is committed, now or by an earlier report of the same claimant."""
    KEPT = "kept"
    """The part is stored until the end."""
    REFUSED = "refused"
    """The claim is another's, or the task is over. Nothing was changed."""
    YOURS = "yours"
    """Nothing was changed: the worker sends the envelopes itself. The answer names a reason (Yours)."""


class Yours(StrEnum):
    """Why the worker has to send the envelopes itself."""

    UNKNOWN = "unknown"
    """No task of this gateway has this id."""
    QUEUES = "queues"
    """Mesh uses other queues."""
    UNDECLARED = "undeclared"
    """A queue is not declared."""
    RECEIPT = "receipt"
    """The message is not in mesh's queues with this receipt: its lease expired, or the database is another."""
    PARTS = "parts"
    """Not all parts are stored."""
    TOO_LARGE = "too_large"
    """There are more envelopes or bytes than one report may have."""


def _storable(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected JSON text")  # as in message_fields
    # Control characters are escaped in JSON text. These three are those that storage cannot take, or uses itself.
    if "\0" in value or "\x1e" in value or "\x1f" in value:
        raise ValueError("expected JSON text without control characters")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("expected JSON text without lone surrogates") from None
    return value


def _head(value: Any) -> str:
    text = _storable(value)
    if len(text) <= 2 or text[0] != "{" or text[-1] != "}":
        raise ValueError("expected the JSON text of an object with members")
    return text


def _payload(value: Any) -> str:
    text = _storable(value)
    if not text:
        raise ValueError("expected JSON text")
    return text


def _actor(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a string")  # as in message_fields
    return check_actor_name(value)


def _receipt(value: Any) -> str:
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise ValueError("expected a UUID") from None


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_JSON_TEXT = {"type": "string", "contentMediaType": "application/json", "minLength": 1}
_ACTOR_SCHEMA = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
_MESSAGE_ID = {"type": "integer", "minimum": 1, "maximum": LARGEST_MESSAGE_ID}
HeadText = Annotated[str, PlainValidator(_head), WithJsonSchema({**_JSON_TEXT, "pattern": "^\\{.+\\}$"})]
PayloadText = Annotated[str, PlainValidator(_payload), WithJsonSchema(_JSON_TEXT)]
ActorName = Annotated[str, PlainValidator(_actor), WithJsonSchema(_ACTOR_SCHEMA)]
MessageId = Annotated[int, PlainValidator(integer(1, LARGEST_MESSAGE_ID)), WithJsonSchema(_MESSAGE_ID)]
Receipt = Annotated[str, PlainValidator(_receipt), WithJsonSchema({"type": "string", "format": "uuid"})]


class QueuesMessage(WireMessage):
    """The worker's queues. Mesh hands envelopes on only if these are its own. `place` says where the transport keeps
    the queues, if it has a name for it. After `unroutable_seconds`, an envelope whose queue is still missing fails its
    task: the failure goes to `sump`. Those to `sink` and `sump` wait for their queue."""

    transport: Text
    namespace: Text
    place: Text = ""
    sink: ActorName = SINK
    sump: ActorName = SUMP
    unroutable_seconds: Measure = 30


class BeginMessage(RouteMessage):
    """kind `begin`: the message of a hop has arrived."""

    id: Id
    claim: ClaimMessage
    incarnation: Incarnation | None = None
    message_size_kb: Measure | None = None


class AliveMessage(RouteMessage):
    """kind `alive`: the handler is still running."""

    id: Id
    claim: ClaimMessage
    incarnation: Incarnation | None = None


class ChildOfSend(RouteMessage):
    """The route of a fan-out's child, which is announced with its envelope. Its own crew will report its end."""

    parent_id: Id


class SendMessage(WireMessage):
    """An envelope for the queue of actor `to`: `head` is its JSON text without the member `payload`, which is in
    `payload`."""

    to: ActorName
    id: Id
    head: HeadText
    payload: PayloadText
    child: ChildOfSend | None = None


class AckMessage(WireMessage):
    """The delivered message of the `postgres` transport, which is acknowledged with the end."""

    message: MessageId
    receipt: Receipt


class EndsMessage(WireMessage):
    """The envelope at index `send` goes to x-sink as the task's success. `actor` is the last one of its route."""

    send: Count
    actor: Id | None = None


class LogMessage(WireMessage):
    """The log's entry of a hop that has completed."""

    message: Text | None = None
    duration_ms: Measure | None = None


class EndMessage(RouteMessage):
    """kind `end`: the route is the one that the handler left, not shifted. Without `log` no entry is written, as for a
    hop that failed. `sends` is decoded one by one. `parts`: how many parts came before."""

    id: Id
    claim: ClaimMessage
    incarnation: Incarnation | None = None
    log: LogMessage | None = None
    sends: tuple[SendMessage, ...] = ()
    ends: EndsMessage | None = None
    ack: AckMessage | None = None
    parts: Attempt | None = None


class PartMessage(WireMessage):
    """kind `part`: some envelopes of an end, the part with this number from 0."""

    id: Id
    claim: ClaimMessage
    part: Count
    sends: tuple[SendMessage, ...] = ()


class BeginAnswer(WireMessage):
    """The answer to a begin or to an `alive`. A task that is not `known` has no claim: the worker works and sends
    without further reports. `remaining_seconds` counts to the task's deadline by the database's clock. With `done`,
    there may also be `frames`."""

    action: BeginAction
    known: Flag = True
    lease_seconds: Measure | None = None
    remaining_seconds: float | None = None


class EndAnswer(WireMessage):
    """The answer to an end or to a part."""

    outcome: EndOutcome
    reason: Yours | None = None


class ReportError(WireMessage):
    """Mesh could not take this report: the status that it would have had by itself, and what was expected."""

    status: Attempt
    message: Text
    field: Text | None = None
    retry_after: Measure | None = None


class CrewMessage(WireMessage):
    """POST /mesh/crews/heartbeat: a crew runs and takes the messages of the actor `sink`. With `hooks` it needs each of
    them. `leaving`: it ends."""

    name: Id
    sink: ActorName = SINK
    hooks: Flag = True
    leaving: Flag = False


class CrewAnswer(WireMessage):
    """The announcement is stored. It holds for a few times `every_seconds`."""

    status: Literal["ok"] = "ok"
    every_seconds: Measure


def received_message(size_kb: float | None) -> str:
    """The log's text for a message that has arrived."""
    return "Received message" if size_kb is None else f"Received message ({size_kb} KB)"


def processing_message(actor: str) -> str:
    """The log's text for a handler that has begun."""
    return f"Processing in {actor}"


def completed_message(milliseconds: float | None) -> str | None:
    """The log's text for a hop that has completed; None if its duration is not known."""
    return None if milliseconds is None else f"Completed processing in {milliseconds}ms"
