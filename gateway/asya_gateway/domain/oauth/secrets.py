"""Random secrets, and what is stored in their place."""

import hashlib
import secrets

CLIENT_PREFIX = "asya_client_"
REFRESH_PREFIX = "asya_refresh_"
CODE_PREFIX = "asya_code_"
CLIENT_SECRET_PREFIX = "asya_secret_"  # noqa: S105 # the prefix, not a secret
"""Prefixes by which scanners and our own logs recognize a secret."""

LONGEST_SECRET = 256
"""Characters of a presented secret; a longer one is none of ours."""


def new_client_id() -> str:
    """The id of a client that registered itself: 128 random bits."""
    return CLIENT_PREFIX + secrets.token_hex(16)


def new_secret(prefix: str) -> str:
    """256 random bits behind a prefix."""
    return prefix + secrets.token_urlsafe(32)


def new_grant_id() -> str:
    """128 random bits in hexadecimal digits."""
    return secrets.token_hex(16)


def digest(secret: str) -> bytes:
    """What is stored of a secret. It has at least 128 random bits, so that a plain hash cannot be reversed by
    guessing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
