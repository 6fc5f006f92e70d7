"""Tokens that are signed with a secret of ours: HMAC-SHA256 (RFC 7518, section 3.2)."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_gateway.identity.jwt.compact import Compact

ALGORITHM = "HS256"
LEAST_SECRET = 32
"""Bytes of a key (RFC 7518, section 3.2)."""


def signed(claims: Mapping[str, Any], secret: bytes) -> str:
    """A token with these claims (RFC 7515, section 7.1)."""
    header = {"alg": ALGORITHM, "typ": "JWT"}
    content = f"{_base64url(jsontext.dumps(header).encode())}.{_base64url(jsontext.dumps(dict(claims)).encode())}"
    return f"{content}.{_base64url(_signature(content.encode(), secret))}"


def is_signed(token: Compact, secret: bytes) -> bool:
    """Whether the signature is of this secret. How long it takes says nothing about the right one."""
    return token.algorithm == ALGORITHM and hmac.compare_digest(token.signature, _signature(token.signed, secret))


def _signature(content: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, content, hashlib.sha256)


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
