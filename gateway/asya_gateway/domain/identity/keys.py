"""API keys: what is stored of one, how its caller may be named, and the living keys of a process."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hmac import compare_digest
from types import MappingProxyType
from typing import Protocol

from asya_gateway.domain.identity.key_text import hash_of, id_in

MOST_KEYS = 10_000
"""Living keys of one source. Every process holds them in memory."""
RESERVED_NAMES = frozenset({"mcp", "a2a", "shared"})
"""Names of the keys that settings give (ASYA_MCP_API_KEY, ASYA_A2A_API_KEY, and one value for both)."""
SUBJECT_PREFIX = "key:"
"""Before the id of a key among the subjects of revocations."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


class KeySource(StrEnum):
    """Where keys are kept."""

    TABLE = "table"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key without its secret. `expires_at` is a Unix time in seconds."""

    id: str
    name: str
    hash: bytes = field(repr=False)
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    expires_at: float | None = None

    @property
    def owner(self) -> str:
        """The principal's id. All secrets of a name, in the table and in the file, are one principal."""
        return f"key:{self.name}"

    def lost_by(self, now: "KeyRecord | None") -> bool:
        """Whether the key as it is now, None if it is gone, gives less than this one did."""
        return (
            now is None
            or (now.name, now.hash) != (self.name, self.hash)
            or not (now.scopes >= self.scopes and now.roles >= self.roles)
            or _ends_sooner(now.expires_at, self.expires_at)
        )

    @property
    def subject(self) -> str:
        """What is revoked with this key."""
        return subject_of(self.id)


def _ends_sooner(now: float | None, before: float | None) -> bool:
    return now is not None and (before is None or now < before)


def subject_of(key_id: str) -> str:
    """The subject whose revocation ends what this key was used for."""
    return SUBJECT_PREFIX + key_id


def check_key_name(name: str) -> str:
    """The name of a key's caller. Raises ValueError with what was expected."""
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is the name of a key from the settings; expected another name")
    if not _NAME.fullmatch(name):
        raise ValueError(
            "expected a name of at most 63 lower-case letters, digits, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    return name


class KeyRing:
    """The living keys of this process, from every source."""

    def __init__(self) -> None:
        self._sources: dict[KeySource, Mapping[str, KeyRecord]] = {}
        self._callbacks: list[Callable[[], None]] = []

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after a key has ended or changed, to forget what was judged by it."""
        self._callbacks.append(callback)

    def replace(self, source: KeySource, keys: Iterable[KeyRecord]) -> frozenset[str]:
        """Put these keys in the place of the source's former ones. Returns the subjects of those that are gone or may
        do less than before, whose streams must end."""
        before = self._sources.get(source, {})
        now = {key.id: key for key in keys}
        self._sources[source] = MappingProxyType(now)
        changed = [key for key in before.values() if now.get(key.id) != key]
        if changed:
            for callback in self._callbacks:
                callback()
        return frozenset(key.subject for key in changed if key.lost_by(now.get(key.id)))

    def find(self, text: str, source: KeySource, now: float) -> KeyRecord | None:
        """The living key of this source with this text; None if there is none. A caller cannot learn from the time that
        this takes how much of a secret is right."""
        key_id = id_in(text)
        key = None if key_id is None else self._sources.get(source, {}).get(key_id)
        if key is None or not compare_digest(key.hash, hash_of(text)):
            return None
        return key if key.expires_at is None or key.expires_at > now else None

    def lives(self, key_id: str) -> bool:
        """Whether any source has a key with this id."""
        # Asked for every request with a key; any() takes twice as long.
        for keys in self._sources.values():  # noqa: SIM110
            if key_id in keys:
                return True
        return False

    def __len__(self) -> int:
        return sum(map(len, self._sources.values()))


class KeyStore(Protocol):
    """Keys in Postgres. Every method raises Unavailable while the database is away."""

    async def living(self) -> Sequence[KeyRecord]:
        """Every key that is neither revoked nor expired, at most MOST_KEYS."""

    async def fingerprint(self) -> int:
        """Changes with every change of a living key, also one that was made by hand."""

    async def used(self, uses: Mapping[str, float]) -> None:
        """Record when keys were last used: Unix times by id."""
