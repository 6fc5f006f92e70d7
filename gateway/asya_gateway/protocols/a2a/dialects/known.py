"""Which dialect a request speaks: by its method's name first, by the header A2A-Version second."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from asya_gateway.protocols.a2a.dialects import v0_1, v0_3, v0_3_proto, v1_0
from asya_gateway.protocols.a2a.errors import METHOD_NOT_FOUND, VERSION_NOT_SUPPORTED, A2aError
from asya_gateway.protocols.a2a.model import Event, ListRequest, Message, Named, Page, Part, SendRequest, TaskView

LONGEST_SHOWN = 64
SUPPORTED = "0.3, 1.0"


class Operation(StrEnum):
    """What a method does."""

    SEND = "send"
    STREAM = "stream"
    GET = "get"
    LIST = "list"
    CANCEL = "cancel"
    SUBSCRIBE = "subscribe"
    SET_PUSH = "push.set"
    GET_PUSH = "push.get"
    LIST_PUSH = "push.list"
    DELETE_PUSH = "push.delete"
    EXTENDED_CARD = "card"


@dataclass(frozen=True, slots=True)
class Dialect:
    """A codec by name. `event` returns None for an item that the dialect has no form for."""

    name: str
    read_send: Callable[[Mapping[str, Any]], SendRequest]
    read_named: Callable[[Mapping[str, Any]], Named]
    read_listing: Callable[[Mapping[str, Any]], ListRequest]
    send_result: Callable[[TaskView | Message], dict[str, Any]]
    task: Callable[[TaskView], dict[str, Any]]
    list_result: Callable[[Page], Any]
    event: Callable[[Event], dict[str, Any] | None]
    message: Callable[[Message], dict[str, Any]]
    part: Callable[[Part], dict[str, Any]]
    form: str = ""
    """The name of the forms in which it is written, if a version has several."""

    @property
    def key(self) -> str:
        """Its name, followed by its form if the version has several."""
        return f"{self.name} {self.form}".strip()

    @property
    def newest(self) -> bool:
        """Whether it is 1.0, whose errors have typed details."""
        return self is V1_0


V1_0 = Dialect(
    "1.0",
    v1_0.read_send,
    v1_0.read_named,
    v1_0.read_listing,
    v1_0.send_result,
    v1_0.task,
    v1_0.list_result,
    v1_0.event,
    v1_0.message,
    v1_0.part,
)
V0_3 = Dialect(
    "0.3",
    v0_3.read_send,
    v0_3.read_named,
    v0_3.read_listing,
    v0_3.send_result,
    v0_3.task,
    v0_3.list_result,
    v0_3.event,
    v0_3.message,
    v0_3.part,
)
V0_3_PROTO = Dialect(
    "0.3",
    v0_3_proto.read_send,
    v0_3.read_named,
    v0_3_proto.read_listing,
    v0_3_proto.send_result,
    v0_3_proto.task,
    v0_3_proto.list_result,
    v0_3_proto.event,
    v0_3_proto.message,
    v0_3_proto.part,
    form="proto",
)
"""0.3 over HTTP+JSON."""
# It has no list. Its clients may ask for that of 0.3.
V0_1 = Dialect(
    "0.1",
    v0_1.read_send,
    v0_1.read_named,
    v0_3.read_listing,
    v0_1.send_result,
    v0_1.task,
    v0_3.list_result,
    v0_1.event,
    v0_1.message,
    v0_1.part,
)
BY_NAME = {dialect.name: dialect for dialect in (V1_0, V0_3, V0_1)}
BY_KEY = {dialect.key: dialect for dialect in (V1_0, V0_3, V0_3_PROTO, V0_1)}

METHODS: Mapping[str, tuple[Dialect, Operation]] = {
    "SendMessage": (V1_0, Operation.SEND),
    "SendStreamingMessage": (V1_0, Operation.STREAM),
    "GetTask": (V1_0, Operation.GET),
    "ListTasks": (V1_0, Operation.LIST),
    "CancelTask": (V1_0, Operation.CANCEL),
    "SubscribeToTask": (V1_0, Operation.SUBSCRIBE),
    "CreateTaskPushNotificationConfig": (V1_0, Operation.SET_PUSH),
    "GetTaskPushNotificationConfig": (V1_0, Operation.GET_PUSH),
    "ListTaskPushNotificationConfigs": (V1_0, Operation.LIST_PUSH),
    "DeleteTaskPushNotificationConfig": (V1_0, Operation.DELETE_PUSH),
    "GetExtendedAgentCard": (V1_0, Operation.EXTENDED_CARD),
    "message/send": (V0_3, Operation.SEND),
    "message/stream": (V0_3, Operation.STREAM),
    "tasks/get": (V0_3, Operation.GET),
    "tasks/list": (V0_3, Operation.LIST),
    "tasks/cancel": (V0_3, Operation.CANCEL),
    "tasks/resubscribe": (V0_3, Operation.SUBSCRIBE),
    "tasks/pushNotificationConfig/set": (V0_3, Operation.SET_PUSH),
    "tasks/pushNotificationConfig/get": (V0_3, Operation.GET_PUSH),
    "tasks/pushNotificationConfig/list": (V0_3, Operation.LIST_PUSH),
    "tasks/pushNotificationConfig/delete": (V0_3, Operation.DELETE_PUSH),
    "pushNotification/set": (V0_3, Operation.SET_PUSH),
    "pushNotification/get": (V0_3, Operation.GET_PUSH),
    "pushNotification/list": (V0_3, Operation.LIST_PUSH),
    "pushNotification/delete": (V0_3, Operation.DELETE_PUSH),
    "agent/getAuthenticatedExtendedCard": (V0_3, Operation.EXTENDED_CARD),
    "agent/authenticatedExtendedCard": (V0_3, Operation.EXTENDED_CARD),
    "tasks/send": (V0_1, Operation.SEND),
    "tasks/sendSubscribe": (V0_1, Operation.STREAM),
    "tasks/pushNotification/set": (V0_1, Operation.SET_PUSH),
    "tasks/pushNotification/get": (V0_1, Operation.GET_PUSH),
}
"""Names that 0.1 and 0.3 share are read as 0.3 and answered in the task's own dialect."""


def spoken(method: str, version: str | None) -> tuple[Dialect, Operation]:
    """The dialect and the operation of a method. `version` is Major.Minor, None if the client says none; an absent one
    contradicts nothing. Raises A2aError."""
    check_version(version)
    found = METHODS.get(method)
    if found is None:
        raise A2aError(METHOD_NOT_FOUND, f"Method not found: {_shown(method)}")
    dialect, _ = found
    major = (version or "").partition(".")[0]
    if version and (major == "1") is not dialect.newest:
        raise _unsupported(f"{_shown(method)} is no method of A2A {version}")
    return found


def check_path_version(version: str | None, dialect: Dialect) -> None:
    """For the HTTP+JSON binding, whose paths belong to one version: the client says this one, or none. Raises
    A2aError."""
    check_version(version)
    if version and (version.partition(".")[0] == "1") is not dialect.newest:
        raise _unsupported(f"this is no path of A2A {version}")


def named_by(method: str) -> Dialect | None:
    """The dialect of a known method, whatever version the client says."""
    found = METHODS.get(method)
    return None if found is None else found[0]


def check_version(version: str | None) -> None:
    """Only 0.3 and 1.x are served; the patch level does not count. Raises A2aError."""
    if not version:
        return
    if version.partition(".")[0] != "1" and version not in ("0.3", "0.3.0", "0.2", "0.1"):
        raise _unsupported(f"A2A {_shown(version)} is not supported")


def _unsupported(message: str) -> A2aError:
    return A2aError(VERSION_NOT_SUPPORTED, message, details={"supportedVersions": SUPPORTED})


def _shown(text: str) -> str:
    short = text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
    return "".join(each if each.isprintable() else "\ufffd" for each in short)
