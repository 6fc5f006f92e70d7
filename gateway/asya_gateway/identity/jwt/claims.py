"""What the claims of a verified token must say (RFC 7519, section 4.1; RFC 9068, section 4)."""

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import LONGEST_SUBJECT
from asya_gateway.domain.identity.scopes import MOST_SCOPES, is_scope

SKEW = 60.0
"""Seconds by which an issuer's clock may differ from ours."""
MOST_AUDIENCES = 100
_LATEST = 2.0**53
_NOT_IN_SUBJECTS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode: control characters, halves of a character, separators of lines."""


def check_subject(claims: Mapping[str, Any]) -> str:
    """The `sub`. Raises Unauthenticated."""
    subject = claims.get("sub")
    if not is_subject(subject):
        raise Unauthenticated(
            f"the token's sub is missing, or not a text of 1 to {LONGEST_SUBJECT} characters without control characters"
        )
    return str(subject)


def is_subject(value: object) -> bool:
    """Whether this can be the `sub` of a principal's id."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= LONGEST_SUBJECT
        and not any(unicodedata.category(each) in _NOT_IN_SUBJECTS for each in value)
    )


def check_audience(claims: Mapping[str, Any], expected: Collection[str]) -> None:
    """Raises Unauthenticated unless one of the token's audiences is expected."""
    given = claims.get("aud")
    audiences = [given] if isinstance(given, str) else given
    if not isinstance(audiences, list) or len(audiences) > MOST_AUDIENCES:
        raise Unauthenticated("the token's aud is missing, or not a text or a list of texts")
    if not any(isinstance(each, str) and each in expected for each in audiences):
        raise Unauthenticated("the token was issued for another audience")


def check_times(claims: Mapping[str, Any], now: float) -> float:
    """When the token ends to be good, in Unix seconds, with the skew included. Raises Unauthenticated."""
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise Unauthenticated("the token's exp is missing")
    if expires + SKEW <= now:
        raise Unauthenticated("the token has expired")
    if begins is not None and begins - SKEW > now:
        raise Unauthenticated("the token is not good yet")
    if issued is not None and issued - SKEW > now:
        raise Unauthenticated("the token was issued in the future")
    return expires + SKEW


def scopes_in(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes of `scope` and `scp`, each a text with spaces between them or a list. Issuers also write words there
    that cannot be scopes of ours, which are left out. Raises Unauthenticated."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        value = claims.get(name, ())
        words = value.split(" ") if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or not all(isinstance(each, str) for each in words):
            raise Unauthenticated(f"the token's {name} is not a text or a list of texts")
        found.update(filter(is_scope, words))
    if len(found) > MOST_SCOPES:
        raise Unauthenticated(f"the token has more than {MOST_SCOPES} scopes")
    return frozenset(found)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519, section 2), or None if it is not there."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise Unauthenticated(f"the token's {name} is not a time in seconds")
    return float(value)
