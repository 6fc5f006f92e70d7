"""What workers and crew report to mesh, and its answers. Both ends and the OpenAPI description are made from these.

Results, frames and checkpoints are not fields here, because they stay text.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from asya_crds.message import WireMessage
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
from asya_crds.status import ClaimAction, Standing, TaskStatus


class RouteMessage(WireMessage):
    """The route of a hop. A null or missing member names no actor; an empty `curr` is past the last actor."""

    prev: Names = ()
    curr: CurrentActor = ""
    next: Names = ()


class OlderRouteMessage(WireMessage):
    """The route of the older dialect, which comes with the index of the current actor (`current_actor_idx` or
    `current`)."""

    actors: Names = ()


class ClaimMessage(WireMessage):
    """A worker's claim on this hop: the hop's name within the task, the attempt from 1, and the worker's token for this
    one delivery."""

    hop: HopName
    attempt: Attempt
    claimant: Id


class ProgressMessage(WireMessage):
    """POST /mesh/{id}/progress: a report of one hop, without its route. `incarnation` counts the answers that the task
    had before."""

    status: State
    message: Text | None = None
    duration_ms: Measure | None = None
    message_size_kb: Measure | None = None
    claim: ClaimMessage | None = None
    incarnation: Incarnation | None = None


class FinalMessage(WireMessage):
    """POST /mesh/{id}/final: how the task ended, without its result. Newer sidecars send as `error` what older ones
    call `error_details`."""

    id: Id | None = None
    status: Any = None
    """One of FINAL_STATUSES. The newest sidecars may also cancel, on their own routes."""
    error: Error | None = None
    error_details: Object | None = None
    current_actor_name: Id | None = None
    attempts: Count | None = None
    error_class: Class | None = Field(default=None, alias="class")
    metadata: Object | None = None
    message: Text | None = None


class ChildMessage(WireMessage):
    """POST /mesh: a child of a fan-out, without its route. `ends_itself`: its own crew will report its end."""

    id: OwnId
    parent_id: Id
    ends_itself: Flag = False


FINAL_STATUSES = (TaskStatus.SUCCEEDED, TaskStatus.FAILED)


def _ok(_value: Any) -> str:
    return "ok"


class OkAnswer(WireMessage):
    """The request was accepted."""

    status: Literal["ok"] = "ok"


class CreatedAnswer(WireMessage):
    """The object is stored, now or by an earlier request."""

    status: Literal["created"] = "created"
    id: Text


class ActiveAnswer(WireMessage):
    """Whether work on the task makes sense."""

    active: bool


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _known_standing(value: Any) -> Any:
    """None only where mesh says so: a hop of which it says something else was begun."""
    return value if value is None or value in {*Standing} else Standing.REPORTED


class StandingAnswer(WireMessage):
    """GET /mesh/{id}/hops/{hop}: what mesh knows of a hop. `open`: the task has not ended. `attempt` and `held` (its
    lease has not expired) belong to its claim.

    The crew may read the answer of another version of mesh: a standing that it does not understand is `reported`.
    """

    known: Flag = False
    open: Flag = False
    standing: Annotated[Standing | None, BeforeValidator(_known_standing)] = None
    attempt: Annotated[int | None, BeforeValidator(_positive)] = None
    held: Flag = False


def _known_action(value: Any) -> Any:
    return value if isinstance(value, str) and value in {*ClaimAction} else None


def _any_number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _percent(value: Any) -> float:
    found = _any_number(value)
    return found if found is not None and 0 <= found <= 100 else 0.0


Percent = Annotated[float, PlainValidator(_percent), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]


class BatchOffer(WireMessage):
    """This mesh takes the reports of hops together (hop_reports.py), at most so many rows and bytes in a request. A
    report counts as one row, and one for each envelope."""

    rows: Annotated[int | None, BeforeValidator(_positive)] = None
    bytes: Annotated[int | None, BeforeValidator(_positive)] = None


def _offer(value: Any) -> Any:
    """None unless both limits can be understood."""
    if not isinstance(value, Mapping) or _positive(value.get("rows")) is None or _positive(value.get("bytes")) is None:
        return None
    return value


class ProgressAnswerMessage(WireMessage):
    """The answer to a progress report. `action` and `lease_seconds` (how long the claim holds from now) are present
    only if a claim was sent. `remaining_seconds` counts to the task's deadline by the database's clock and is negative
    after it. `batch` is present only in answers to `received` with a claim.

    A worker may read the answer of another version of mesh: fields that it does not understand are treated as absent.
    """

    status: Annotated[Literal["ok"], BeforeValidator(_ok)] = "ok"
    progress_percent: Percent = 0.0
    action: Annotated[ClaimAction | None, BeforeValidator(_known_action)] = None
    lease_seconds: Annotated[float | None, BeforeValidator(_any_number)] = None
    remaining_seconds: Annotated[float | None, BeforeValidator(_any_number)] = None
    batch: Annotated[BatchOffer | None, BeforeValidator(_offer)] = None


def read_answer(body: Mapping[str, Any]) -> ProgressAnswerMessage:
    """Decode mesh's answer to a progress report. Never raises."""
    return ProgressAnswerMessage.model_validate(body)
