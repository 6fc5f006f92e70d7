"""A2A 0.3 over HTTP+JSON: ProtoJSON of the proto of release v0.3.0. Its names of states, roles and parts are not those
of its JSON-RPC."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from asya_gateway.protocols.a2a.dialects import push_v0_3, v0_3
from asya_gateway.protocols.a2a.dialects.v1_0 import ROLES, listing_of
from asya_gateway.protocols.a2a.errors import InvalidParams
from asya_gateway.protocols.a2a.model import (
    Event,
    ListRequest,
    Message,
    Page,
    Part,
    PartKind,
    Role,
    SendRequest,
    State,
    TaskView,
    Verbatim,
)
from asya_gateway.protocols.a2a.reading import Members, a_text

Json = dict[str, Any]

NAMES = {state: f"TASK_STATE_{state.name}" for state in State} | {State.CANCELED: "TASK_STATE_CANCELLED"}
STATES = {name: state for state, name in NAMES.items()} | {"TASK_STATE_CANCELED": State.CANCELED}
FILES = {"bytes": "fileWithBytes", "uri": "fileWithUri"}


# Reading


def read_send(params: Mapping[str, Any]) -> SendRequest:
    """SendMessageRequest. Its `blocking` is false unless it is said to be true, because proto3 leaves out what is
    false. Raises InvalidParams."""
    members = Members(params)
    configuration = members.members("configuration") or Members({}, "configuration")
    return SendRequest(
        message=_read_message(members.get("message", "request"), "message"),
        wait=configuration.flag("blocking") is True,
        history_length=configuration.count("historyLength", "history_length") or None,
        accepted_output_modes=configuration.texts("acceptedOutputModes", "accepted_output_modes"),
        metadata=members.object("metadata"),
        push=configuration.one(("pushNotification", "push_notification"), push_v0_3.read_config),
    )


def read_listing(params: Mapping[str, Any]) -> ListRequest:
    """The parameters of the list. Raises InvalidParams."""
    found = listing_of(Members(params), _read_state)
    return replace(found, history_length=found.history_length or None)


def _read_state(members: Members) -> State | None:
    value = members.get("status")
    if value is None:
        return None
    if not isinstance(value, str) or value not in STATES:
        raise members.wrong("status", f"one of {', '.join(NAMES.values())}")
    return STATES[value]


def _read_message(value: Any, path: str) -> Message:
    if value is None:
        raise InvalidParams(path, "expected a message")
    members = Members.of(value, path)
    role = members.get("role")
    # True is a 1 in Python, and no number of an enum.
    if type(role) not in (str, int) or ROLES.get(role) is not Role.USER:
        raise members.wrong("role", "ROLE_USER")
    # The proto has `content`; the specification's examples of this binding have the `parts` of JSON-RPC.
    name = "parts" if members.get("content") is None and members.get("parts") is not None else "content"
    parts = members.each((name,), _read_part)
    if not parts:
        raise members.wrong(name, "at least one part")
    return Message(
        message_id=members.required_id("messageId", "message_id"),
        role=Role.USER,
        parts=parts,
        context_id=members.optional_id("contextId", "context_id"),
        task_id=members.optional_id("taskId", "task_id"),
        metadata=members.object("metadata"),
        extensions=members.texts("extensions"),
    )


def _read_part(value: Any, path: str) -> Part:
    members = Members.of(value, path)
    if members.get("kind") is not None:
        return v0_3.read_part(value, path)
    metadata = members.object("metadata")
    match [name for name in ("text", "file", "data") if members.get(name) is not None]:
        case ["text"]:
            return Part(PartKind.TEXT, a_text(members.get("text"), members.at("text")), metadata=metadata)
        case ["file"]:
            return v0_3.read_file(members, metadata)
        case ["data"]:
            return v0_3.read_data(Members.of(members.get("data"), members.at("data")), metadata)
        case _:
            raise InvalidParams(path, "expected exactly one of text, file, data")


# Writing


def send_result(reply: TaskView | Message) -> Json:
    """SendMessageResponse."""
    return event(reply)


def event(item: Event) -> Json:
    """StreamResponse."""
    found = v0_3.event(item)
    match found.pop("kind"):
        case "task":
            return {"task": _task(found)}
        case "message":
            return {"message": _message(found)}
        case "status-update":
            return {"statusUpdate": {**found, "status": _status(found["status"])}}
        case _:
            return {"artifactUpdate": {**found, "artifact": _artifact(found["artifact"])}}


def task(view: TaskView) -> Json:
    """Like the JSON of 0.3 without `kind`, and with the names of protocol buffers: TASK_STATE_…, ROLE_…, `content`."""
    found: Json = event(view)["task"]
    return found


def message(said: Message) -> Json:
    """{messageId, role: ROLE_…, content: [part]}, and its optional members."""
    return _message(v0_3.message(said))


def part(piece: Part) -> Json:
    """One member that tells the kind: {text}, {file} or {data}."""
    return _part(v0_3.part(piece))


def list_result(page: Page) -> list[Json]:
    """The tasks alone, as the specification of 0.3 has it (section 3.5.6)."""
    return [task(each) for each in page.tasks]


def _task(found: Json) -> Json:
    lists = {"artifacts": _artifact, "history": _message}
    return {
        **found,
        "status": _status(found["status"]),
        **{name: _written(found[name], write) for name, write in lists.items() if name in found},
    }


def _written(items: Sequence[Json | Verbatim], write: Callable[[Json], Json]) -> list[Json | Verbatim]:
    return [each if isinstance(each, Verbatim) else write(each) for each in items]


def _status(found: Json) -> Json:
    said = {"message": _message(found["message"])} if "message" in found else {}
    return {**found, "state": NAMES[State(found["state"])], **said}


def _message(found: Json) -> Json:
    kept = {name: value for name, value in found.items() if name not in ("kind", "parts")}
    return {**kept, "role": f"ROLE_{found['role'].upper()}", "content": [_part(each) for each in found["parts"]]}


def _artifact(found: Json) -> Json:
    return {**found, "parts": _written(found["parts"], _part)}


def _part(found: Json) -> Json:
    rest = {name: value for name, value in found.items() if name != "kind"}
    match found["kind"]:
        case "data":
            return {**rest, "data": {"data": found["data"]}}
        case "file":
            return {**rest, "file": {FILES.get(name, name): value for name, value in found["file"].items()}}
        case _:
            return rest
