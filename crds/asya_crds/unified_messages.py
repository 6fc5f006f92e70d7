"""The messages of the unified routes that newer sidecars use (`/api/v1/mesh`)."""

from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from asya_crds.durations import parse_duration
from asya_crds.mesh_messages import FINAL_STATUSES
from asya_crds.message import WireMessage
from asya_crds.message_fields import Object
from asya_crds.status import HopState, TaskStatus

SILENT_PHASES = ("pending", "retrying")
"""Phases that these sidecars report and that change nothing here."""
UNIFIED_ENDS = (*FINAL_STATUSES, TaskStatus.CANCELED)
WAITING_STATUSES = (TaskStatus.PAUSED, TaskStatus.AUTH_REQUIRED)
EVENT_STATUSES = tuple(str(word) for word in (*HopState, *WAITING_STATUSES, *UNIFIED_ENDS, *SILENT_PHASES))


def _type(value: Any) -> Any:
    if value not in ("status", "fly"):
        raise ValueError("expected status or fly")
    return value


def _timeout(value: Any) -> float | None:
    return None if value is None else parse_duration(value)


_TIMEOUT_SCHEMA = {
    "description": "Seconds, or a text such as 10s, 5m.",
    "anyOf": [
        {"type": "null"},
        {"type": "number", "minimum": 0, "maximum": 10 * 365 * 86400},
        {"type": "string", "pattern": "^[0-9]{1,4}(ms|s|m|h)$"},
    ],
}

EventType = Annotated[str, PlainValidator(_type), WithJsonSchema({"enum": ["status", "fly"]})]
EventStatus = Annotated[Any, WithJsonSchema({"enum": [*EVENT_STATUSES]})]
Timeout = Annotated[float | None, PlainValidator(_timeout), WithJsonSchema(_TIMEOUT_SCHEMA)]


class EventMessage(WireMessage):
    """POST /api/v1/mesh/{id}/events: With a status, `data` is the rest of a progress or final report; with a live
    event, it is any value."""

    type: EventType
    status: EventStatus = None
    data: Any = None


class OneActorMessage(WireMessage):
    """POST /api/v1/mesh: a task for the single actor that the query names."""

    payload: Any = None
    headers: Object | None = None
    timeout: Timeout = Field(default=None)


class IdAnswer(WireMessage):
    """The new task's id."""

    id: str
