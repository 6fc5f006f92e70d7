"""Keeps a refresh token so that only the token before it opens it."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_PURPOSE = b"asya: successor of a refresh token\x00"


class SuccessorSealing:
    """AES-256-GCM under a key that is the hash of the token and a purpose. The table contains another hash of the
    token, which says nothing about the key; the token has 256 random bits, so that one hash is enough."""

    def seal(self, token: str, successor: str) -> bytes:
        """The successor, encrypted."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(_key(token)).encrypt(nonce, successor.encode(), _PURPOSE)

    def unseal(self, token: str, sealed: bytes) -> str | None:
        """The successor; None if it was sealed under another token."""
        try:
            return AESGCM(_key(token)).decrypt(sealed[:_NONCE], sealed[_NONCE:], _PURPOSE).decode()
        except (InvalidTag, ValueError):
            return None


def _key(token: str) -> bytes:
    return hashlib.sha256(_PURPOSE + token.encode()).digest()
