"""Remembers for a minute what an identity service said of a person, and asks once for requests that come together."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from asya_crds.jsontext import canonical
from asya_gateway.domain.identity.profiles import Profile, Profiles
from asya_gateway.domain.weighed import CACHE_BYTES, WeighedCache, weight_of
from asya_transports.bounded import shielded

REMEMBERED_FOR = 60.0
"""Seconds."""
_OF_ONE_TOKEN = frozenset({"exp", "iat", "nbf", "jti", "auth_time", "sid", "nonce"})
"""Claims that differ between the tokens of one person."""


class Remembering(Profiles):
    """Errors are not remembered. `cache` are the bytes of what is."""

    def __init__(
        self, service: Profiles, *, clock: Callable[[], float] = time.monotonic, cache: int = CACHE_BYTES
    ) -> None:
        self._service = service
        self._clock = clock
        self._known = WeighedCache[bytes, tuple[Profile | None, float]](cache, lambda known: _weight(known[0]))
        self._asking: dict[bytes, asyncio.Task[Profile | None]] = {}

    @override
    async def profile(self, claims: Mapping[str, Any]) -> Profile | None:
        key = _key(claims)
        known = self._known.get(key)
        if known is not None and self._clock() < known[1]:
            return known[0]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._asked(claims), name="identity service")
            asking.add_done_callback(lambda task: self._answered(key, task))
        # Whoever leaves does not take the answer away from the others.
        return await shielded(asking)

    def forget(self) -> None:
        """Ask again for everybody."""
        self._known.clear()
        self._asking.clear()

    async def _asked(self, claims: Mapping[str, Any]) -> Profile | None:
        return await self._service.profile(claims)

    def _answered(self, key: bytes, task: asyncio.Task[Profile | None]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if self._asking.get(key) is not task:
            # It was asked before everything was forgotten.
            return
        del self._asking[key]
        if failed:
            return
        self._known.keep(key, (task.result(), self._clock() + REMEMBERED_FOR))


def _weight(profile: Profile | None) -> int:
    if profile is None:
        return 0
    return weight_of(profile.scopes) + weight_of(profile.roles) + weight_of(profile.facts)


def _key(claims: Mapping[str, Any]) -> bytes:
    lasting = {name: value for name, value in claims.items() if name not in _OF_ONE_TOKEN}
    return hashlib.sha256(canonical(lasting).encode()).digest()
