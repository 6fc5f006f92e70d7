"""What makes two requests the same one: a caller's key, and a digest of what was asked."""

import hashlib
import uuid
from typing import Any

from asya_crds import jsontext

LONGEST_KEY = 255


def is_key(text: str) -> bool:
    """Whether a caller may use this as a key: 1 to 255 visible characters of ASCII."""
    return 1 <= len(text) <= LONGEST_KEY and all("!" <= character <= "~" for character in text)


def own_key() -> str:
    """A key for a request whose caller gave none, so that a write knows itself again after a lost answer. It begins
    with a blank, which no caller's holds."""
    return f" {uuid.uuid4().hex}"


def digest_of(*parts: Any) -> bytes:
    """SHA-256 over JSON values. Equal values have one digest, in whatever order their members came."""
    return hashlib.sha256(jsontext.canonical(parts).encode("ascii")).digest()
