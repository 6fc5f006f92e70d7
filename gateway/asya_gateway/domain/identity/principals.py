"""Who makes a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

from asya_gateway.domain.identity.scopes import COMMON_SCOPES, Rights, rights_of

LONGEST_ID = 512
"""Characters of a principal's id."""
LONGEST_SUBJECT = 255
"""Characters of a `sub` (OpenID Connect Core 1.0, section 2)."""


class Via(StrEnum):
    """How a caller proved who it is."""

    OPEN = "open"
    """The gateway is open: it asks nobody."""
    ANONYMOUS = "anonymous"
    """The gateway is closed, but this group of routes was reopened."""
    KEY = "key"
    JWT = "jwt"
    OAUTH = "oauth"


@dataclass(frozen=True, slots=True)
class OpenCaller:
    """Anybody, at a gateway without authentication. All tasks there belong to one owner, who may call every flow."""

    owner: str = ""
    via: Via = Via.OPEN


OPEN = OpenCaller()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Principal:
    """A caller with an identity. Two ids of different authenticators never spell the same text."""

    owner: str
    """The owner of its tasks: `key:<name>`, `jwt:<issuer alias>:<sub>`, `client:<hash of the client id>`,
    `user:<issuer alias>:<sub>`, or `anonymous`."""
    rights: Rights
    via: Via
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Verified claims and profile, for roles and for actors; never a credential."""
    expires_at: float | None = None
    """Unix time in seconds at which its credential ends, by the database's clock."""
    revocables: frozenset[str] = frozenset()
    """Subjects whose revocation ends this principal: `key:<id>`, `grant:<id>`, `client:<hash>`."""
    roles: frozenset[str] = frozenset()
    """Roles from the file of roles: those that its key names, and those of its claims and profile."""
    max_open_tasks: int | None = None
    """Most open tasks that its roles allow, 0 for no limit; None if they say nothing."""
    resource: str | None = None
    """Path of the audience that its token was issued for; None opens every route."""


ANONYMOUS = Principal("anonymous", rights_of(COMMON_SCOPES), Via.ANONYMOUS)
"""Anybody without a credential, on a reopened group of a closed gateway. Sees no flow that requires scopes."""


class Program(Enum):
    """Programs of the gateway itself, on routes that only the cluster's network reaches. Owner checks do not apply to
    them."""

    MESH = "mesh"
    """Actors, sidecars and crew."""
    OPERATOR = "operator"

    @property
    def owner(self) -> str:
        """The owner of tasks that this program creates at a closed gateway."""
        return self.value


MESH = Program.MESH

Caller = OpenCaller | Principal
"""Who calls an external route."""


def has_expired(caller: Caller, now: float) -> bool:
    """Whether the caller's credential has ended, by the database's clock."""
    return isinstance(caller, Principal) and caller.expires_at is not None and caller.expires_at <= now


Asker = Caller | Program
"""Who asks for a task. There is no value that stands for "not known": nobody sees everything by omission."""
