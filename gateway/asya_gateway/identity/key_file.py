"""ASYA_API_KEYS_FILE: the keys of a deployment that keeps everything in files.

    keys:
      - id: 4xTq0bZk2LwP
        name: ci
        hash: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
        scopes: [mcp:read, mcp:invoke]
        roles: [support]
        expires: 2027-01-01T00:00:00Z

It has hashes only, so that nobody who reads the file can call. `asya auth key create --entry` prints a key and its
entry.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from asya_gateway.domain.identity.key_text import is_key_id
from asya_gateway.domain.identity.keys import MOST_KEYS, KeyRecord, KeyRing, KeySource, check_key_name
from asya_gateway.domain.identity.scopes import COMMON_SCOPES
from asya_gateway.identity.fields import Roles, Scopes
from asya_gateway.mounted.documents import read_document
from asya_gateway.mounted.watching import WatchedFile

_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def parse_time(value: Any) -> float:
    """Unix seconds of a date and time with its offset (RFC 3339), or of the beginning of a day in UTC. Raises
    ValueError."""
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None and len(value) == len("2027-01-01"):
            time = time.replace(tzinfo=UTC)
        if time.tzinfo is None:
            raise ValueError
        return time.timestamp()
    except (TypeError, ValueError, OverflowError):
        raise ValueError("expected a time such as 2027-01-01T00:00:00Z, or a day such as 2027-01-01") from None


def _check_id(value: str) -> str:
    if not is_key_id(value):
        raise ValueError("expected the 12 letters and digits between the first two `_` of the key")
    return value


def _check_hash(value: str) -> str:
    if not _HASH.fullmatch(value):
        raise ValueError("expected sha256: and 64 hexadecimal digits in lower case; never put the key itself here")
    return value


class KeyEntry(BaseModel):
    """One key of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, AfterValidator(_check_id)]
    name: Annotated[str, AfterValidator(check_key_name)]
    hash: Annotated[str, AfterValidator(_check_hash)]
    scopes: Scopes | None = None
    roles: Roles = Field(default_factory=list)
    expires: Annotated[float, BeforeValidator(parse_time)] | None = None

    def record(self) -> KeyRecord:
        """The key. One without scopes and roles has the common scopes."""
        scopes = self.scopes if self.scopes is not None else () if self.roles else COMMON_SCOPES
        digest = bytes.fromhex(self.hash.removeprefix("sha256:"))
        return KeyRecord(self.id, self.name, digest, frozenset(scopes), frozenset(self.roles), self.expires)


class KeysFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keys: Annotated[list[KeyEntry], Field(max_length=MOST_KEYS)]

    @model_validator(mode="after")
    def _every_id_once(self) -> "KeysFile":
        seen: set[str] = set()
        for each in self.keys:
            if each.id in seen:
                raise ValueError(f"expected every id once; {each.id} occurs again")
            seen.add(each.id)
        return self


def read_keys(text: bytes) -> list[KeyRecord]:
    """The keys of a file. An empty file is a mistake: `keys: []` says that there are none. Raises InvalidFile."""
    return [entry.record() for entry in read_document(text, KeysFile).keys]


def watch_keys(
    path: str, ring: KeyRing, tell: Callable[[frozenset[str]], None], *, poll_interval: float
) -> WatchedFile[list[KeyRecord]]:
    """Put the file's keys into the ring whenever it changes, and `tell` the subjects of keys that are gone or have
    changed. A file that is broken, emptied or away changes nothing; before it was ever good, no key of it is in
    force."""
    return WatchedFile(
        "file of api keys",
        path,
        read_keys,
        poll_interval=poll_interval,
        on_change=lambda keys: tell(ring.replace(KeySource.FILE, keys)),
    )
