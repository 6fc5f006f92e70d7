"""Verifies tokens of other issuers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, is_known, rights_of
from asya_gateway.identity.jwt.claims import check_audience, check_subject, check_times, scopes_in
from asya_gateway.identity.jwt.compact import Compact, looks_like_jwt, take_apart
from asya_gateway.identity.jwt.key_set import ALGORITHMS, KeySet


class IssuerKeySource(Protocol):
    """Where an issuer's keys come from."""

    async def current(self) -> KeySet:
        """The keys that are known. Raises Unavailable if there are none."""

    async def newest(self) -> KeySet:
        """The keys that the issuer publishes now. Raises Unavailable if it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer whose tokens are accepted. Its alias stands for its URL in ids of principals."""

    alias: str
    url: str
    audiences: Collection[str]
    keys: IssuerKeySource


class IssuersTokens:
    """Implements BearerVerifier for JWTs of these issuers.

    A token holds the scopes of its `scope` and `scp`. If `roles_decide` is false and it names no scope of the gateway,
    it holds the common ones: whoever trusts an issuer and says nothing else lets its users in. `clock` tells the
    database's time, so that every pod judges a token alike.
    """

    def __init__(self, issuers: Sequence[Issuer], *, roles_decide: bool, clock: Clock) -> None:
        self._issuers = {each.url: each for each in issuers}
        self._roles_decide = roles_decide
        self._clock = clock

    def claims(self, token: str) -> bool:
        """Whether the token is a JWT."""
        return looks_like_jwt(token)

    async def verify(self, token: str) -> Principal:
        """Raises Unauthenticated, Unavailable."""
        parts = take_apart(token)
        issuer = self._issuer_of(parts)
        if parts.algorithm not in ALGORITHMS:
            raise Unauthenticated("the token's algorithm is not accepted")
        # What costs nothing is judged first: strangers' tokens cause neither signature checks nor fetches of keys.
        now = self._clock()
        expires = check_times(parts.claims, now)
        check_audience(parts.claims, issuer.audiences)
        subject, scopes = check_subject(parts.claims), scopes_in(parts.claims)
        await _check_signature(parts, issuer.keys)
        if not self._roles_decide and not any(map(is_known, scopes)):
            scopes |= COMMON_SCOPES
        return Principal(
            f"jwt:{issuer.alias}:{subject}", rights_of(scopes), Via.JWT, claims=parts.claims, expires_at=expires
        )

    def _issuer_of(self, parts: Compact) -> Issuer:
        named = parts.claims.get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            raise Unauthenticated("the token's issuer is not accepted")
        return issuer


async def _check_signature(parts: Compact, source: IssuerKeySource) -> None:
    """Raises Unauthenticated, with the same message for an unknown key and for a wrong signature, and Unavailable."""
    keys = await source.current()
    good = _is_signed(parts, keys)
    if not good and (parts.kid is None or not keys.knows(parts.kid)):
        # The issuer may have begun to use a key that it publishes since the last fetch.
        good = _is_signed(parts, await source.newest())
    if not good:
        raise Unauthenticated("the token's signature is not of a key of its issuer")


def _is_signed(parts: Compact, keys: KeySet) -> bool:
    candidates = keys.candidates(parts.kid, parts.algorithm)
    return any(key.verifies(parts.algorithm, parts.signed, parts.signature) for key in candidates)
