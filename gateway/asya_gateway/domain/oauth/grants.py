"""What was granted, to whom, and how it is presented again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asya_gateway.domain.oauth.clients import Client, ClientKind


@dataclass(frozen=True, slots=True)
class Person:
    """Who logged in. `id` is the principal's, `claims` those that the issuer vouches for."""

    id: str
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approved:
    """What a code stands for. `scopes` are those that were approved: of a person, all that the client asked for."""

    client: Client
    redirect_uri: str
    challenge: str
    scopes: frozenset[str]
    resource: str
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A client's permission, until it is revoked, not used for long, or ends (`ends_at`, POSIX seconds)."""

    id: str
    client: str
    """The client's key."""
    kind: ClientKind
    scopes: frozenset[str]
    resource: str
    ends_at: float
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token that was presented, and belongs to a living grant. `rotated` is the time in seconds since a
    successor replaced it; None if it is the newest of its line."""

    grant: Grant
    rotated: float | None


def owner_of(client_id_key: str, kind: ClientKind, grant: str, person: str | None = None) -> str:
    """The id of the principal that a grant makes.

    A registered client is one installation. A metadata client is the same for everybody who uses it, so that only the
    grant tells them apart, and a new authorization is a new owner.
    """
    if person is not None:
        return person
    if kind is ClientKind.METADATA:
        return f"client:{client_id_key}:{grant}"
    return f"client:{client_id_key}"
