"""Implements domain.sealing.Sealing: AES-256-GCM under a ring of keys, of which the first seals and all open.

Each sealed text has a key of its own, derived from the ring's key and a random salt by HMAC-SHA256 (as in the extract
step of RFC 5869), so that no number of texts exhausts the nonces of a key (NIST SP 800-38D, section 8.3).
"""

import base64
import binascii
import hashlib
import hmac
import os
import struct
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.errors import Unavailable

_VERSION = b"\x01"
_ID, _SALT, _NONCE, _TAG = 8, 32, 12, 16
_HEAD = len(_VERSION) + _ID + _SALT + _NONCE
_UNTIL = struct.Struct(">d")
"""POSIX seconds at which the text can no longer be opened; encrypted with it."""
_PURPOSE = b"asya: sealed for callers\x00"
REFRESH = 60.0
"""Seconds after which shared keys are read again, so that a key that was added or removed takes effect everywhere."""
RETRY = 1.0
"""Seconds between two readings because of a key that is not known, which a caller can make up."""


class SharedKeys(Protocol):
    """Keys that the replicas share through the database."""

    async def read(self) -> Sequence[bytes]:
        """The keys, the newest first; the first one is made if there is none. Raises Unavailable."""
        ...


class _Key(NamedTuple):
    id: bytes
    secret: bytes


class SealRing:
    """The keys of `secrets` if there are any, else those of `shared`. `clock` is one that all replicas agree on; `now`
    tells a time in seconds that only grows."""

    def __init__(
        self,
        secrets: Sequence[str],
        shared: SharedKeys,
        clock: Clock,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = bool(secrets)
        self._keys = [_key(secret.encode()) for secret in secrets]
        self._shared = shared
        self._clock = clock
        self._now = now
        self._read_at: float | None = None

    async def seal(self, text: str, about: bytes, lifetime: float) -> str:
        """The text, sealed, as URL-safe base64 without padding. Raises Unavailable."""
        await self._refresh(REFRESH)
        if not self._keys:
            raise Unavailable("there is no key to seal with")
        key, salt, nonce = self._keys[0], os.urandom(_SALT), os.urandom(_NONCE)
        plain = _UNTIL.pack(self._clock() + lifetime) + text.encode("utf-8", "surrogatepass")
        box = AESGCM(_derived(key.secret, salt)).encrypt(nonce, plain, about)
        return _encoded(_VERSION + key.id + salt + nonce + box)

    async def unseal(self, sealed: str, about: bytes) -> str | None:
        """The text, or None. Raises Unavailable if the keys are not known."""
        raw = _decoded(sealed)
        if raw is None or len(raw) < _HEAD + _UNTIL.size + _TAG or raw[:1] != _VERSION:
            return None
        await self._refresh(REFRESH)
        id = raw[1 : 1 + _ID]
        if all(key.id != id for key in self._keys):
            await self._refresh(RETRY)
        for key in self._keys:
            if key.id == id:
                return self._living(_opened(key, raw, about))
        return None

    def _living(self, plain: bytes | None) -> str | None:
        if plain is None:
            return None
        (until,) = _UNTIL.unpack_from(plain)
        return plain[_UNTIL.size :].decode("utf-8", "surrogatepass") if self._clock() < until else None

    async def _refresh(self, older_than: float) -> None:
        if self._fixed or (self._read_at is not None and self._now() - self._read_at < older_than):
            return
        try:
            self._keys = [_key(secret) for secret in await self._shared.read()]
        except Unavailable:
            # Known keys still open what is in callers' hands while the database is away.
            if self._read_at is None:
                raise
            return
        self._read_at = self._now()


def _key(secret: bytes) -> _Key:
    digest = hashlib.sha256(_PURPOSE + secret).digest()
    return _Key(hashlib.sha256(b"id\x00" + digest).digest()[:_ID], digest)


def _derived(secret: bytes, salt: bytes) -> bytes:
    return hmac.digest(secret, salt, "sha256")


def _opened(key: _Key, raw: bytes, about: bytes) -> bytes | None:
    salt = raw[1 + _ID : 1 + _ID + _SALT]
    nonce = raw[_HEAD - _NONCE : _HEAD]
    try:
        return AESGCM(_derived(key.secret, salt)).decrypt(nonce, raw[_HEAD:], about)
    except InvalidTag:
        return None


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes | None:
    """None unless this is exactly what _encoded writes: several texts with one meaning would let a changed one pass."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if _encoded(raw) == text else None
