"""The credentials of a request, taken from its headers and nowhere else: a token in a query is written into logs
(RFC 6750, section 2.3; MCP forbids it)."""

from aiohttp import web
from multidict import istr

from asya_gateway.domain.identity.faults import AmbiguousCredentials, Unauthenticated
from asya_gateway.domain.identity.ports import Credentials

AUTHORIZATION = istr("Authorization")
API_KEY = istr("X-API-Key")
LONGEST_CREDENTIAL = 15 * 1024
"""Characters of a token; JWTs with many groups have some thousands. A header has room for 16 KiB."""


def credentials_of(request: web.BaseRequest) -> Credentials | None:
    """What the request presents, None if nothing. Raises AmbiguousCredentials for a repeated header, Unauthenticated
    for one that holds no token."""
    headers = request.headers
    if AUTHORIZATION not in headers and API_KEY not in headers:
        return None
    api_key = _single(headers.getall(API_KEY, []), API_KEY)
    authorization = _single(headers.getall(AUTHORIZATION, []), AUTHORIZATION)
    found = Credentials(
        None if authorization is None else _bearer(authorization),
        api_key if api_key is None or is_token(api_key) else None,
    )
    if found.bearer is None and found.api_key is None:
        raise Unauthenticated(_wanted(authorization))
    # Of several credentials one good one suffices, so that one which cannot be any is as bad as an unknown one.
    return found


def _single(values: list[str], name: str) -> str | None:
    if len(values) > 1:
        raise AmbiguousCredentials("expected the header once", field=name)
    return values[0].strip(" \t") if values else None


def _bearer(value: str) -> str | None:
    """The token; None if the header holds none."""
    scheme, _, token = value.partition(" ")
    token = token.strip(" ")
    return token if scheme.lower() == "bearer" and is_token(token) else None


def is_token(value: str) -> bool:
    """Whether this can be a credential: visible ASCII of bounded length, like every key and token (RFC 6750, section
    2.1)."""
    return 0 < len(value) <= LONGEST_CREDENTIAL and value.isascii() and value.isprintable() and " " not in value


def _wanted(authorization: str | None) -> str:
    if authorization is None:
        return f"{API_KEY}: expected one token of at most {LONGEST_CREDENTIAL} visible characters"
    return f"expected `Authorization: Bearer` with one token of at most {LONGEST_CREDENTIAL} visible characters"
