"""Judges the credentials of requests, and remembers good ones for a moment."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Protocol

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.ports import BearerVerifier, Credentials
from asya_gateway.domain.identity.principals import Principal
from asya_gateway.domain.identity.scopes import CACHED_SCOPES
from asya_gateway.domain.weighed import CACHE_BYTES, WeighedCache, weight_of

DIGEST = 32
"""Bytes of the BLAKE2b by which a credential is remembered (RFC 7693). In a busy process it takes half the time of
SHA-256, which Python computes by OpenSSL."""
BEARER, API_KEY = "Bearer", "X-API-Key"
"""How credentials are presented."""
REMEMBERED_FOR = 60.0
"""Seconds after which a credential is judged again, at the latest."""


class Extending(Protocol):
    """Adds what others know of a principal: roles, an identity service's profile."""

    async def extended(self, principal: Principal) -> Principal:
        """The principal with these rights added. Raises Unauthenticated, Unavailable."""


class Authenticating:
    """Implements Authenticator. A bearer token is judged by the first verifier that claims it, an API key by those of
    `keys` only. Only good credentials are remembered, and by their hash: a flood of bad ones takes no room. `clock`
    tells the database's time, by which credentials end. While revocations may be missed (`stale`), nothing is
    remembered: what was revoked must not stay good. While the database is away (`uncertain`), nobody is refused for
    good. `cache` are the bytes of what is remembered."""

    def __init__(
        self,
        keys: Sequence[BearerVerifier],
        tokens: Sequence[BearerVerifier] = (),
        more: Sequence[Extending] = (),
        *,
        clock: Clock,
        stale: Callable[[], bool] = lambda: False,
        uncertain: Callable[[], bool] = lambda: False,
        cache: int = CACHE_BYTES,
    ) -> None:
        self._keys = tuple(keys)
        self._bearers = (*keys, *tokens)
        self._more = tuple(more)
        self._clock = clock
        self._stale = stale
        self._uncertain = uncertain
        self._good = WeighedCache[bytes, tuple[Principal, float]](cache, lambda known: _weight(known[0]))
        self._generation = 0
        self._watchers: list[Callable[[], None]] = []

    def recall(self, presented: str) -> Principal | None:
        """The principal of `Bearer <token>` or `X-API-Key <key>`, if it was found good a moment ago. One hash and one
        look, because nearly every request is answered here."""
        return self._remembered(blake2b(presented.encode("utf-8", "surrogateescape"), digest_size=DIGEST).digest())

    async def authenticate(self, credentials: Credentials) -> Principal:
        """The principal of the bearer token if it is good, else of the API key. Raises Unauthenticated, and Unavailable
        if none is good and one could not be judged, or the database is away: an OAuth client whose token is refused
        while it cannot be renewed throws its registration away."""
        refused: Unauthenticated | None = None
        unknown: Unavailable | None = None
        presented = ((BEARER, credentials.bearer, self._bearers), (API_KEY, credentials.api_key, self._keys))
        for kind, token, verifiers in presented:
            if token is None:
                continue
            try:
                return await self._judged(kind, token, verifiers)
            except Unauthenticated as error:
                refused = refused or error
            except Unavailable as error:
                unknown = error
        if unknown is None and self._uncertain():
            unknown = Unavailable("credentials cannot be checked now")
        raise unknown or refused or Unauthenticated(presented=False)

    def forget(self) -> None:
        """Judge every credential again: keys, roles, users or clients have changed."""
        self._good.clear()
        self._generation += 1
        for watcher in tuple(self._watchers):
            watcher()

    def drop(self, subjects: frozenset[str]) -> None:
        """Judge the credentials of these subjects again, which were revoked. The others stay remembered: every client
        may revoke its own tokens as often as it likes, and must not make everybody's be judged again."""
        self._generation += 1
        self._good.drop_all(lambda known: not known[0].revocables.isdisjoint(subjects))

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever credentials must be judged again; the returned function ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def _judged(self, kind: str, token: str, verifiers: Sequence[BearerVerifier]) -> Principal:
        digest = _digest(f"{kind} {token}")
        found = self._remembered(digest)
        if found is not None:
            return found
        verifier = next((each for each in verifiers if each.claims(token)), None)
        if verifier is None:
            raise Unauthenticated("the credential is not known here")
        generation = self._generation
        principal = await verifier.verify(token)
        for each in self._more:
            principal = await each.extended(principal)
        if generation == self._generation:
            # What was forgotten meanwhile must not come back.
            self._remember(digest, principal)
        return principal

    def _remembered(self, digest: bytes) -> Principal | None:
        found = self._good.get(digest)
        if found is None or self._stale():
            return None
        principal, until = found
        if self._clock() < until:
            return principal
        self._good.drop(digest)
        return None

    def _remember(self, digest: bytes, principal: Principal) -> None:
        until = self._clock() + REMEMBERED_FOR
        if principal.expires_at is not None:
            until = min(until, principal.expires_at)
        self._good.keep(digest, (principal, until))


def _weight(principal: Principal) -> int:
    """Bytes of what a principal does not share with others."""
    scopes = principal.rights.scopes
    own = 2 * weight_of(scopes) if sum(map(len, scopes)) > CACHED_SCOPES else 0
    return own + weight_of(principal.claims) + weight_of(principal.roles) + weight_of(principal.revocables)


def _digest(presented: str) -> bytes:
    """What a credential is remembered by. A token that is good as a bearer is not thereby good as a key. A header may
    have bytes that are no text; no good credential has any."""
    return blake2b(presented.encode("utf-8", "surrogateescape"), digest_size=DIGEST).digest()
