"""What makes two requests the same: the caller's key, and a digest of the request."""

import hashlib
import uuid
from typing import Any

from asya_crds import jsontext

LONGEST_KEY = 255


def is_key(text: str) -> bool:
    """Whether a caller may use this as a key: 1 to 255 visible ASCII characters."""
    return 1 <= len(text) <= LONGEST_KEY and all("!" <= character <= "~" for character in text)


def own_key() -> str:
    """A key for a request without one, so that a write recognises itself after a lost answer. It begins with a blank,
    which callers' keys cannot contain."""
    return f" {uuid.uuid4().hex}"


def digest_of(*parts: Any) -> bytes:
    """SHA-256 over JSON values. Equal values have the same digest, whatever the order of their members."""
    return hashlib.sha256(jsontext.canonical(parts).encode("ascii")).digest()
