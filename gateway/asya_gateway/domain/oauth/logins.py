"""Authorizations that wait for a person: what is remembered while a browser is at the upstream issuer, and how it is
bound to that browser.

The browser keeps one random cookie. Everything else comes from it and from the state of the authorization, so that the
table contains nothing with which somebody else could go on.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from asya_gateway.domain.oauth.authorizing import AuthorizationRequest, Target
from asya_gateway.domain.oauth.clients import Client, ClientKind
from asya_gateway.domain.oauth.grants import Person
from asya_gateway.domain.oauth.pkce import challenge_of
from asya_gateway.domain.oauth.secrets import digest

LOGIN_SECONDS = 600
"""How long a person may take."""


@dataclass(frozen=True, slots=True)
class LoginKey:
    """One authorization in one browser: the digests of the state and of the cookie."""

    state: bytes
    browser: bytes


class LoginSecrets:
    """What belongs to one authorization in one browser. `cookie` is the browser's secret, `state` what the upstream
    issuer brings back."""

    def __init__(self, cookie: str, state: str) -> None:
        self._cookie, self.state = cookie, state
        self.key = LoginKey(digest(state), digest(cookie))

    @property
    def verifier(self) -> str:
        """The verifier of the code that the upstream issuer gives (RFC 7636)."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The challenge of the verifier."""
        found = challenge_of(self.verifier)
        assert found is not None
        return found

    @property
    def nonce(self) -> str:
        """What the ID token has to contain (OpenID Connect Core 1.0, section 3.1.2.1)."""
        return self._derived("nonce")

    @property
    def consent(self) -> str:
        """The token of the form on the page of consent, good for one answer."""
        return self._derived("consent")

    def is_consent(self, token: str) -> bool:
        """Whether a form was made for this browser and this authorization."""
        return hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.consent.encode())

    def _derived(self, purpose: str) -> str:
        text = f"asya {purpose}\x00{self.state}".encode("utf-8", "surrogatepass")
        hashed = hmac.new(self._cookie.encode("utf-8", "surrogatepass"), text, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


class LoginStore(Protocol):
    """Waiting authorizations. Raises Unavailable."""

    async def begin(self, key: LoginKey, request: Mapping[str, Any], seconds: float) -> None:
        """Remember an authorization request."""

    async def waiting(self, key: LoginKey) -> Mapping[str, Any] | None:
        """The request whose person has not logged in yet."""

    async def logged_in(self, key: LoginKey, person: Person) -> bool:
        """Note who logged in; False if somebody has already, or it is too late."""

    async def finish(self, key: LoginKey) -> tuple[Mapping[str, Any], Person | None] | None:
        """Forget the authorization and return it, once: of two answers to one page, one is first."""


class Upstreams(Protocol):
    """The issuer at which persons log in."""

    async def authorization_url(self, secrets: LoginSecrets) -> str:
        """Where a person logs in. Raises Unavailable."""

    async def person(self, code: str, iss: str | None, secrets: LoginSecrets) -> Person:
        """Who has logged in, by the code and the issuer of the answer. Raises AccessDenied, Unavailable."""


def as_document(request: AuthorizationRequest) -> dict[str, Any]:
    """The request as it is stored. The client and the redirect URI that a person agrees to are these, whatever the
    browser brings back."""
    client = request.target.client
    return {
        "client": {
            "key": client.key,
            "kind": client.kind.value,
            "name": client.name,
            "public_id": client.public_id,
            "redirect_uris": list(client.redirect_uris),
        },
        "redirect_uri": request.target.redirect_uri,
        "state": request.target.state,
        "challenge": request.challenge,
        "scopes": sorted(request.scopes),
        "resource": request.resource,
    }


def from_document(document: Mapping[str, Any]) -> AuthorizationRequest:
    """The request that was stored."""
    stored = document["client"]
    client = Client(
        key=stored["key"],
        kind=ClientKind(stored["kind"]),
        name=stored["name"],
        redirect_uris=tuple(stored["redirect_uris"]),
        public_id=stored["public_id"],
    )
    target = Target(client, document["redirect_uri"], document["state"])
    return AuthorizationRequest(target, document["challenge"], frozenset(document["scopes"]), document["resource"])
