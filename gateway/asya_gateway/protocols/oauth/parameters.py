"""Reading the parameters of a request: bounded, and each at most once (RFC 6749, section 3.1 and 3.2)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web

from asya_gateway.domain.oauth.authorizing import Parameters, singles
from asya_gateway.domain.oauth.errors import InvalidClient, InvalidRequest
from asya_gateway.protocols.http.bodies import read_bytes

LARGEST_FORM = 32 * 1024
MOST_PARAMETERS = 64
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Caller:
    """By what a client of the token endpoint says who it is (RFC 6749, section 2.3.1)."""

    client_id: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


def read_query(request: web.Request) -> Parameters:
    """The parameters of the URL, with every value that each has. Raises InvalidRequest."""
    return _decoded(request.rel_url.raw_query_string)


async def read_form(request: web.Request) -> Mapping[str, str]:
    """The parameters of a form; an empty one counts as absent. Raises InvalidRequest, TooLarge, BodyTimeout,
    Overloaded."""
    if request.content_type != FORM or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise InvalidRequest(f"expected the content type {FORM}")
    if request.query_string:
        # RFC 6749, section 3.2: URLs are logged, and these parameters are secrets.
        raise InvalidRequest("expected parameters in the body alone, none in the URL")
    body = await read_bytes(request, LARGEST_FORM)
    try:
        found = _decoded(body.decode())
    except UnicodeDecodeError:
        raise InvalidRequest("expected a form in UTF-8") from None
    return singles(found)


def read_client(request: web.Request, form: Mapping[str, str]) -> Caller:
    """Who the client says it is. Raises InvalidRequest if it says so in two ways, InvalidClient if in none."""
    headers = request.headers.getall("Authorization", [])
    if len(headers) > 1:
        raise InvalidRequest("expected one Authorization header")
    if not headers:
        if "client_id" not in form:
            raise InvalidClient("expected client_id, or the client's id and secret in an Authorization header")
        return Caller(form["client_id"], form.get("client_secret"))
    caller = _basic(headers[0])
    if "client_secret" in form:
        # RFC 6749, section 2.3: "The client MUST NOT use more than one authentication method in each request."
        raise InvalidRequest("expected the client's secret once, in the header or in the body")
    if form.get("client_id", caller.client_id) != caller.client_id:
        raise InvalidRequest("client_id: expected the one of the Authorization header")
    return caller


def bearer_of(request: web.Request) -> str | None:
    """The bearer token of the request; None without one. Raises InvalidRequest."""
    headers = request.headers.getall("Authorization", [])
    if len(headers) > 1:
        raise InvalidRequest("expected one Authorization header")
    scheme, _, token = headers[0].partition(" ") if headers else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else None


def _basic(header: str) -> Caller:
    """RFC 6749, section 2.3.1: both are form-encoded before they are joined."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("expected the Basic scheme in the Authorization header")
    try:
        client_id, colon, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError:
        colon = client_id = secret = ""
    if not colon or not client_id:
        raise InvalidClient("expected base64 of the client's id and secret in the Authorization header")
    return Caller(unquote_plus(client_id), unquote_plus(secret) or None)


def _decoded(text: str) -> Parameters:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise InvalidRequest(f"expected at most {MOST_PARAMETERS} parameters in UTF-8") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
