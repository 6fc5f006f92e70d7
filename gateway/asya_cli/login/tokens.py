"""What a client sends to an authorization server: its registration, the code, the refresh token, the revocation."""

import base64
import hashlib
import platform
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from asya_cli.errors import CliError
from asya_cli.login.discovery import DiscoveredGateway, Server
from asya_cli.login.oauth_http import OAuthRefused, post_form, post_json
from asya_cli.login.store import Login

DEFAULT_TTL = 3600.0
"""Seconds, if the server does not say how long an access token is valid."""


@dataclass(frozen=True, slots=True)
class Pkce:
    """A verifier that only this process knows, and its challenge (RFC 7636, section 4)."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def challenge(self) -> str:
        """The S256 challenge."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def register(
    session: aiohttp.ClientSession, server: Server, redirect_uri: str, scope: str, registration_token: str
) -> str:
    """Register this command as a client of its own (RFC 7591); returns the client's id. Raises CliError."""
    if not server.registration_endpoint:
        raise CliError(f"{server.issuer} lets no client register itself; ask for a client and give --client-id")
    document = {
        "client_name": f"asya on {platform.node()[:60] or 'a computer'}",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        **({"scope": scope} if scope else {}),
    }
    try:
        answer = await post_json(session, server.registration_endpoint, document, registration_token)
    except OAuthRefused as error:
        if error.oauth_code != "invalid_token":
            raise
        how = "another" if registration_token else "the"
        raise CliError(f"{error.message}; give {how} token with --registration-token") from None
    return _text(answer, "client_id", server.registration_endpoint)


async def is_known(session: aiohttp.ClientSession, server: Server, client_id: str) -> bool:
    """Whether the server still knows a client. A page for an unknown one would end in the browser, and nothing would
    come back here. Revoking a token that does not exist succeeds for a known client only (RFC 7009, section 2.2).
    Raises CliError."""
    if not server.revocation_endpoint:
        return False
    try:
        await post_form(session, server.revocation_endpoint, {"token": "unknown", "client_id": client_id})
    except OAuthRefused:
        return False
    return True


async def redeem(
    session: aiohttp.ClientSession,
    found: DiscoveredGateway,
    gateway: str,
    client_id: str,
    form: dict[str, str],
    scope: str,
) -> Login:
    """Exchange a code (RFC 6749, section 4.1.3); `form` has the code, the redirect URI and the verifier. Raises
    CliError."""
    server = found.server
    form = {"grant_type": "authorization_code", "client_id": client_id, "resource": found.resource, **form}
    answer = await post_form(session, server.token_endpoint, form)
    empty = Login(
        gateway=gateway,
        issuer=server.issuer,
        resource=found.resource,
        token_endpoint=server.token_endpoint,
        revocation_endpoint=server.revocation_endpoint,
        scope=scope,
        client_id=client_id,
        access_token="",
        refresh_token="",
        expires_at=0.0,
    )
    return with_tokens(empty, answer)


async def refresh(session: aiohttp.ClientSession, login: Login) -> Login:
    """The login with new tokens (RFC 6749, section 6). Raises OAuthRefused, CliError."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": login.refresh_token,
        "client_id": login.client_id,
        "resource": login.resource,
    }
    return with_tokens(login, await post_form(session, login.token_endpoint, form))


async def revoke(session: aiohttp.ClientSession, login: Login) -> None:
    """End the grant (RFC 7009): revoking its refresh token ends its access tokens too. Raises CliError."""
    if not login.revocation_endpoint:
        raise CliError(f"{login.issuer} revokes no tokens; they end by themselves")
    kind = "refresh_token" if login.refresh_token else "access_token"
    token = login.refresh_token or login.access_token
    form = {"token": token, "token_type_hint": kind, "client_id": login.client_id}
    await post_form(session, login.revocation_endpoint, form)


def with_tokens(login: Login, answer: dict[str, Any]) -> Login:
    """The login with the tokens of a response (RFC 6749, section 5.1). A refresh token that it does not repeat stays.
    Raises CliError."""
    kind = _text(answer, "token_type", login.token_endpoint)
    if kind.lower() != "bearer":
        raise CliError(f"{login.token_endpoint}: expected a bearer token")
    ttl = answer.get("expires_in")
    ttl = ttl if isinstance(ttl, int | float) and not isinstance(ttl, bool) else DEFAULT_TTL
    scope, refresh_token = answer.get("scope"), answer.get("refresh_token")
    return replace(
        login,
        access_token=_text(answer, "access_token", login.token_endpoint),
        refresh_token=refresh_token if isinstance(refresh_token, str) else login.refresh_token,
        scope=scope if isinstance(scope, str) else login.scope,
        expires_at=time.time() + ttl,  # noqa: TID251 # compared with this clock alone, to renew early
    )


def _text(answer: dict[str, Any], member: str, url: str) -> str:
    found = answer.get(member)
    if not isinstance(found, str) or not found:
        raise CliError(f"{url}: expected {member} in the answer")
    return found
