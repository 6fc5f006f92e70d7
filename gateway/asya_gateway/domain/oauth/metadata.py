"""A client's description of itself, in a registration or in a metadata document (RFC 7591, section 2)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from asya_gateway.domain.oauth.clients import (
    CODE_GRANT,
    LONGEST_NAME,
    MOST_REDIRECT_URIS,
    REFRESH_GRANT,
)
from asya_gateway.domain.oauth.errors import InvalidClientMetadata, InvalidRedirectUri, InvalidScope
from asya_gateway.domain.oauth.granting import read_scope
from asya_gateway.domain.oauth.redirects import check_redirect_uri

NO_SECRET = "none"  # noqa: S105 # the name of a method
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
AUTH_METHODS = (NO_SECRET, *SECRET_METHODS)
_MOST_WORDS = 32
LONGEST_URIS = 8 * 1024
"""Characters of all redirect URIs of a client."""


@dataclass(frozen=True, slots=True)
class Description:
    """What counts of a client's description; other members are ignored (RFC 7591, section 2)."""

    redirect_uris: tuple[str, ...]
    name: str
    grant_types: frozenset[str]
    auth_method: str
    scopes: frozenset[str] | None


def read_description(document: Mapping[str, Any], schemes: Collection[str]) -> Description:
    """Raises InvalidRedirectUri and InvalidClientMetadata, naming the member and what was expected."""
    return Description(
        redirect_uris=_redirect_uris(document, schemes),
        name=_name(document),
        grant_types=_grant_types(document),
        auth_method=_auth_method(document),
        scopes=_scopes(document),
    )


def _redirect_uris(document: Mapping[str, Any], schemes: Collection[str]) -> tuple[str, ...]:
    found = document.get("redirect_uris")
    if not isinstance(found, list) or not 1 <= len(found) <= MOST_REDIRECT_URIS:
        raise InvalidRedirectUri(f"redirect_uris: expected a list of 1 to {MOST_REDIRECT_URIS} URIs")
    for place, uri in enumerate(found):
        if not isinstance(uri, str):
            raise InvalidRedirectUri(f"redirect_uris[{place}]: expected a string")
        try:
            check_redirect_uri(uri, schemes)
        except ValueError as error:
            raise InvalidRedirectUri(f"redirect_uris[{place}]: {error}") from None
    if sum(map(len, found)) > LONGEST_URIS:
        # Anybody may register, and all of it is stored.
        raise InvalidRedirectUri(f"redirect_uris: expected at most {LONGEST_URIS} characters together")
    return tuple(dict.fromkeys(found))


def _name(document: Mapping[str, Any]) -> str:
    name = document.get("client_name")
    if name is None:
        return ""
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidClientMetadata(f"client_name: expected at most {LONGEST_NAME} printable characters")
    return name


def _grant_types(document: Mapping[str, Any]) -> frozenset[str]:
    """Those that are supported here. Clients name all that they can do."""
    named = _words(document, "grant_types", (CODE_GRANT, REFRESH_GRANT))
    if CODE_GRANT not in named:
        raise InvalidClientMetadata(f"grant_types: expected {CODE_GRANT}")
    if "code" not in _words(document, "response_types", ("code",)):
        raise InvalidClientMetadata("response_types: expected code")
    return frozenset({CODE_GRANT, REFRESH_GRANT}.intersection(named))


def _auth_method(document: Mapping[str, Any]) -> str:
    method = document.get("token_endpoint_auth_method")
    if method is None:
        return NO_SECRET
    if method not in AUTH_METHODS:
        raise InvalidClientMetadata(f"token_endpoint_auth_method: expected one of {', '.join(AUTH_METHODS)}")
    return str(method)


def _scopes(document: Mapping[str, Any]) -> frozenset[str] | None:
    text = document.get("scope")
    if text is not None and not isinstance(text, str):
        raise InvalidClientMetadata("scope: expected a string")
    try:
        return read_scope(text)
    except InvalidScope as error:
        raise InvalidClientMetadata(f"scope: {error.description}") from None


def _words(document: Mapping[str, Any], member: str, default: tuple[str, ...]) -> list[str]:
    found = document.get(member)
    if found is None:
        return list(default)
    if not isinstance(found, list) or len(found) > _MOST_WORDS or not all(isinstance(word, str) for word in found):
        raise InvalidClientMetadata(f"{member}: expected a list of at most {_MOST_WORDS} strings")
    return found
