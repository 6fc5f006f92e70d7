"""The interfaces of the session store. Every method raises Unavailable while the database is away."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from asya_gateway.domain.sessions.session import NewSession, Session


class SessionStore(Protocol):
    """Sessions by the hashes of their ids. A session of another owner is as unknown as one that has ended."""

    async def create(self, new: NewSession) -> None:
        """Store a session. The longest idle ones of the same principal or source end where there are too many."""

    async def find(self, key: bytes, owner: str) -> Session | None:
        """The living session, as it is in the database now; records its use."""

    async def initialize(
        self, key: bytes, revision: str, capabilities: Mapping[str, Any], client: Mapping[str, Any]
    ) -> None:
        """Store what a client of HTTP+SSE has said in its handshake."""

    async def end(self, key: bytes, owner: str) -> bool:
        """End a session on every replica; whether there was one."""

    async def end_of(self, subjects: Iterable[str]) -> None:
        """End the sessions that a revocation of these subjects ends."""

    async def set_level(self, key: bytes, level: str) -> None:
        """The level from which on the client wants messages."""

    async def subscribe(self, key: bytes, uri: str) -> bool:
        """Subscribe to a resource; False if there are MOST_URIS others."""

    async def unsubscribe(self, key: bytes, uri: str) -> None:
        """The opposite."""

    async def open_stream(self, key: bytes) -> int | None:
        """The number of a new standalone stream, which ends the older ones on every replica; None if the session has
        ended."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call of a session while it is open. `request` is the hash of its JSON-RPC id; `call` is what its stream is made
    of again: {id, method, revision, name, token?}. Without a task, it asks its client before it starts, or waits for
    the result of another call's task: {id, method, revision, result_of, token?}."""

    session: bytes
    request: bytes
    task_id: str | None
    call: Mapping[str, Any]


class CallStore(Protocol):
    """The open calls of sessions."""

    async def register(self, call: OpenCall) -> bool:
        """Store an open call; False if it was canceled before."""

    def ended(self, call: OpenCall) -> None:
        """The call was answered. Its row is removed later, since the client may not have received the answer."""

    async def find(self, session: bytes, request: bytes) -> OpenCall | None:
        """The call of a stream; None if there is none, or if it was canceled."""

    async def cancel(self, session: bytes, request: bytes) -> str | None:
        """Note a cancellation, and tell the replica that holds the call. Returns the call's task, None if it has none
        yet."""


@dataclass(frozen=True, slots=True)
class SessionTask:
    """A task that a session has made by a task-augmented call. `token` is the call's progressToken, None without
    one."""

    id: str
    token: str | int | None = None


class SessionTaskStore(Protocol):
    """The tasks of sessions, of which their standalone streams tell."""

    async def add(self, session: bytes, task: SessionTask) -> None:
        """Remember a task, and tell the replica that holds the stream."""

    async def unfinished(self, session: bytes) -> Sequence[SessionTask]:
        """The session's tasks that have not ended, the newest ones."""


STANDING_STREAM = bytes(16)
"""What stands for a session's standalone stream where that of a call is named by the hash of its request."""


@dataclass(frozen=True, slots=True)
class NewServerRequest:
    """A request to a client. `purpose` is what it is for, unique in its session: a purpose that was asked before gets
    the earlier request. `state` is what the asker needs to go on on another replica."""

    purpose: str
    method: str
    params: Mapping[str, Any]
    state: str | None = None


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """A request to a client as it is stored. `number` is its position in the session's event log. `outcome` is None
    while it is open, `answered`, or `withdrawn`; `response` is {result} or {error}. `held`: whether its stream was
    open a moment ago."""

    session: bytes
    id: str
    number: int
    stream: bytes
    purpose: str
    method: str
    params: Mapping[str, Any]
    state: str | None = None
    outcome: str | None = None
    response: Mapping[str, Any] | None = None
    held: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it waits for a response."""
        return self.outcome is None


class ServerRequestStore(Protocol):
    """Requests to clients. A response may arrive at any replica."""

    async def ask(
        self, session: bytes, stream: bytes, requests: Sequence[NewServerRequest]
    ) -> Sequence[ServerRequest] | None:
        """Store requests, in their order; None if the session has ended or has too many open ones. What was asked for
        the same purpose on another stream moves to this one, except that the standalone stream takes nothing, and
        keeps its own while it is held. Large responses are charged to the enclosing scope of the budget. Raises
        NoRoom."""

    async def answer(self, session: bytes, id: str, response: Mapping[str, Any]) -> ServerRequest | None:
        """Store a response and wake whoever waits for it; None if no open request has this id."""

    async def withdraw(self, session: bytes, ids: Iterable[str]) -> Sequence[ServerRequest]:
        """End open requests whose answers are no longer wanted; returns those that were open."""

    async def hold(self, session: bytes, stream: bytes) -> None:
        """Note that the stream is open, with whatever was asked on it. It counts for HELD_SECONDS."""

    async def release(self, session: bytes, stream: bytes) -> None:
        """Note that the stream is closed."""

    async def of_stream(self, session: bytes, stream: bytes) -> Sequence[ServerRequest]:
        """The log of a stream, in its order, without what was asked and answered."""

    async def get(self, session: bytes, ids: Iterable[str]) -> Sequence[ServerRequest]:
        """These requests as they are now. Large responses are charged to the enclosing scope of the budget. Raises
        NoRoom."""


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """A message that was posted at another replica than the one that holds its stream. `scopes` are those of the
    caller that posted it; None at an open gateway."""

    scopes: frozenset[str] | None
    body: str


class Inbox(Protocol):
    """Messages for streams of HTTP+SSE."""

    async def put(self, session: bytes, message: InboxMessage) -> bool:
        """Store a message and ring at the stream's replica; False if too many wait."""

    async def sizes(self, session: bytes) -> Sequence[int]:
        """The bytes of the next waiting messages, in their order."""

    async def take(self, session: bytes, number: int) -> Sequence[InboxMessage]:
        """Remove and return so many of the waiting messages, in their order."""


class SessionObserver:
    """What a watcher of a session is told of. Calls come from the event loop, one at a time; the default does
    nothing."""

    def ended(self) -> None:
        """The session has ended."""

    def changed(self, session: Session) -> None:
        """The session is now this."""

    def requests(self) -> None:
        """Requests of the session may have ended."""

    def canceled(self, request: bytes) -> None:
        """The call with this hashed id was canceled."""

    def resumed(self, request: bytes, holder: str) -> None:
        """The stream of this call has gone on elsewhere; `holder` is random."""

    def posted(self) -> None:
        """Messages wait in the inbox."""


class SessionWatch(Protocol):
    """Tells of what other replicas do with a session."""

    def watch(self, session: Session, news: SessionObserver) -> AbstractContextManager[None]:
        """Tell of the session while the block runs."""

    def tell_resumed(self, session: bytes, request: bytes, holder: str) -> None:
        """Have other holders of a stream end it."""


@dataclass(frozen=True, slots=True)
class SessionParts:
    """Everything that is stored of sessions."""

    sessions: SessionStore
    calls: CallStore
    requests: ServerRequestStore
    inbox: Inbox
    tasks: SessionTaskStore
    watch: SessionWatch
