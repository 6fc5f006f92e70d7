"""What the authorization server asks of storage and of the edges."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from asya_gateway.domain.oauth.clients import Client
from asya_gateway.domain.oauth.grants import Approved, Grant, Person, RefreshToken


@dataclass(frozen=True, slots=True)
class Proof:
    """What must come with a code: the client's key, the redirect URI of the authorization request, and the challenge
    that the verifier gives."""

    client: str
    redirect_uri: str
    challenge: str


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant to be made: the digest of its first refresh token, if it gets one, the seconds that a refresh token may
    stay unused, and those that the grant lives in all. `source` is the address of the request, for the audit."""

    id: str
    refresh: bytes | None
    idle: float
    age: float
    source: str = ""


class Ended(StrEnum):
    """Why a grant ended before its time."""

    REVOKED = "revoked"
    CODE_REPLAYED = "code_replayed"
    REFRESH_REPLAYED = "refresh_token_replayed"
    TOO_MANY = "too_many_grants"


class ClientStore(Protocol):
    """Clients that registered themselves or that an operator made. Raises Unavailable, as all stores do."""

    async def find(self, key: str) -> Client | None:
        """The client with this key."""

    async def register(self, client: Client, most: int, source: str) -> bool:
        """Keep a client that registered itself from this address; False if there are `most` already and none can be
        removed."""


class GrantStore(Protocol):
    """Codes, grants and refresh tokens. Secrets arrive as digests. Times are the database's."""

    async def keep_code(self, code: bytes, approved: Approved, seconds: float) -> None:
        """Keep what the code stands for."""

    async def pending(self, code: bytes, proof: Proof) -> Approved | None:
        """What an unused code stands for, if it belongs to the proof."""

    async def redeem(self, code: bytes, proof: Proof, new: NewGrant) -> Grant | None:
        """Use up the code and make its grant and first refresh token, in one statement. None if the code is unknown,
        expired, used, or does not belong to the proof; one that is used ends the grant that was made of it, as
        `presented_again` says."""

    async def presented_again(self, code: bytes, client: str, challenge: str | None, source: str) -> None:
        """A client presents a code without all that must come with it. If this client has used the code, what it gave
        ends. Of a client whose id is public, only the challenge, which the verifier gives, tells that it is the
        client, and not anybody who saw the code."""

    async def grant_to(self, client: Client, scopes: frozenset[str], resource: str, new: NewGrant) -> Grant:
        """Make a grant of a client to itself, which lives as long as its one access token."""

    async def presented(self, refresh: bytes) -> RefreshToken | None:
        """A refresh token of a living grant; None for others."""

    async def rotate(self, refresh: bytes, successor: bytes, sealed: bytes, idle: float) -> bool:
        """Replace the newest refresh token of a line, in one statement; False if it is not the newest any more."""

    async def line(self, grant_id: str, seconds: float) -> Mapping[bytes, bytes | None]:
        """The grant's refresh tokens that were rotated within so many seconds, each with its sealed successor; and
        the newest, with None."""

    async def end(self, grant_id: str, why: Ended, client: str, source: str) -> None:
        """Revoke a grant and everything that was issued for it, on every pod. `client` is the key of the client that
        asked for it or caused it, for the audit."""


class AccessTokens(Protocol):
    """Issues access tokens."""

    def issue(
        self, grant: Grant, client_id: str, audience: str, scopes: frozenset[str], cap: int | None = None
    ) -> tuple[str, int]:
        """An access token, and the seconds for which it is good. `cap` is the number of tasks that its person
        may have open. Raises InvalidScope if it would be too long."""

    def grant_in(self, token: str) -> tuple[str, str] | None:
        """The grant's id and the client's key in a token of ours, expired or not; None if it is none of ours."""


class SuccessorSealer(Protocol):
    """Keeps a successor so that only its predecessor opens it."""

    def seal(self, token: str, successor: str) -> bytes:
        """The successor under a key that comes from the token."""

    def unseal(self, token: str, sealed: bytes) -> str | None:
        """The successor; None if it was not sealed under this token."""


class Documents(Protocol):
    """Client id metadata documents."""

    async def client(self, url: str, source: str = "") -> Client:
        """The client that the document at this URL describes, for a request from this address. Raises InvalidClient,
        TooManyRequests, Overloaded, Unavailable."""


class People(Protocol):
    """Asks what a person may do."""

    async def scopes_of(self, person: Person) -> frozenset[str] | None:
        """The scopes that a person holds now; None if the person may not use the gateway. Raises Unavailable."""

    async def cap_of(self, person: Person) -> int | None:
        """How many tasks of the person may be open, by its roles; None if they say nothing. Raises Unavailable."""
