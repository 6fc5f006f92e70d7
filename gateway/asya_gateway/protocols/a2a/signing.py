"""Signs cards: JSON Web Signatures (RFC 7515) with ES256 over a card's canonical forms (section 8.4)."""

import hashlib
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from asya_crds import jsontext
from asya_gateway.protocols.a2a.canonical import SIGNATURES, canonical_forms

Json = dict[str, Any]

ALGORITHM = "ES256"
LARGEST_FILE = 64 * 1024


class UnusableKey(Exception):
    """The file has no key that can sign."""


class CardSigner:
    """Signs with one key. `public_key` is its public part (RFC 7517), for those who verify."""

    def __init__(self, key: EllipticCurvePrivateKey, key_id: str = "") -> None:
        numbers = key.public_key().public_numbers()
        public = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
        self._key = key
        self.thumbprint = _base64url(hashlib.sha256(rfc8785.dumps(public)).digest())
        """That of RFC 7638."""
        self.key_id = key_id or self.thumbprint
        self.public_key: Json = {**public, "kid": self.key_id, "alg": ALGORITHM, "use": "sig"}
        self._algorithm = ECAlgorithm(ECAlgorithm.SHA256)

    @classmethod
    def from_file(cls, path: str, key_id: str = "") -> "CardSigner":
        """The signer with a PEM file's key. Raises UnusableKey."""
        try:
            with Path(path).open("rb") as file:
                text = file.read(LARGEST_FILE)
        except OSError as error:
            raise UnusableKey(f"{path}: {error.strerror or error}") from None
        try:
            return cls.from_pem(text, key_id)
        except UnusableKey as error:
            raise UnusableKey(f"{path}: {error}") from None

    @classmethod
    def from_pem(cls, text: bytes, key_id: str = "") -> "CardSigner":
        """The signer with this key. Raises UnusableKey."""
        try:
            key = load_pem_private_key(text, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UnusableKey("expected a private key in PEM without a password") from None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise UnusableKey("expected an EC key of the curve P-256")
        return cls(key, key_id)

    def signed(self, served: Json, pure: Json, key_set_url: str) -> Json:
        """The card `served` with a signature for each of its canonical forms; `pure` has the members of 1.0 alone.
        `key_set_url`: where the public key is."""
        headers = {"kid": self.key_id, "typ": "JOSE", "jku": key_set_url}
        return {**served, SIGNATURES: [self._signature(form, headers) for form in canonical_forms(served, pure)]}

    def _signature(self, payload: bytes, headers: dict[str, Any]) -> Json:
        protected = _base64url(jsontext.dumps({"alg": ALGORITHM, **headers}).encode())
        signature = self._algorithm.sign(f"{protected}.{_base64url(payload)}".encode(), self._key)
        return {"protected": protected, "signature": _base64url(signature)}


def _coordinate(number: int) -> str:
    return _base64url(number.to_bytes(32, "big"))


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
