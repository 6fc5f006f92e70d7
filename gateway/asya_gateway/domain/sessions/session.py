"""A client's session, as it is stored."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ID_BYTES = 24
"""Random bytes of a session id."""
LONGEST_ID = 64
"""Characters of an id that is looked for."""

MOST_OF_PRINCIPAL = 1_000
MOST_OF_SOURCE = 200
"""Sessions of one principal, and of one network without an identity. Beyond it the longest idle one ends."""
IDLE_SECONDS = 7 * 86_400.0
TOUCH_SECONDS = 3_600.0
"""A session's last use is recorded at most once in so many seconds."""
HELD_SECONDS = 60.0
"""A session of HTTP+SSE lives with its stream. Its replica says so, and without that it ends after so many seconds."""
HOLD_SECONDS = 15.0
"""How often the replica says so."""
MOST_URIS = 100
MOST_URI_BYTES = 64 * 1024
"""Resources that a session may be subscribed to, and the bytes of their URIs together."""


class SessionTransport(StrEnum):
    """How a client is connected."""

    HTTP = "http"
    """Streamable HTTP: requests of their own, and streams beside them."""
    SSE = "sse"
    """HTTP+SSE of 2024-11-05: one stream, with which the session ends."""


class SessionId(str):
    """The secret by which a client names its session: visible ASCII, 192 random bits. Only its hash is stored."""

    __slots__ = ()

    @classmethod
    def new(cls) -> "SessionId":
        """An id that nobody can guess."""
        return cls(secrets.token_urlsafe(ID_BYTES))

    @property
    def key(self) -> bytes:
        """What stands for it in the database and in notifications: 32 bytes."""
        return hashlib.sha256(self.encode("ascii", "replace")).digest()


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be stored. `source` is the network of a caller without an identity, "" for others; `revocables` are
    the subjects whose revocation ends it."""

    key: bytes
    transport: SessionTransport
    owner: str
    source: str = ""
    revocables: frozenset[str] = frozenset()
    revision: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """How many sessions there may be of its kind."""
        return MOST_OF_SOURCE if self.source else MOST_OF_PRINCIPAL


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Session:
    """A living session. `revision` is "" until a client of HTTP+SSE has initialized. `log_level` is None until the
    client has asked for messages; `uris` are the resources that it is subscribed to. `stream` is the number of the
    newest standalone stream."""

    key: bytes
    transport: SessionTransport
    owner: str
    revision: str
    capabilities: Mapping[str, Any]
    log_level: str | None
    uris: tuple[str, ...]
    version: int
    stream: int
    weight: int = 0
    """Bytes of what its client has said, in memory."""
