"""Refusals in the form of OAuth: JSON (RFC 6749, section 5.2), or a page where a person waits."""

from http import HTTPStatus

from aiohttp import web

from asya_crds import jsontext
from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.oauth.errors import InvalidClient, InvalidRequest, InvalidToken, OAuthError
from asya_gateway.protocols.http.answers import NO_STORE, json_response
from asya_gateway.protocols.http.errors import STATUS_OF
from asya_gateway.protocols.oauth.pages import refusal_page

SECRET_HEADERS = {**NO_STORE, "Pragma": "no-cache"}
"""RFC 6749, section 5.1: of any answer with tokens or credentials."""
AWAY = "temporarily_unavailable"
_UNAUTHORIZED: dict[type[OAuthError], str] = {
    InvalidClient: 'Basic realm="asya-gateway"',
    InvalidToken: 'Bearer realm="asya-gateway", error="invalid_token"',
}
"""Refusals of a credential, each with the challenge that RFC 9110, section 15.5.2, requires."""


def refusal(error: OAuthError | GatewayError) -> web.Response:
    """The error for a program."""
    code, description, status = _told(error)
    headers = dict(SECRET_HEADERS)
    if challenge := _UNAUTHORIZED.get(type(error)):  # type: ignore[arg-type] # others are not in the table
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, GatewayError) and error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    text = jsontext.dumps({"error": code, "error_description": _printable(description)})
    return json_response(text, status=status, headers=headers)


def page_of(error: OAuthError | GatewayError) -> web.Response:
    """The same for a person whose browser is here, and must not be sent on (RFC 6749, section 4.1.2.1)."""
    code, description, status = _told(error)
    if isinstance(error, InvalidClient):
        # A browser would ask for a password.
        status = HTTPStatus.BAD_REQUEST
    response = refusal_page(code, _printable(description), status)
    if isinstance(error, GatewayError) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _told(error: OAuthError | GatewayError) -> tuple[str, str, HTTPStatus]:
    match error:
        case OAuthError():
            status = HTTPStatus.UNAUTHORIZED if type(error) in _UNAUTHORIZED else HTTPStatus.BAD_REQUEST
            return error.code, error.description, status
        case TooManyRequests():
            return AWAY, error.text, HTTPStatus.TOO_MANY_REQUESTS
        case GatewayError():
            status = STATUS_OF.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
            code = AWAY if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InvalidRequest.code
            return code, error.text, status


def _printable(text: str) -> str:
    """RFC 6749, section 5.2: error_description has the characters %x20-21 / %x23-5B / %x5D-7E."""
    return "".join(each if " " <= each <= "~" and each not in '"\\' else "?" for each in text)
