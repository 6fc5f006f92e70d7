"""A2A 0.3: objects with a `kind`, states in lower case, and `final` on the last status of a stream (the types
of release v0.3.0)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asya_gateway.protocols.a2a.dialects import optional, push_v0_3, v1_0
from asya_gateway.protocols.a2a.dialects.optional import present
from asya_gateway.protocols.a2a.dialects.v1_0 import checked_base64, listing_of, timestamp
from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import (
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
    Verbatim,
)
from asya_gateway.protocols.a2a.reading import Members, a_text

Json = dict[str, Any]

COMPAT = "data_part_compat"
"""Metadata of a data part that contains a value that is no object. The SDK of 1.0 writes it, too."""


# Reading


def read_send(params: Mapping[str, Any]) -> SendRequest:
    """MessageSendParams. `blocking` is true unless it is said to be false. Raises InvalidParams."""
    members = Members(params)
    configuration = members.members("configuration") or Members({}, "configuration")
    return SendRequest(
        message=read_message(members.get("message"), "message"),
        wait=configuration.flag("blocking") is not False,
        history_length=configuration.count("historyLength") or None,
        accepted_output_modes=configuration.texts("acceptedOutputModes"),
        metadata=members.object("metadata"),
        push=configuration.one(("pushNotificationConfig",), push_v0_3.read_config),
    )


def read_named(params: Mapping[str, Any]) -> Named:
    """TaskQueryParams, TaskIdParams. A historyLength of 0 counts as unset, as in the SDK. Raises InvalidParams."""
    members = Members(params)
    return Named(task_id=members.required_id("id"), history_length=members.count("historyLength") or None)


def read_listing(params: Mapping[str, Any]) -> ListRequest:
    """The members of ListTasksRequest with states of this version, which has the list in other bindings only. Raises
    InvalidParams."""
    found = listing_of(Members(params), _read_state)
    return replace(found, history_length=found.history_length or None)


def _read_state(members: Members) -> State | None:
    value = members.get("status")
    if value is None:
        return None
    if not isinstance(value, str) or value not in set(State):
        raise members.wrong("status", f"one of {', '.join(State)}")
    return State(value)


def read_message(value: Any, path: str) -> Message:
    """A Message of a caller. Raises InvalidParams."""
    if value is None:
        raise InvalidParams(path, "expected a message")
    members = Members.of(value, path)
    if members.get("kind") not in (None, "message"):
        raise members.wrong("kind", '"message"')
    if members.get("role") != "user":
        raise members.wrong("role", '"user"')
    parts = members.each(("parts",), read_part)
    if not parts:
        raise members.wrong("parts", "at least one part")
    return Message(
        message_id=members.required_id("messageId"),
        role=Role.USER,
        parts=parts,
        context_id=members.optional_id("contextId"),
        task_id=members.optional_id("taskId"),
        metadata=members.object("metadata"),
        extensions=members.texts("extensions"),
        reference_task_ids=members.ids("referenceTaskIds"),
    )


def read_part(value: Any, path: str, discriminator: str = "kind") -> Part:
    """A TextPart, FilePart or DataPart. Raises InvalidParams."""
    members = Members.of(value, path)
    metadata = members.object("metadata")
    match members.get(discriminator):
        case "text":
            return Part(PartKind.TEXT, a_text(members.get("text"), members.at("text")), metadata=metadata)
        case "file":
            return read_file(members, metadata)
        case "data":
            return read_data(members, metadata)
        case _:
            raise members.wrong(discriminator, "text, file or data")


def read_file(members: Members, metadata: Mapping[str, Any]) -> Part:
    """The part whose member `file` has bytes or a URI. Raises InvalidParams."""
    file = Members.of(members.get("file"), members.at("file"))
    # A.2.1 of the specification shows the names of the 0.3 proto, which some clients send.
    data, uri = file.text("bytes", "fileWithBytes"), file.text("uri", "fileWithUri")
    if bool(data) == bool(uri):
        raise InvalidParams(file.path, "expected exactly one of bytes, uri")
    kind = PartKind.RAW if data else PartKind.URL
    content = checked_base64(data, file.at("bytes")) if data else uri
    media_type, name = file.text("mimeType", longest=256), file.text("name", longest=1024)
    return Part(kind, content, media_type, name, metadata)


def read_data(members: Members, metadata: Mapping[str, Any]) -> Part:
    """The part whose member `data` is an object. Raises InvalidParams."""
    data = members.get("data")
    if not isinstance(data, Mapping):
        raise members.wrong("data", "an object")
    if metadata.get(COMPAT) is True and set(data) == {"value"}:
        rest = {key: value for key, value in metadata.items() if key != COMPAT}
        return Part(PartKind.DATA, data["value"], metadata=rest)
    return Part(PartKind.DATA, data, metadata=metadata)


# Writing


def list_result(page: Page) -> Json:
    """The page with the members that 1.0 has, all of them present."""
    return {**v1_0.list_result(replace(page, tasks=())), "tasks": [task(each) for each in page.tasks]}


def send_result(reply: TaskView | Message) -> Json:
    """A Task or a Message."""
    return event(reply)


def event(item: Event) -> Json:
    """A Task, Message, TaskStatusUpdateEvent or TaskArtifactUpdateEvent."""
    match item:
        case TaskView():
            return task(item)
        case Message():
            return message(item)
        case StatusUpdate():
            found = {"taskId": item.task_id, "contextId": item.context_id, "status": status(item.status)}
            return {"kind": "status-update", **found, "final": item.ends_stream, **present(metadata=item.metadata)}
        case ArtifactUpdate():
            found = {"taskId": item.task_id, "contextId": item.context_id, "artifact": artifact(item.artifact)}
            flags = {"append": item.append, "lastChunk": item.last_chunk}
            return {"kind": "artifact-update", **found, **flags}


def task(view: TaskView) -> Json:
    """{kind, id, contextId, status, artifacts?, history?, metadata?}."""
    found: Json = {"kind": "task", "id": view.id, "contextId": view.context_id, "status": status(view.status)}
    if view.artifacts:
        found["artifacts"] = [artifact(each) for each in view.artifacts]
    if view.history:
        found["history"] = optional.history(view, message)
    return {**found, **present(metadata=view.metadata)}


def status(said: Status) -> Json:
    """{state, timestamp, message?}."""
    found: Json = {"state": said.state.value, "timestamp": timestamp(said.at)}
    if said.message is not None:
        found["message"] = message(said.message)
    return found


def message(said: Message) -> Json:
    """{kind, messageId, role, parts}, and its optional members."""
    found: Json = {
        "kind": "message",
        "messageId": said.message_id,
        "role": said.role.value,
        "parts": [part(each) for each in said.parts],
    }
    return {**found, **optional.of_message(said)}


def artifact(made: Artifact) -> Json:
    """{artifactId, parts}, and its optional members."""
    found: Json = {"artifactId": made.artifact_id, "parts": optional.parts(made, part)}
    return {**found, **optional.of_artifact(made)}


def part(piece: Part, discriminator: str = "kind") -> Json:
    """TextPart, FilePart or DataPart. Data that is no object is wrapped, since 0.3 has none."""
    match piece.kind:
        case PartKind.TEXT:
            return {discriminator: "text", "text": piece.value, **present(metadata=piece.metadata)}
        case PartKind.DATA:
            wrapped = not _is_object(piece.value)
            data = {"value": piece.value} if wrapped else piece.value
            metadata = {**piece.metadata, COMPAT: True} if wrapped else piece.metadata
            return {discriminator: "data", "data": data, **present(metadata=metadata)}
        case PartKind.RAW | PartKind.URL:
            content = {"bytes" if piece.kind is PartKind.RAW else "uri": piece.value}
            file = {**content, **present(name=piece.filename, mimeType=piece.media_type)}
            return {discriminator: "file", "file": file, **present(metadata=piece.metadata)}


def _is_object(value: Any) -> bool:
    return value.text.lstrip().startswith("{") if isinstance(value, Verbatim) else isinstance(value, Mapping)
