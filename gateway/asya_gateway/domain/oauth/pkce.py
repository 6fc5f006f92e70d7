"""Proof Key for Code Exchange (RFC 7636), with S256 only: `plain` protects nothing that the challenge has shown."""

import base64
import hashlib
import re

METHOD = "S256"
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str) -> bool:
    """Whether this is a SHA-256 in base64url without padding (RFC 7636, section 4.2)."""
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str | None:
    """The challenge to which the verifier belongs; None if it is no verifier (RFC 7636, section 4.1)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
