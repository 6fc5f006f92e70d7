"""Keys that tell callers apart: those of the table and those of the file."""

from collections.abc import Callable

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.key_text import looks_like_key
from asya_gateway.domain.identity.keys import KeyRecord, KeyRing, KeySource
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.revocations import Revocations
from asya_gateway.domain.identity.scopes import rights_of


class ApiKeys:
    """Implements BearerVerifier from memory. `used` is told of each use of a key of the table, `clock` is the
    database's time."""

    def __init__(
        self,
        ring: KeyRing,
        revocations: Revocations,
        clock: Clock,
        *,
        used: Callable[[str, float], None] = lambda _id, _at: None,
    ) -> None:
        self._ring = ring
        self._revocations = revocations
        self._clock = clock
        self._used = used

    def claims(self, token: str) -> bool:
        """Whether the token has the prefix of a key, mistyped ones included."""
        return looks_like_key(token)

    async def verify(self, token: str) -> Principal:
        """The key's principal. Raises Unauthenticated, with the same message for a key that is unknown, mistyped,
        expired or revoked, and Unavailable if it is not a key of the file while the table may have changed unseen."""
        now = self._clock()
        key = self._ring.find(token, KeySource.FILE, now)
        if key is None:
            self._revocations.check_fresh()
            key = self._ring.find(token, KeySource.TABLE, now)
            if key is None:
                raise Unauthenticated("the key is not valid")
            self._used(key.id, now)
        return self._principal(key)

    def _principal(self, key: KeyRecord) -> Principal:
        return Principal(
            key.owner,
            rights_of(key.scopes),
            Via.KEY,
            expires_at=key.expires_at,
            roles=key.roles,
            revocables=frozenset({key.subject}),
        )
