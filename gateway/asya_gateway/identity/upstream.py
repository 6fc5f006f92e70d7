"""Logs persons in at an OpenID provider: the gateway is its client (OpenID Connect Core 1.0, section 3.1)."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode, urlsplit

from asya_crds import jsontext
from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.oauth.errors import AccessDenied
from asya_gateway.domain.oauth.grants import Person
from asya_gateway.domain.oauth.logins import LoginSecrets
from asya_gateway.domain.oauth.pkce import METHOD
from asya_gateway.domain.oauth.redirects import with_parameters
from asya_gateway.identity.jwt.verifying import Issuer, IssuerKeySource, IssuersTokens
from asya_gateway.outbound.client import ExchangeLimits, OutboundResponse
from asya_gateway.outbound.errors import OutboundError
from asya_gateway.outbound.permitting import Origin

DISCOVERY = "/.well-known/openid-configuration"
LIMITS = ExchangeLimits(seconds=5.0, bytes=256 * 1024)
DEPTH = 20
METADATA_KEPT = 600.0
OF_ONE_TOKEN = frozenset(
    {"aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "at_hash", "c_hash", "s_hash", "sid"}
)
"""Claims about the token and not about the person."""


class Exchanging(Protocol):
    """The part of the guarded client that is used here."""

    async def get(self, url: str, *, permission: Origin | None, limits: ExchangeLimits) -> OutboundResponse:
        """Raises OutboundError."""

    async def post(
        self, url: str, body: bytes, *, permission: Origin | None, limits: ExchangeLimits, headers: Mapping[str, str]
    ) -> OutboundResponse:
        """Raises OutboundError."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider, as the operator configured it. `secret_file` holds the gateway's secret there, and is read for each
    login, so that it can be exchanged; None for a public client."""

    alias: str
    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    permission: Origin
    secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Metadata:
    authorize: str
    token: str
    answers_with_iss: bool
    secret_in_body: bool


class Upstream:
    """Sends persons to the provider and finds out who came back. `callback` is where the provider sends them."""

    def __init__(
        self,
        provider: Provider,
        keys: IssuerKeySource,
        client: Exchanging,
        callback: str,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider, self._client, self._callback, self._monotonic = provider, client, callback, monotonic
        issuer = Issuer(provider.alias, provider.issuer, (provider.client_id,), keys)
        self._id_tokens = IssuersTokens([issuer], roles_decide=True, clock=clock)
        self._known: tuple[_Metadata, float] | None = None

    async def authorization_url(self, secrets: LoginSecrets) -> str:
        """Where the person logs in. Raises Unavailable."""
        metadata = await self._metadata()
        return with_parameters(
            metadata.authorize,
            {
                "response_type": "code",
                "client_id": self._provider.client_id,
                "redirect_uri": self._callback,
                "scope": " ".join(dict.fromkeys(("openid", *self._provider.scopes))),
                "state": secrets.state,
                "nonce": secrets.nonce,
                "code_challenge": secrets.challenge,
                "code_challenge_method": METHOD,
            },
        )

    async def person(self, code: str, iss: str | None, secrets: LoginSecrets) -> Person:
        """Who logged in. Raises AccessDenied, Unavailable."""
        metadata = await self._metadata()
        if iss != self._provider.issuer and (iss is not None or metadata.answers_with_iss):
            # RFC 9207, section 2.4: another server's answer, whose code must not be sent to this one.
            raise AccessDenied("the answer of the login is of another issuer")
        id_token = await self._exchanged(metadata, code, secrets)
        try:
            claims = (await self._id_tokens.verify(id_token)).claims
        except Unauthenticated as error:
            raise AccessDenied(f"the login was not accepted: {error.message}") from None
        self._check(claims, secrets)
        about = {name: value for name, value in claims.items() if name not in OF_ONE_TOKEN}
        return Person(f"user:{self._provider.alias}:{claims['sub']}", about)

    def _check(self, claims: Mapping[str, Any], secrets: LoginSecrets) -> None:
        """OpenID Connect Core 1.0, section 3.1.3.7."""
        if claims.get("nonce") != secrets.nonce:
            raise AccessDenied("the login was not accepted: its nonce is of another login")
        if claims.get("azp", self._provider.client_id) != self._provider.client_id:
            raise AccessDenied("the login was not accepted: it was made for another client")

    async def _exchanged(self, metadata: _Metadata, code: str, secrets: LoginSecrets) -> str:
        """The ID token for the code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": secrets.verifier,
            "client_id": self._provider.client_id,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        secret = self._secret()
        if secret is not None and metadata.secret_in_body:
            form["client_secret"] = secret
        elif secret is not None:
            headers["Authorization"] = _basic(self._provider.client_id, secret)
        try:
            answer = await self._client.post(
                metadata.token,
                urlencode(form).encode(),
                permission=self._provider.permission,
                limits=LIMITS,
                headers=headers,
            )
        except OutboundError as error:
            raise Unavailable(f"the login cannot be completed now: {error.reason}") from None
        if answer.status >= 500 or answer.status == 429:
            raise Unavailable(f"the login cannot be completed now: the provider answers {answer.status}")
        found = _object(answer.body) if answer.status == 200 else None
        id_token = None if found is None else found.get("id_token")
        if not isinstance(id_token, str):
            raise AccessDenied("the login was not accepted by its provider")
        return id_token

    def _secret(self) -> str | None:
        if self._provider.secret_file is None:
            return None
        try:
            return self._provider.secret_file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise Unavailable("the login cannot be completed now: client_secret_file cannot be read") from None

    async def _metadata(self) -> _Metadata:
        if self._known is not None and self._known[1] > self._monotonic():
            return self._known[0]
        url = self._provider.issuer.removesuffix("/") + DISCOVERY
        try:
            answer = await self._client.get(url, permission=self._provider.permission, limits=LIMITS)
        except OutboundError as error:
            raise Unavailable(f"the login's provider cannot be reached: {error.reason}") from None
        found = self._read(answer)
        self._known = (found, self._monotonic() + METADATA_KEPT)
        return found

    def _read(self, answer: OutboundResponse) -> _Metadata:
        """Raises Unavailable: what is wrong there is not the client's fault."""
        document = _object(answer.body) if answer.status == 200 else None
        if document is None or document.get("issuer") != self._provider.issuer:
            # OpenID Connect Discovery 1.0, section 4.3.
            raise Unavailable("the login's provider has no metadata with its own issuer")
        authorize, token = (document.get(name) for name in ("authorization_endpoint", "token_endpoint"))
        if not isinstance(authorize, str) or not isinstance(token, str) or not self._leads_to(authorize):
            raise Unavailable("the login's provider names no usable endpoints")
        methods = document.get("token_endpoint_auth_methods_supported")
        return _Metadata(
            authorize,
            token,
            document.get("authorization_response_iss_parameter_supported") is True,
            isinstance(methods, list) and "client_secret_post" in methods and "client_secret_basic" not in methods,
        )

    def _leads_to(self, url: str) -> bool:
        """Whether a browser may be sent there: by https, or to where the operator's own setting leads."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        own = urlsplit(self._provider.issuer)
        if not parts.hostname or parts.fragment or not (url.isascii() and url.isprintable()):
            return False
        return parts.scheme == "https" or (parts.scheme, parts.netloc) == (own.scheme, own.netloc)


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749, section 2.3.1."""
    joined = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(joined.encode()).decode()


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = jsontext.loads(body, max_depth=DEPTH)
    except jsontext.InvalidJSON:
        return None
    return found if isinstance(found, dict) else None
