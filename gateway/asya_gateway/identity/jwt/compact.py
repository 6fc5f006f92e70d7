"""Takes a token apart, in bounded time, before anything in it is believed (RFC 7515, section 7.1)."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds.jsontext import InvalidJSON, loads
from asya_gateway.domain.identity.faults import Unauthenticated

LONGEST_TOKEN = 16 * 1024
"""Characters. Issuers that write groups into tokens make some of 8 KiB."""
LONGEST_KID = 1024
DEEPEST = 16
"""Levels of nesting in header and claims."""

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
"""Access tokens (RFC 9068), and tokens that do not say what they are for. Others (logout tokens, say) are signed by the
same keys for another purpose (RFC 8725, section 3.11)."""


@dataclass(frozen=True, slots=True)
class Compact:
    """A token that is well formed. Nothing in it is verified."""

    algorithm: str
    kid: str | None
    claims: Mapping[str, Any]
    signed: bytes
    """The bytes under the signature."""
    signature: bytes


def looks_like_jwt(token: str) -> bool:
    """Whether a credential is meant as a JWT: three parts in base64url."""
    return len(token) <= LONGEST_TOKEN and _COMPACT.fullmatch(token) is not None


def take_apart(token: str, deepest: int = DEEPEST) -> Compact:
    """The parts of a token whose claims are nested at most so deep. Raises Unauthenticated."""
    found = _COMPACT.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if found is None:
        raise Unauthenticated("the token is not a JWT")
    header = _object(found[1], "header", DEEPEST)
    _check_header(header)
    return Compact(
        algorithm=header["alg"],
        kid=header.get("kid"),
        claims=_object(found[2], "claims", deepest),
        signed=token.rpartition(".")[0].encode(),
        signature=_bytes(found[3], "signature"),
    )


def _check_header(header: Mapping[str, Any]) -> None:
    kid, kind = header.get("kid"), header.get("typ", "JWT")
    if not isinstance(header.get("alg"), str):
        raise Unauthenticated("the token's header names no algorithm")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= LONGEST_KID):
        raise Unauthenticated(f"the token's kid is not a text of at most {LONGEST_KID} characters")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Unauthenticated("the token is not an access token")
    if "crit" in header or header.get("b64", True) is not True:
        # RFC 7515, section 4.1.11: extensions that are not understood make the token invalid.
        raise Unauthenticated("the token needs an extension that is not supported")


def _object(part: str, what: str, deepest: int) -> dict[str, Any]:
    try:
        value = loads(_bytes(part, what), max_depth=deepest)
    except InvalidJSON:
        value = None
    if not isinstance(value, dict):
        raise Unauthenticated(f"the token's {what} cannot be read")
    return value


def _bytes(part: str, what: str) -> bytes:
    """Strict base64url: one spelling for each value, so that nobody can make other tokens of a good one."""
    if len(part) % 4 == 1:
        raise Unauthenticated(f"the token's {what} cannot be read")
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode():
        raise Unauthenticated(f"the token's {what} cannot be read")
    return decoded
