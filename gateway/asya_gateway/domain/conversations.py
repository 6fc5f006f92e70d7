"""What A2A keeps beside a task: how its client speaks, the client's own names for it, and the messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from asya_crds.flow import ReplyMode
from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.task import JsonText


@dataclass(frozen=True, slots=True)
class Conversation:
    """A task as its client knows it. `context_id` is the client's name of the context, and `client_task_id` the id that
    a client of the oldest dialect chose; None if it chose none. `reply`: the client is to get the result as a direct
    message and does not know the task; None if it is a task for it. `disabled`: why push notifications are sent no
    more, by the id of their configuration."""

    task_id: str
    owner: str
    dialect: str
    context_id: str
    client_task_id: str | None = None
    reply: ReplyMode | None = None
    disabled: Mapping[str, str] = field(default_factory=dict)


class Referred(NamedTuple):
    """A task that a message names. `shown`: it is a task for its client, and not answered by a direct message."""

    name: str
    flow: str
    owner: str
    shown: bool


class NewConversation(NamedTuple):
    """The conversation of a task that is to be stored, with its first message. The other members are Conversation's.
    (A named tuple, because one is created for every call.)"""

    dialect: str
    context_id: str
    message: JsonText
    client_task_id: str | None = None
    reply: ReplyMode | None = None


class Conversations(Protocol):
    """The store. A conversation is stored with its task (TaskStore). Every method raises Unavailable."""

    async def reveal(self, task_id: str) -> None:
        """From now on it is a task for its client, whatever it was to be answered with."""

    async def of_task(self, task_id: str) -> Conversation | None:
        """The conversation of a task that the caller has reached (domain/reach.py). It is found whoever owns it."""

    async def named(self, owner: str, name: str) -> Conversation | None:
        """The conversation of the task that the owner's client calls so, else of the task whose id this is, whoever
        owns that."""

    async def referred(self, owner: str, names: Sequence[str]) -> Sequence[Referred]:
        """The tasks that the owner's client calls so, else those whose ids these are, whoever owns them; without those
        that there are not."""

    async def disabled(self, task_id: str) -> Mapping[str, str]:
        """Why push notifications of a task are sent no more, by the id of their configuration."""

    async def find_client_task(self, owner: str, client_task_id: str) -> str | None:
        """The id of the task that the owner's client calls so."""

    async def add(
        self, task_id: str, message: JsonText, *, most: int, most_bytes: int, request: RequestKey | None = None
    ) -> int:
        """Append a message, under a key once; returns its number, 0 without a conversation or if it is there already.
        Raises Conflict if there would be more than `most` messages, or more than `most_bytes` of them, and
        KeyReused."""

    async def remove(self, task_id: str, number: int, request: RequestKey | None = None) -> None:
        """Remove a message that was not taken, and its key."""

    async def messages(self, task_id: str, most: int | None, *, most_bytes: int) -> Sequence[JsonText]:
        """The newest messages in order, at most `most` and so many that they have together at most `most_bytes`; the
        newest one whatever its size. Large ones are charged to the enclosing scope of the budget. Raises NoRoom."""
