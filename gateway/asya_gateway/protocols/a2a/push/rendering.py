"""What a receiver is sent for an entry of a log, in each dialect (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asya_crds.status import UpdateKind
from asya_gateway.domain.destinations import Destination
from asya_gateway.domain.task import TaskUpdate
from asya_gateway.protocols.a2a.dialects.known import BY_NAME, V0_1, V0_3, V1_0
from asya_gateway.protocols.a2a.model import ArtifactUpdate, Event, StatusUpdate, TaskView
from asya_gateway.protocols.a2a.push.secrets import Secrets
from asya_gateway.protocols.a2a.streaming import LogEvents
from asya_gateway.protocols.a2a.writing import json_text

EVENT_ID = "X-Asya-Event-Id"
TOKEN = "X-A2A-Notification-Token"  # noqa: S105 # the name of a header
MEDIA_TYPES = {V1_0.name: "application/a2a+json", V0_3.name: "application/json", V0_1.name: "application/json"}


@dataclass(frozen=True, slots=True)
class PushNotification:
    """One request: `id` is the same whenever this event is sent again."""

    id: str
    body: bytes
    media_type: str
    version: str


def wants(update: TaskUpdate, before: str) -> bool:
    """Whether an entry changes something that is pushed: the task's state with what the agent says, or its artifacts.
    Progress is none of it. `before` is the status at the entry before, "" before the first."""
    if update.kind in (UpdateKind.FINAL, UpdateKind.PAUSED, UpdateKind.CREATED):
        return True
    return update.status.value != before


def notifications(destination: Destination, update: TaskUpdate) -> list[PushNotification]:
    """The events of an entry: StatusUpdate and ArtifactUpdate as StreamResponse in 1.0, and before one Task, as the
    SDK of 0.3 sends it. A success is two events in 1.0."""
    options = destination.options
    task_id, context_id = options.get("taskId") or destination.task_id, options.get("contextId", "")
    events = LogEvents(task_id, context_id, closes_at_question=False).entry(update)
    dialect = BY_NAME.get(options.get("dialect", ""), V1_0)
    if dialect.newest:
        found = [(number, dialect.event(event)) for number, event in events if event is not None]
    else:
        found = [(str(update.seq), dialect.task(_task([event for _, event in events if event is not None])))]
    return [
        PushNotification(
            f"{destination.task_id}/{number}",
            json_text(document).encode("utf-8", "surrogatepass"),
            MEDIA_TYPES[dialect.name],
            dialect.name,
        )
        for number, document in found
    ]


def _task(events: Sequence[Event]) -> TaskView:
    """The task at this entry. Its history is left out: the receiver knows what it has said."""
    artifacts = tuple(event.artifact for event in events if isinstance(event, ArtifactUpdate))
    status = next(event for event in events if isinstance(event, StatusUpdate))
    return TaskView(status.task_id, status.context_id, status.status, artifacts)


def headers(destination: Destination, secrets: Secrets, notification: PushNotification) -> dict[str, str]:
    """The headers of a notification."""
    found = {
        "Content-Type": notification.media_type,
        "A2A-Version": notification.version,
        EVENT_ID: notification.id,
    }
    scheme: Any = destination.options.get("scheme")
    if scheme and secrets.credentials:
        found["Authorization"] = f"{scheme} {secrets.credentials}"
    if secrets.token:
        found[TOKEN] = secrets.token
    return found
