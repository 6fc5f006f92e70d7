"""Reports of actors: progress, end, pause, child. Plain data, already checked."""

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
"""Default seconds that a claim holds without renewal. A worker renews it by repeating `processing`."""


COMPLETED_MESSAGE = "Task completed successfully"
"""The message of a success whose report has none."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's claim on one hop. `hop` names it within the task (the number of actors before it), `claimant` is the
    worker's token for this delivery, `attempt` counts from 1."""

    hop: str
    attempt: int
    claimant: str


class ProgressReport(NamedTuple):
    """A report of a hop: three for each hop, from our worker up to five. `key` makes repeated reports count once.
    `incarnation` is None if the report names none (asya_crds.incarnations). `frames` is the JSON list of envelopes that
    the hop will send; only with the state `processed`. (A named tuple, like its answer, because one is created for
    every report.)"""

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
    """The result of a report. `known` is False for unknown ids; `frames` is set only with DONE. `lease`: seconds that
    the claim holds from now. `remaining`: seconds to the task's deadline by the database's clock, negative after it;
    None without a claim or a deadline."""

    known: bool
    progress: float
    status: TaskStatus | None = None
    action: ClaimAction = ClaimAction.GO
    frames: JsonText | None = None
    lease: float = CLAIM_LEASE
    remaining: float | None = None


@dataclass(frozen=True, slots=True)
class FinalReport:
    """How a task ends. It applies only to tasks of `owner`; with `overdue_only` only to one past its deadline, with
    `in_time_only` only to one that is not, with `only_pause` only to one that waits for the answer to this pause."""

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
"""The error code of a child whose end was not reported within its grace period. If its own end is reported later, that
replaces this one."""


class FinalOutcome(StrEnum):
    """The result of a final report."""

    APPLIED = "applied"
    ENDED_BEFORE = "ended_before"
    UNTIMELY = "untimely"
    """The report's condition (`overdue_only`, `in_time_only` or `only_pause`) is not met."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PauseReport:
    """An actor asks a question. `status` is paused or auth_required. `checkpoint` is the envelope to continue from,
    stored until the answer; None if the crew that reported stores it itself. `reported_as` is the id in the report, by
    which such a crew finds its checkpoint; "" is the task's own."""

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
    """A child of a fan-out. `ends_itself`: its own crew will report its end, so it keeps running after its parent's
    success. The end of an existing sidecar's child may never be reported, so it is canceled some time after that."""

    task_id: str
    parent_id: str
    route: Route
    ends_itself: bool = False
