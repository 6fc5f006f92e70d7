"""What A2A says, independent of a dialect: the forms between the wire and the domain.

The names are those of A2A 1.0 (specification/a2a.proto). Values that stay JSON text are `Verbatim`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from asya_gateway.domain.task import JsonText


class State(StrEnum):
    """A task's state (TaskState)."""

    SUBMITTED = "submitted"
    WORKING = "working"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"
    INPUT_REQUIRED = "input-required"
    AUTH_REQUIRED = "auth-required"

    @property
    def terminal(self) -> bool:
        """Whether nothing follows it."""
        return self in (State.COMPLETED, State.FAILED, State.CANCELED, State.REJECTED)

    @property
    def interrupted(self) -> bool:
        """Whether the task waits for its caller."""
        return self in (State.INPUT_REQUIRED, State.AUTH_REQUIRED)


class Role(StrEnum):
    """Who has sent a message."""

    USER = "user"
    AGENT = "agent"


class PartKind(StrEnum):
    """What a part contains: text, base64 of bytes, the URL of a file, or any JSON value."""

    TEXT = "text"
    RAW = "raw"
    URL = "url"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Verbatim:
    """JSON text that is inserted unchanged, so that no integer is rounded and nothing is encoded again."""

    text: JsonText


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of content. `value` is a string, except of DATA: any JSON value, or Verbatim."""

    kind: PartKind
    value: Any
    media_type: str = ""
    filename: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """A message; empty ids are absent."""

    message_id: str
    role: Role
    parts: tuple[Part, ...]
    context_id: str = ""
    task_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    reference_task_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifact:
    """An output of a task. `written` are further parts, in the form of the dialect in which they will be sent."""

    artifact_id: str
    parts: tuple[Part, ...]
    name: str = ""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    as_message: bool = False
    """Whether the actor asks that it be sent as a direct message, if the flow lets it choose."""
    written: tuple[Verbatim, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """A task's state, since when, and what the agent says about it."""

    state: State
    at: datetime
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as its caller sees it. `artifacts` and `history` are None if they were not asked for. Messages that are
    Verbatim are in the form of the dialect in which they will be sent."""

    id: str
    context_id: str
    status: Status
    artifacts: tuple[Artifact, ...] | None = ()
    history: tuple[Message | Verbatim, ...] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """An event: the task's status has changed. `ends_stream`: it is the last event of its stream."""

    task_id: str
    context_id: str
    status: Status
    ends_stream: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArtifactUpdate:
    """An event: an artifact, or the next chunk of one."""

    task_id: str
    context_id: str
    artifact: Artifact
    append: bool = False
    last_chunk: bool = False


Event = TaskView | Message | StatusUpdate | ArtifactUpdate
"""An item of a stream."""


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Where a task's changes are pushed, and how the gateway authenticates there; "" is absent. An answer has neither
    `token` nor `credentials`."""

    url: str
    id: str = ""
    token: str = field(default="", repr=False)
    scheme: str = ""
    credentials: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SetPush:
    """A request to store a configuration."""

    task_id: str
    config: PushConfig
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class NamedPush:
    """A request about one configuration of a task; without `id` about the default one."""

    task_id: str
    id: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class ListPush:
    """A request for a page of a task's configurations; 0 is the default size."""

    task_id: str
    page_size: int = 0
    page_token: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A message for a new task, or for one that waits. `wait`: the answer comes when the task has ended or asks.
    `history_length` limits the messages in the answer, None does not. `client_task_id` is the id that a client of the
    oldest dialect chose itself. `push`: the task's changes are pushed there."""

    message: Message
    wait: bool = True
    history_length: int | None = None
    accepted_output_modes: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tenant: str = ""
    client_task_id: str = ""
    push: PushConfig | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A request about one task."""

    task_id: str
    history_length: int | None = None
    tenant: str = ""


DEFAULT_PAGE, LARGEST_PAGE = 50, 100


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A request for a page of tasks. `changed_since` is the earliest time of a status; `history_length` limits the
    messages of each task, None does not."""

    context_id: str = ""
    state: State | None = None
    page_size: int = DEFAULT_PAGE
    page_token: str = ""
    history_length: int | None = None
    changed_since: datetime | None = None
    artifacts: bool = False
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of tasks. `next_page_token` is "" on the last one, `page_size` the size that was asked for, `total_size`
    the number of tasks in the whole list."""

    tasks: tuple[TaskView, ...]
    next_page_token: str
    page_size: int
    total_size: int
