"""The public keys in an issuer's document (RFC 7517), each with the algorithms that it may be used with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import PyJWTError

from asya_crds.jsontext import InvalidJSON, loads
from asya_gateway.identity.jwt.compact import LONGEST_KID

MOST_KEYS = 100
MOST_TRIED = 8
"""Keys that a token without a `kid` is tried with."""
SMALLEST_RSA, LARGEST_RSA = 2048, 8192
"""Bits of a modulus. Smaller ones are weak (RFC 7518, section 3.3); larger ones take long to verify with."""
_LONGEST_EXPONENT = 12
"""Base64url digits of 8 bytes."""
_LONGEST_MEMBER = 1366
"""Base64url digits of 8192 bits."""

_CODECS = get_default_algorithms()
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_EDWARDS = ("EdDSA", "Ed25519")
"""The same algorithm under its older name (RFC 8037) and its newer one (RFC 9864)."""
ALGORITHMS: Mapping[str, Algorithm] = {
    **{name: _CODECS[name] for name in (*_RSA, *_CURVES.values())},
    **dict.fromkeys(_EDWARDS, _CODECS["EdDSA"]),
}
"""Signatures with a public key. HMAC and `none` are not among them, so no header can ask for them."""


class UnusableKeys(Exception):
    """The document has no key that can be used. The message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key, its `kid`, and the algorithms that a token may use it with, whatever the token's header says."""

    kid: str | None
    algorithms: frozenset[str]
    key: Any

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether the signature is of this key by this algorithm."""
        return algorithm in self.algorithms and bool(ALGORITHMS[algorithm].verify(signed, self.key, signature))


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The usable keys of a document. `skipped` counts those that are not."""

    keys: tuple[PublicKey, ...] = ()
    skipped: int = 0
    source: bytes = b""

    def knows(self, kid: str) -> bool:
        """Whether a key has this `kid`."""
        return any(each.kid == kid for each in self.keys)

    def candidates(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        """The keys that a token may be signed with. A token without a `kid` may be signed with any key of its
        algorithm, if there are few."""
        found = [each for each in self.keys if algorithm in each.algorithms and kid in (None, each.kid)]
        return found if len(found) <= MOST_TRIED else ()


def read_keys(document: bytes) -> KeySet:
    """The usable keys among the first 100. One that is odd leaves the others as they are. Raises UnusableKeys."""
    try:
        value = loads(document, max_depth=10)
    except InvalidJSON:
        raise UnusableKeys("expected a JSON document with keys") from None
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise UnusableKeys('expected an object with a list "keys"')
    found = [key for key in map(_key, entries[:MOST_KEYS]) if key is not None]
    if not found:
        raise UnusableKeys("expected at least one key for RS256, PS256, ES256, EdDSA or a longer one of these kinds")
    return KeySet(tuple(found), len(entries) - len(found), document)


def _key(entry: object) -> PublicKey | None:
    """None for a key that is not for signatures, or is not usable."""
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    kid = entry.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= LONGEST_KID):
        return None
    kind = _members_and_algorithms(entry)
    if kind is None:
        return None
    members, algorithms = kind
    named = entry.get("alg")
    if named is not None and not (algorithms is _EDWARDS and named in _EDWARDS):
        algorithms = tuple(each for each in algorithms if each == named)
    public = {name: entry.get(name) for name in members}
    if not algorithms or not all(isinstance(each, str) and len(each) <= _LONGEST_MEMBER for each in public.values()):
        return None
    return _made(kid, algorithms, public)


def _made(kid: str | None, algorithms: Sequence[str], public: dict[str, Any]) -> PublicKey | None:
    try:
        # Only public members are passed on, so the result is a public key.
        key: Any = type(ALGORITHMS[algorithms[0]]).from_jwk(public)
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        return None
    if isinstance(key, RSAPublicKey) and not SMALLEST_RSA <= key.key_size <= LARGEST_RSA:
        return None
    return PublicKey(kid, frozenset(algorithms), key)


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    """Neither a key for encryption, nor a private key that was published by mistake: anybody could sign with it."""
    operations = entry.get("key_ops")
    return (
        entry.get("use", "sig") == "sig"
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and "d" not in entry
    )


def _members_and_algorithms(entry: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    curve = entry.get("crv")
    match entry.get("kty"):
        case "RSA" if len(str(entry.get("e"))) <= _LONGEST_EXPONENT:
            return ("kty", "n", "e"), _RSA
        case "EC" if isinstance(curve, str) and curve in _CURVES:
            return ("kty", "crv", "x", "y"), (_CURVES[curve],)
        case "OKP" if curve == "Ed25519":
            return ("kty", "crv", "x"), _EDWARDS
        case _:
            return None
