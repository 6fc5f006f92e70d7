"""A2A 1.0: ProtoJSON of specification/a2a.proto, without protobuf (its numbers would be rounded).

Read tolerantly as ProtoJSON is: members in snake_case, null for an absent member, enums by number, base64 of both
alphabets. Written strictly: camelCase, enums by name, times with milliseconds in UTC (sections 5.5 and 5.6).
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from asya_gateway.protocols.a2a.dialects import optional, push_v1_0
from asya_gateway.protocols.a2a.dialects.optional import present
from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import (
    DEFAULT_PAGE,
    LARGEST_PAGE,
    Artifact,
    ArtifactUpdate,
    Event,
    ListRequest,
    Message,
    Named,
    Page,
    Part,
    PartKind,
    Role,
    SendRequest,
    State,
    Status,
    StatusUpdate,
    TaskView,
)
from asya_gateway.protocols.a2a.reading import Members, a_text

Json = dict[str, Any]

PUSH_MEMBERS = (
    "taskPushNotificationConfig",
    "task_push_notification_config",
    "pushNotificationConfig",
    "push_notification_config",
)
"""The last two are those of the release candidate."""
ROLES = {"ROLE_USER": Role.USER, "ROLE_AGENT": Role.AGENT, 1: Role.USER, 2: Role.AGENT}

STATES: dict[str | int, State] = {
    name: state
    for number, state in enumerate(
        (
            State.SUBMITTED,
            State.WORKING,
            State.COMPLETED,
            State.FAILED,
            State.CANCELED,
            State.INPUT_REQUIRED,
            State.REJECTED,
            State.AUTH_REQUIRED,
        ),
        start=1,
    )
    for name in (f"TASK_STATE_{state.name}", number)
}
"""The members of TaskState, by name and by number."""
UNSPECIFIED = ("TASK_STATE_UNSPECIFIED", 0)
KINDS = tuple(PartKind)


# Reading


def read_send(params: Mapping[str, Any]) -> SendRequest:
    """SendMessageRequest. Raises InvalidParams."""
    members = Members(params)
    configuration = members.members("configuration") or Members({}, "configuration")
    return SendRequest(
        message=read_message(members.get("message"), "message"),
        wait=not (configuration.flag("returnImmediately") or configuration.flag("return_immediately")),
        history_length=configuration.count("historyLength", "history_length"),
        accepted_output_modes=configuration.texts("acceptedOutputModes", "accepted_output_modes"),
        metadata=members.object("metadata"),
        tenant=members.optional_id("tenant"),
        push=configuration.one(PUSH_MEMBERS, push_v1_0.read_config),
    )


def read_named(params: Mapping[str, Any]) -> Named:
    """GetTaskRequest, CancelTaskRequest, SubscribeToTaskRequest. Raises InvalidParams."""
    members = Members(params)
    return Named(
        task_id=members.required_id("id"),
        history_length=members.count("historyLength", "history_length"),
        tenant=members.optional_id("tenant"),
    )


def read_listing(params: Mapping[str, Any]) -> ListRequest:
    """ListTasksRequest. Raises InvalidParams."""
    return listing_of(Members(params), _read_state)


def listing_of(members: Members, read_state: Callable[[Members], State | None]) -> ListRequest:
    """The request for a page, whose states are read by the dialect. Raises InvalidParams."""
    return ListRequest(
        context_id=members.optional_id("contextId", "context_id"),
        state=read_state(members),
        page_size=members.within(("pageSize", "page_size"), 1, LARGEST_PAGE) or DEFAULT_PAGE,
        page_token=members.text("pageToken", "page_token"),
        history_length=members.count("historyLength", "history_length"),
        changed_since=members.time("statusTimestampAfter", "status_timestamp_after"),
        artifacts=bool(members.flag("includeArtifacts") or members.flag("include_artifacts")),
        tenant=members.optional_id("tenant"),
    )


def _read_state(members: Members) -> State | None:
    """A TaskState by name or number; the unspecified one stands for every state (ProtoJSON)."""
    value = members.get("status")
    if value in (None, *UNSPECIFIED) and not isinstance(value, bool):
        return None
    found = STATES.get(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if found is None:
        raise members.wrong("status", f"one of {', '.join(name for name in STATES if isinstance(name, str))}")
    return found


def read_message(value: Any, path: str) -> Message:
    """A Message of a caller. Raises InvalidParams."""
    if value is None:
        raise InvalidParams(path, "expected a message")
    members = Members.of(value, path)
    message_id = members.required_id("messageId", "message_id")
    said = members.get("role")
    # True is a 1 in Python, and no number of an enum.
    role = ROLES.get(said) if type(said) in (str, int) else None
    if role is not Role.USER:
        raise members.wrong("role", "ROLE_USER")
    return Message(
        message_id=message_id,
        role=role,
        parts=_required_parts(members),
        context_id=members.optional_id("contextId", "context_id"),
        task_id=members.optional_id("taskId", "task_id"),
        metadata=members.object("metadata"),
        extensions=members.texts("extensions"),
        reference_task_ids=members.ids("referenceTaskIds", "reference_task_ids"),
    )


def _required_parts(members: Members) -> tuple[Part, ...]:
    parts = members.each(("parts",), read_part)
    if not parts:
        raise members.wrong("parts", "at least one part")
    return parts


def read_part(value: Any, path: str) -> Part:
    """A Part: exactly one of text, raw, url, data. Raises InvalidParams."""
    members = Members.of(value, path)
    # A part of data may be null, which is not the same as absent.
    present = [kind for kind in KINDS if value.get(kind) is not None or (kind is PartKind.DATA and kind in value)]
    if len(present) != 1:
        raise InvalidParams(path, "expected exactly one of text, raw, url, data")
    kind = present[0]
    content = value.get(kind.value)
    if kind is not PartKind.DATA:
        content = a_text(content, members.at(kind))
    if kind is PartKind.RAW:
        content = checked_base64(content, members.at(kind))
    return Part(
        kind=kind,
        value=content,
        media_type=members.text("mediaType", "media_type", longest=256),
        filename=members.text("filename", longest=1024),
        metadata=members.object("metadata"),
    )


def checked_base64(text: str, path: str) -> str:
    """Base64 in the standard alphabet, with padding. The URL-safe alphabet and a missing padding are accepted. Raises
    InvalidParams."""
    standard = text.translate(_URL_SAFE)
    standard += "=" * (-len(standard) % 4)
    try:
        base64.b64decode(standard, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidParams(path, "expected base64") from None
    return standard


_URL_SAFE = str.maketrans("-_", "+/")


# Writing


def list_result(page: Page) -> Json:
    """ListTasksResponse, of which every member is required."""
    return {
        "tasks": [task(each) for each in page.tasks],
        "nextPageToken": page.next_page_token,
        "pageSize": page.page_size,
        "totalSize": page.total_size,
    }


def send_result(reply: TaskView | Message) -> Json:
    """SendMessageResponse."""
    return {"task": task(reply)} if isinstance(reply, TaskView) else {"message": message(reply)}


def event(item: Event) -> Json:
    """StreamResponse."""
    match item:
        case TaskView():
            return {"task": task(item)}
        case Message():
            return {"message": message(item)}
        case StatusUpdate():
            found = {"taskId": item.task_id, "contextId": item.context_id, "status": status(item.status)}
            return {"statusUpdate": {**found, **present(metadata=item.metadata)}}
        case ArtifactUpdate():
            found = {"taskId": item.task_id, "contextId": item.context_id, "artifact": artifact(item.artifact)}
            flags = {"append": item.append, "lastChunk": item.last_chunk}
            return {"artifactUpdate": {**found, **flags}}


def task(view: TaskView) -> Json:
    """{id, contextId, status, artifacts?, history?, metadata?}."""
    found: Json = {"id": view.id, "contextId": view.context_id, "status": status(view.status)}
    if view.artifacts:
        found["artifacts"] = [artifact(each) for each in view.artifacts]
    if view.history:
        found["history"] = optional.history(view, message)
    return {**found, **present(metadata=view.metadata)}


def status(said: Status) -> Json:
    """{state: TASK_STATE_…, timestamp, message?}."""
    found: Json = {"state": state(said.state), "timestamp": timestamp(said.at)}
    if said.message is not None:
        found["message"] = message(said.message)
    return found


def state(value: State) -> str:
    """TASK_STATE_…"""
    return f"TASK_STATE_{value.name}"


def timestamp(at: datetime) -> str:
    """UTC with milliseconds (section 5.6.1)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def message(said: Message) -> Json:
    """{messageId, role: ROLE_…, parts}, and its optional members."""
    found: Json = {
        "messageId": said.message_id,
        "role": "ROLE_USER" if said.role is Role.USER else "ROLE_AGENT",
        "parts": [part(each) for each in said.parts],
    }
    return {**found, **optional.of_message(said)}


def artifact(made: Artifact) -> Json:
    """{artifactId, parts}, and its optional members."""
    found: Json = {"artifactId": made.artifact_id, "parts": optional.parts(made, part)}
    return {**found, **optional.of_artifact(made)}


def part(piece: Part) -> Json:
    """{text | raw | url | data, mediaType?, filename?, metadata?}."""
    about = present(mediaType=piece.media_type, filename=piece.filename, metadata=piece.metadata)
    return {piece.kind.value: piece.value, **about}
