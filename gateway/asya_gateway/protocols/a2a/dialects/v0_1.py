"""The oldest A2A (0.1, 0.2): ids of the client's own, sessions instead of contexts, `type` instead of `kind`, and no
message ids (the specification of release v0.1.0)."""

from collections.abc import Mapping
from typing import Any

from asya_gateway.domain.ids import new_task_id
from asya_gateway.protocols.a2a.dialects import optional, push_v0_3, v0_3
from asya_gateway.protocols.a2a.dialects.optional import present
from asya_gateway.protocols.a2a.dialects.v1_0 import timestamp
from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import (
    Artifact,
    ArtifactUpdate,
    Event,
    Message,
    Named,
    Part,
    Role,
    SendRequest,
    State,
    Status,
    StatusUpdate,
    TaskView,
)
from asya_gateway.protocols.a2a.reading import Members

Json = dict[str, Any]

STATES = {State.AUTH_REQUIRED: "input-required", State.REJECTED: "failed"}
"""States that this dialect has no word for."""
STATE_NAME = "urn:asya:a2a:state"
"""The member of metadata with the state's own word, for clients that tell it from the one that stands for it."""


# Reading


def read_send(params: Mapping[str, Any]) -> SendRequest:
    """TaskSendParams. The client names its task itself. Raises InvalidParams."""
    members = Members(params)
    task_id = members.required_id("id")
    message = _read_message(members.get("message"), members.optional_id("sessionId"))
    return SendRequest(
        message=message,
        history_length=members.count("historyLength") or None,
        accepted_output_modes=members.texts("acceptedOutputModes"),
        metadata=members.object("metadata"),
        client_task_id=task_id,
        push=members.one(("pushNotification",), push_v0_3.read_config),
    )


def read_named(params: Mapping[str, Any]) -> Named:
    """TaskQueryParams, TaskIdParams. Raises InvalidParams."""
    return v0_3.read_named(params)


def _read_message(value: Any, session_id: str) -> Message:
    if value is None:
        raise InvalidParams("message", "expected a message")
    members = Members.of(value, "message")
    if members.get("role") != "user":
        raise members.wrong("role", '"user"')
    parts = members.each(("parts",), _read_part)
    if not parts:
        raise members.wrong("parts", "at least one part")
    # Nothing names a message here, and later dialects need a name.
    return Message(new_task_id(), Role.USER, parts, session_id, metadata=members.object("metadata"))


def _read_part(value: Any, path: str) -> Part:
    if isinstance(value, Mapping) and value.get("type") == "data" and isinstance(value.get("data"), list):
        return v0_3.read_part(
            {**value, "data": {"value": value["data"]}, "metadata": {v0_3.COMPAT: True}}, path, "type"
        )
    return v0_3.read_part(value, path, "type")


# Writing


def send_result(reply: TaskView | Message) -> Json:
    """A Task: this dialect knows no direct messages."""
    assert isinstance(reply, TaskView)  # as reply_mode decides
    return task(reply)


def event(item: Event) -> Json | None:
    """A TaskStatusUpdateEvent or TaskArtifactUpdateEvent. A task is its status; a message has no form."""
    match item:
        case TaskView():
            # If it is the last one, the same status follows as such (streaming.py).
            return _status_event(item.id, item.status, {}, final=False)
        case StatusUpdate():
            return _status_event(item.task_id, item.status, item.metadata, final=item.ends_stream)
        case ArtifactUpdate():
            flags = {"append": item.append, "lastChunk": item.last_chunk}
            return {"id": item.task_id, "artifact": {**artifact(item.artifact, 0), **flags}}
        case Message():
            return None


def _status_event(task_id: str, said: Status, metadata: Mapping[str, Any], *, final: bool) -> Json:
    found: Json = {"id": task_id, "status": status(said), "final": final}
    return {**found, **present(metadata=_with_state(metadata, said))}


def _with_state(metadata: Mapping[str, Any], said: Status) -> Mapping[str, Any]:
    return {**metadata, STATE_NAME: said.state.value} if said.state in STATES else metadata


def task(view: TaskView) -> Json:
    """{id, sessionId, status, artifacts?, history?, metadata?}."""
    found: Json = {"id": view.id, "sessionId": view.context_id, "status": status(view.status)}
    if view.artifacts:
        found["artifacts"] = [artifact(each, index) for index, each in enumerate(view.artifacts)]
    if view.history:
        found["history"] = optional.history(view, message)
    return {**found, **present(metadata=_with_state(view.metadata, view.status))}


def status(said: Status) -> Json:
    """{state, timestamp, message?}."""
    found: Json = {"state": STATES.get(said.state, said.state.value), "timestamp": timestamp(said.at)}
    if said.message is not None:
        found["message"] = message(said.message)
    return found


def message(said: Message) -> Json:
    """{role, parts, metadata?}; 0.1 has no ids of messages."""
    found: Json = {"role": said.role.value, "parts": [part(each) for each in said.parts]}
    return {**found, **present(metadata=said.metadata)}


def artifact(made: Artifact, index: int) -> Json:
    """{index, parts, name?, description?, metadata?}."""
    found: Json = {"index": index, "parts": optional.parts(made, part)}
    return {**found, **present(name=made.name, description=made.description, metadata=made.metadata)}


def part(piece: Part) -> Json:
    """A part of 0.3 whose kind is told by `type`."""
    return v0_3.part(piece, "type")
