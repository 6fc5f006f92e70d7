"""Issuers of tokens that share no code with the gateway: joserfc makes keys, tokens and documents, authlib tokens."""

import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

URL = "https://issuer.example.com/"
AUDIENCE = "https://asya.example.com"

MAKERS: Mapping[str, Callable[[], Key]] = {
    "RS256": lambda: RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": lambda: ECKey.generate_key("P-256", {"kid": "p256"}),
    "ES384": lambda: ECKey.generate_key("P-384", {"kid": "p384"}),
    "ES512": lambda: ECKey.generate_key("P-521", {"kid": "p521"}),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}


def key_for(algorithm: str) -> Key:
    """One key for each kind; making an RSA key takes a tenth of a second."""
    return _made({"RS": "RS256", "PS": "RS256", "Ed": "EdDSA"}.get(algorithm[:2], algorithm))


@cache
def _made(algorithm: str) -> Key:
    return MAKERS[algorithm]()


def fresh_key(kid: str | None) -> ECKey:
    """A key that nobody knows yet."""
    return ECKey.generate_key("P-256", None if kid is None else {"kid": kid})


def claims(**others: Any) -> dict[str, Any]:
    """Claims of a good token. A claim that is given as None is left out."""
    now = int(time.time())
    all_claims = {"iss": URL, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300, **others}
    return {name: value for name, value in all_claims.items() if value is not None}


def token(
    algorithm: str = "ES256", key: Key | None = None, *, header: Mapping[str, Any] | None = None, **others: Any
) -> str:
    """A token signed with the key, or with the usual one of this algorithm."""
    key = key or key_for(algorithm)
    kid = {} if key.kid is None else {"kid": key.kid}
    whole = {"alg": algorithm, **kid, **(header or {})}
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, claims(**others), key, algorithms=[algorithm])


class _Machine:
    """A client of authlib's issuer."""

    def get_client_id(self) -> str:
        return "machine"

    def get_allowed_scope(self, scope: str) -> str:
        return scope


class _Generator(JWTBearerTokenGenerator):  # type: ignore[misc] # untyped
    def get_jwks(self) -> Any:
        return KeySet([key_for("RS256")])

    def get_audiences(self, *_: Any) -> Any:
        return ["https://other.example.com", AUDIENCE]


def token_by_authlib(scope: str) -> str:
    """What authlib's authorization server would issue to the client `machine` (RFC 9068)."""
    made = _Generator(URL)(grant_type="client_credentials", client=_Machine(), scope=scope)
    return str(made["access_token"])


def document(*entries: Key | Mapping[str, Any]) -> bytes:
    """A key set: the public part of each key, and other entries as they are."""
    return json.dumps(
        {"keys": [each.as_dict(private=False) if not isinstance(each, Mapping) else each for each in entries]}
    ).encode()
