"""What workers and crew tell mesh, and what it answers: both ends and the OpenAPI description are made from these.

A result, frames and a checkpoint are no fields here: they stay text.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from asya_crds.message import Message
from asya_crds.message_fields import (
    Attempt,
    Class,
    Count,
    CurrentActor,
    Error,
    Flag,
    HopName,
    Id,
    Incarnation,
    Measure,
    Names,
    Object,
    OwnId,
    State,
    Text,
)
from asya_crds.status import ClaimAction, TaskStatus


class RouteMessage(Message):
    """Where a hop stands. What is null or missing names no actor; an empty `curr` is past the last actor."""

    prev: Names = ()
    curr: CurrentActor = ""
    next: Names = ()


class OlderRouteMessage(Message):
    """The route of the older dialect, beside the index of the current actor (`current_actor_idx` or `current`)."""

    actors: Names = ()


class ClaimMessage(Message):
    """A worker's hold on this hop: the hop's name within the task, the attempt from 1, the worker's own token for
    this one delivery."""

    hop: HopName
    attempt: Attempt
    claimant: Id


class ProgressMessage(Message):
    """POST /mesh/{id}/progress: a report of one hop, beside its route. `incarnation` counts the answers that the task
    got before."""

    status: State
    message: Text | None = None
    duration_ms: Measure | None = None
    message_size_kb: Measure | None = None
    claim: ClaimMessage | None = None
    incarnation: Incarnation | None = None


class FinalMessage(Message):
    """POST /mesh/{id}/final: how the task ended, beside its result. Newer sidecars send in `error` what older ones
    call `error_details`."""

    id: Id | None = None
    status: Any = None
    """One of FINAL_STATUSES; the newest sidecars may also cancel, on routes of their own."""
    error: Error | None = None
    error_details: Object | None = None
    current_actor_name: Id | None = None
    attempts: Count | None = None
    error_class: Class | None = Field(default=None, alias="class")
    metadata: Object | None = None
    message: Text | None = None


class ChildMessage(Message):
    """POST /mesh: a fan-out's child, beside its route. `ends_itself`: its own crew will report its end."""

    id: OwnId
    parent_id: Id
    ends_itself: Flag = False


FINAL_STATUSES = (TaskStatus.SUCCEEDED, TaskStatus.FAILED)


def _ok(_value: Any) -> str:
    return "ok"


class OkAnswer(Message):
    """Taken."""

    status: Literal["ok"] = "ok"


class CreatedAnswer(Message):
    """Stored, or stored before."""

    status: Literal["created"] = "created"
    id: Text


class ActiveAnswer(Message):
    """Whether work on the task makes sense."""

    active: bool


def _known_action(value: Any) -> Any:
    return value if isinstance(value, str) and value in {*ClaimAction} else None


def _any_number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _percent(value: Any) -> float:
    found = _any_number(value)
    return found if found is not None and 0 <= found <= 100 else 0.0


Percent = Annotated[float, PlainValidator(_percent), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]


class ProgressAnswerMessage(Message):
    """The answer to a progress report. `action` and `lease_seconds` (how long the claim holds from now) only where a
    claim was sent; `remaining_seconds` to the task's deadline by the database's clock, below zero beyond it.

    A worker reads what a mesh of another version says: what it does not understand counts as not said.
    """

    status: Annotated[Literal["ok"], BeforeValidator(_ok)] = "ok"
    progress_percent: Percent = 0.0
    action: Annotated[ClaimAction | None, BeforeValidator(_known_action)] = None
    lease_seconds: Annotated[float | None, BeforeValidator(_any_number)] = None
    remaining_seconds: Annotated[float | None, BeforeValidator(_any_number)] = None


def read_answer(body: Mapping[str, Any]) -> ProgressAnswerMessage:
    """What mesh answered to a progress report; never raises."""
    return ProgressAnswerMessage.model_validate(body)
