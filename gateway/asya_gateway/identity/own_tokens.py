"""Access tokens of this gateway's own authorization server: JWTs with HMAC-SHA256."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeGuard

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.revocations import Revocations
from asya_gateway.domain.identity.scopes import rights_of, split_scopes
from asya_gateway.domain.oauth.clients import ClientKind, is_document_url, key_of
from asya_gateway.domain.oauth.errors import InvalidScope
from asya_gateway.domain.oauth.grants import Grant, owner_of
from asya_gateway.domain.oauth.resources import Resources
from asya_gateway.identity.jwt.compact import DEEPEST, Compact, take_apart
from asya_gateway.identity.jwt.hs256 import ALGORITHM, LEAST_SECRET, is_signed, signed

LONGEST_TOKEN = 15 * 1024
"""Characters. A request's header has room for 16 KiB."""
SKEW_SECONDS = 30
"""How far the clocks of two pods may differ. Both are the database's, each measured on its own."""
PERSON_PREFIX = "user:"
CLIENT_CLAIM = "client_id"
PROFILE_CLAIM = "asya_claims"
"""Claims about a person that actors get with each call, if a setting names them."""
CAP_CLAIM = "asya_max_open_tasks"
"""How many tasks of the person may be open, by the roles that it held when the token was issued."""
_DEEPEST = DEEPEST + 1
"""Levels of nesting: claims of a person, which its provider's token had, are in a member of their own."""


class OwnTokens:
    """Issues and reads access tokens.

    `secrets` are the signing secret and those that were it before, of at least 32 bytes each. `profile` names the
    claims of a person that a token carries.
    """

    def __init__(
        self, issuer: str, keys: Sequence[str], clock: Clock, *, ttl: float, profile: Collection[str] = ()
    ) -> None:
        self._issuer, self._keys, self._clock = issuer, [key.encode() for key in keys if key], clock
        if not self._keys or min(map(len, self._keys)) < LEAST_SECRET:
            raise ValueError(f"expected secrets of at least {LEAST_SECRET} bytes")
        self._ttl, self._profile = ttl, frozenset(profile)
        self._resources = Resources(issuer)

    def issue(
        self, grant: Grant, client_id: str, audience: str, scopes: frozenset[str], cap: int | None = None
    ) -> tuple[str, int]:
        """A token of a grant, and the seconds for which it is good: never longer than the grant. Raises InvalidScope if
        it would be longer than what is accepted here."""
        now = int(self._clock())
        seconds = max(1, min(int(self._ttl), int(grant.ends_at) - now))
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": audience,
            "sub": client_id,
            "scope": " ".join(sorted(scopes)),
            "iat": now,
            "exp": now + seconds,
            "jti": f"{grant.id}.{secrets.token_urlsafe(12)}",
        }
        if grant.person is not None:
            claims |= {"sub": grant.person.id, CLIENT_CLAIM: client_id}
            if profile := {name: grant.person.claims[name] for name in self._profile & grant.person.claims.keys()}:
                claims[PROFILE_CLAIM] = profile
        if cap is not None:
            claims[CAP_CLAIM] = cap
        token = signed(claims, self._keys[0])
        if len(token) > LONGEST_TOKEN:
            # Its client would get 401, renew it, and get 401 again.
            raise InvalidScope(f"the token would have more than {LONGEST_TOKEN} characters: expected fewer scopes")
        return token, seconds

    def claims(self, token: str) -> bool:
        """Whether the token names our issuer and our algorithm."""
        return self._parts(token) is not None

    def principal(self, token: str) -> Principal:
        """The principal of a good token, whatever was revoked. Raises Unauthenticated."""
        claims = self._checked(token)
        now = self._clock()
        if claims["exp"] + SKEW_SECONDS <= now:
            raise Unauthenticated("the token has expired")
        if claims["iat"] - SKEW_SECONDS > now:
            raise Unauthenticated("the token is from the future")
        if not self._resources.knows(claims["aud"]):
            raise Unauthenticated("the token was issued for another audience")
        return self._principal_of(claims)

    def grant_in(self, token: str) -> tuple[str, str] | None:
        """The grant and the client's key in a token that was signed here, expired or not; None for others."""
        try:
            claims = self._checked(token)
        except Unauthenticated:
            return None
        return _grant_of(claims), key_of(_client_of(claims))

    def _checked(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that was signed here. Raises Unauthenticated."""
        parts = self._parts(token)
        if parts is None or not any(is_signed(parts, key) for key in self._keys) or not _well_formed(parts.claims):
            raise Unauthenticated("the token is not valid")
        return parts.claims

    def _parts(self, token: str) -> Compact | None:
        """A token of our issuer and our algorithm, of which nothing is verified; None for others."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            parts = take_apart(token, _DEEPEST)
        except Unauthenticated:
            return None
        return parts if parts.algorithm == ALGORITHM and parts.claims.get("iss") == self._issuer else None

    def _principal_of(self, claims: Mapping[str, Any]) -> Principal:
        grant, client_id, subject = _grant_of(claims), _client_of(claims), claims["sub"]
        key = key_of(client_id)
        kind = ClientKind.METADATA if is_document_url(client_id) else ClientKind.REGISTERED
        person = subject if subject.startswith(PERSON_PREFIX) else None
        return Principal(
            owner=owner_of(key, kind, grant, person),
            rights=rights_of(split_scopes(claims.get("scope", ""))),
            via=Via.OAUTH,
            claims=claims.get(PROFILE_CLAIM, {}),
            expires_at=float(claims["exp"]),
            revocables=frozenset({f"grant:{grant}", f"client:{key}"}),
            resource=self._resources.path(claims["aud"]),
            max_open_tasks=claims.get(CAP_CLAIM),
        )


class OwnTokenVerifier:
    """Implements BearerVerifier: tokens that were signed here, and that nobody has revoked."""

    def __init__(self, tokens: OwnTokens, revocations: Revocations) -> None:
        self._tokens, self._revocations = tokens, revocations

    def claims(self, token: str) -> bool:
        """Whether the token names our issuer and our algorithm."""
        return self._tokens.claims(token)

    async def verify(self, token: str) -> Principal:
        """The principal of a good token. Raises Unauthenticated, and Unavailable for every token while it is not known
        what has been revoked: a client whose token has expired meanwhile could not refresh it either."""
        self._revocations.check_fresh()
        principal = self._tokens.principal(token)
        if self._revocations.revoked(principal.revocables):
            raise Unauthenticated("the token has been revoked")
        return principal


def _well_formed(claims: Mapping[str, Any]) -> bool:
    """Whoever has the secret could write anything into a token, so that its types are checked too."""
    texts = [claims.get(name) for name in ("sub", "jti", "aud")]
    texts += [claims.get("scope", ""), claims.get(CLIENT_CLAIM, "")]
    times, cap = (claims.get("exp"), claims.get("iat")), claims.get(CAP_CLAIM, 0)
    return (
        all(isinstance(text, str) for text in texts)
        and all(_is_count(time) and time < 2**53 for time in times)
        and _is_count(cap)
        and isinstance(claims.get(PROFILE_CLAIM, {}), dict)
    )


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _grant_of(claims: Mapping[str, Any]) -> str:
    return str(claims["jti"]).partition(".")[0]


def _client_of(claims: Mapping[str, Any]) -> str:
    return str(claims.get(CLIENT_CLAIM, claims["sub"]))
