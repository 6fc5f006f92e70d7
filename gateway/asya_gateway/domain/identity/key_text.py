"""The text of an API key: `asya_<id>_<secret><checksum>`.

The id is public and names the key in lists and in revocations. The secret has 256 random bits. The checksum recognises
a mistyped key without looking for it, and lets scanners of source code tell a key from other text.
"""

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass, field

PREFIX = "asya_"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 12
"""Digits of an id: 71 bits, so that random ids do not meet."""
SECRET_LENGTH = 43
"""Digits of 256 bits: 62 ** 43 > 2 ** 256."""
CHECKSUM_LENGTH = 6
"""Digits of CRC-32, which finds every single wrong character and every two neighbours that changed places."""

_ID = re.compile(rf"[0-9A-Za-z]{{{ID_LENGTH}}}")
_KEY = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. The text is shown once; only the hash is stored."""

    id: str
    text: str = field(repr=False)

    @property
    def hash(self) -> bytes:
        """What is stored of the key."""
        return hash_of(self.text)


def new_key() -> NewKey:
    """A key that nobody else has."""
    key_id = "".join(secrets.choice(DIGITS) for _ in range(ID_LENGTH))
    body = f"{PREFIX}{key_id}_{_digits(secrets.randbits(256), SECRET_LENGTH)}"
    return NewKey(key_id, body + _checksum(body))


def looks_like_key(text: str) -> bool:
    """Whether a credential is meant as an API key, by its prefix alone."""
    return text.startswith(PREFIX)


def id_in(text: str) -> str | None:
    """The id in a key's text; None for a text that is no key, or a mistyped one."""
    found = _KEY.fullmatch(text)
    if found is None or _checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        return None
    return found[1]


def is_key_id(text: str) -> bool:
    """Whether this can be the id of a key."""
    return _ID.fullmatch(text) is not None


def hash_of(text: str) -> bytes:
    """SHA-256 of the whole text. A slow hash would protect only guessable secrets, and would cost each request
    milliseconds; 256 random bits cannot be guessed."""
    return hashlib.sha256(text.encode()).digest()


def _checksum(body: str) -> str:
    return _digits(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _digits(number: int, length: int) -> str:
    found = ""
    for _ in range(length):
        number, rest = divmod(number, len(DIGITS))
        found = DIGITS[rest] + found
    return found
