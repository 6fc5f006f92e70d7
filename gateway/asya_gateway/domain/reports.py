"""What comes in from actors: progress, an end, a pause, a child. Plain data, already checked."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from asya_crds.envelope import Route
from asya_crds.status import ClaimAction, HopState, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.task import JsonText

CLAIM_LEASE = 15.0
"""Seconds that a claim holds without a sign of life where no setting says otherwise; a worker renews it by repeating
`processing`."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on one hop. `hop` names it within the task (the number of actors before it), `claimant`
    is the worker's token for this one delivery, `attempt` counts from 1."""

    hop: str
    attempt: int
    claimant: str


class ProgressReport(NamedTuple):
    """One of the three (for our worker four) reports of a hop. `key` makes it count once however often it comes;
    `incarnation` is None where the report names none (asya_crds.incarnations);
    `frames` is the JSON list of envelopes that the hop will send on, only with the state `processed`.
    (A named tuple, as its answer: frozen like the others, and made for every report.)"""

    task_id: str
    state: HopState
    route: Route
    key: int
    progress: float
    message: str | None = None
    duration_ms: float | None = None
    message_size_kb: float | None = None
    claim: Claim | None = None
    frames: JsonText | None = None
    incarnation: int | None = None


class ProgressAnswer(NamedTuple):
    """What became of a report. `known` is False for ids that are not ours; `frames` only with DONE. `lease`: seconds
    that the claim holds from now. `remaining`: seconds to the task's deadline by the database's clock, below zero
    beyond it; None without a claim or a deadline."""

    known: bool
    progress: float
    status: TaskStatus | None = None
    action: ClaimAction = ClaimAction.GO
    frames: JsonText | None = None
    lease: float = CLAIM_LEASE
    remaining: float | None = None


@dataclass(frozen=True, slots=True)
class FinalReport:
    """How a task ends. `owner` says whose task it may be, `overdue_only` to one past its deadline,
    `in_time_only` to one that is not, `only_pause` to one that waits for the answer to this pause."""

    task_id: str
    status: TaskStatus
    message: str
    result: JsonText | None = None
    error: TaskError | None = None
    actor: str | None = None
    metadata: dict[str, Any] | None = None
    owner: OwnerScope = field(kw_only=True)
    overdue_only: bool = False
    in_time_only: bool = False
    only_pause: str | None = None


END_NOT_REPORTED = "end_not_reported"
"""The error code of a child whose end nobody reported within its grace. Its own end, should it come, takes the place of
this one."""


class FinalOutcome(StrEnum):
    """What became of a final report."""

    APPLIED = "applied"
    ENDED_BEFORE = "ended_before"
    UNTIMELY = "untimely"
    """What the report asks of the task's time or pause (`overdue_only`, `in_time_only`, `only_pause`) does not hold."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PauseReport:
    """An actor asks somebody something. `status` is paused or auth_required; `checkpoint` is the envelope to go
    on from, kept for the answer; None where the crew that reported keeps it itself. `reported_as`: the id that the
    report came under, by which such a crew finds it again; "" is the task's own."""

    task_id: str
    pause: Pause
    status: TaskStatus
    route: Route
    progress: float
    checkpoint: JsonText | None = None
    incarnation: int | None = None
    reported_as: str = ""


@dataclass(frozen=True, slots=True)
class ChildAnnouncement:
    """A fan-out's child. `ends_itself`: its own crew will report its end, so that its parent's success leaves
    it running; the end of an existing sidecar's child is perhaps never reported, and has a grace after that."""

    task_id: str
    parent_id: str
    route: Route
    ends_itself: bool = False
