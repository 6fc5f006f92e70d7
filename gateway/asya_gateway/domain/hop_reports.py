"""The reports of a hop that travel together: its beginning and its end. Plain data, already checked."""

from typing import NamedTuple

from asya_crds.envelope import Route
from asya_crds.hop_reports import BeginAction, EndOutcome, Yours
from asya_crds.status import Standing
from asya_gateway.domain.reports import CLAIM_LEASE, ChildAnnouncement, Claim
from asya_gateway.domain.task import JsonText

ROWS_OF_PART = 500
"""What a part of an end counts for: a worker puts up to 250 children into one, with two rows each."""


class BeginReport(NamedTuple):
    """A hop's message has arrived: the reports `received` and `processing` in one, each with its key and progress."""

    task_id: str
    claim: Claim
    route: Route
    received_key: int
    processing_key: int
    received_progress: float
    processing_progress: float
    message_size_kb: float | None = None
    incarnation: int | None = None


class HopAsked(NamedTuple):
    """Which hop is asked for: its name, and the actor at this place of its route."""

    task_id: str
    hop: str
    place: int
    actor: str


class HopStanding(NamedTuple):
    """What is known of a hop. `open`: its task has not ended. `standing` is None if nobody has begun it. `attempt` and
    `held` (its lease has not expired by the database's clock) belong to its claim."""

    open: bool
    standing: Standing | None = None
    attempt: int | None = None
    held: bool = False


class HopBegun(NamedTuple):
    """The result of a begin. `known` is False for unknown ids, which have no claim; `frames` is set only with DONE.
    `lease`: seconds that the claim holds from now. `remaining`: seconds to the task's deadline by the database's clock;
    None without a deadline."""

    action: BeginAction
    known: bool = True
    frames: JsonText | None = None
    lease: float = CLAIM_LEASE
    remaining: float | None = None


class Send(NamedTuple):
    """An envelope for an actor's queue, as its worker wrote it. `task_id` is its task, for a child its own."""

    actor: str
    task_id: str
    body: JsonText
    child: ChildAnnouncement | None = None


class UnroutableRule(NamedTuple):
    """What happens to an envelope whose queue is missing: after so many seconds, its failure goes to the actor `sump`.
    Those to `sink` and `sump` wait, because no task ends without them."""

    seconds: float
    sink: str
    sump: str


class Success(NamedTuple):
    """One of a hop's envelopes is the success of its task, which may be written at once instead of sending it. `send`:
    its index. `actor`: the last one of its route."""

    send: int
    result: JsonText
    actor: str | None = None


class Ack(NamedTuple):
    """A delivered message of the `postgres` transport."""

    message: int
    receipt: str


class HopLog(NamedTuple):
    """The log's entry of a hop that has completed."""

    message: str | None = None
    duration_ms: float | None = None


class EndReport(NamedTuple):
    """A hop's handler has ended: the report `completed`, the envelopes that follow and, on the `postgres` transport,
    the acknowledgement of the message. Without `log`, no entry is written. `parts`: how many parts came before."""

    task_id: str
    claim: Claim
    route: Route
    progress: float
    sends: tuple[Send, ...]
    unroutable: UnroutableRule
    log: HopLog | None = None
    ack: Ack | None = None
    incarnation: int | None = None
    success: Success | None = None
    parts: int | None = None

    @property
    def rows(self) -> int:
        """What the report counts for in its batch. Those of its parts are stored, and are written with it."""
        own = sum(1 if send.child is None else 2 for send in self.sends)
        return 1 + own + ROWS_OF_PART * (self.parts or 0)


class PartReport(NamedTuple):
    """Envelopes of a hop that come before its end, because they exceed one report."""

    task_id: str
    claim: Claim
    part: int
    sends: tuple[Send, ...]


class HopEnded(NamedTuple):
    """The result of an end or of a part. `reason` is set only with YOURS."""

    outcome: EndOutcome
    reason: Yours | None = None


class CrewReport(NamedTuple):
    """A crew says that it runs, that it takes the messages of the actor `sink`, and whether it has hooks, for which it
    needs each of them. `leaving`: it ends."""

    name: str
    sink: str = ""
    hooks: bool = True
    leaving: bool = False
