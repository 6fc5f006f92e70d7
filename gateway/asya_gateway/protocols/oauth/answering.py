"""Answers to authorization requests: a redirect to the client, or a page with a link where none may be automatic."""

from aiohttp import web

from asya_gateway.domain.oauth.authorizing import Authorizing, Target
from asya_gateway.domain.oauth.errors import OAuthError
from asya_gateway.domain.oauth.redirects import shown_host
from asya_gateway.protocols.oauth.pages import refusal_page


def redirect(location: str, status: int = 302) -> web.Response:
    """To the client. The URL has a code, so that nothing keeps or passes it on."""
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=status, headers=headers)


def error_uri(authorizing: Authorizing, target: Target, error: OAuthError) -> str:
    """The URI that tells the client of an error (RFC 6749, section 4.1.2.1)."""
    return authorizing.redirect(target, error=error.code, error_description=error.description)


def told_to_client(authorizing: Authorizing, target: Target, error: OAuthError, status: int = 302) -> web.Response:
    """An error before the person has decided anything. Where the target is trusted, the browser is sent there.
    Elsewhere the person is told to which host the answer would go, and follows a link or not (RFC 9700, section 4.11.2:
    "If the URI is not trusted, the authorization server MAY inform the user and rely on the user to make the correct
    decision")."""
    uri = error_uri(authorizing, target, error)
    if authorizing.trusts(target):
        return redirect(uri, status)
    return refusal_page(error.code, error.description, 400, (shown_host(target.redirect_uri), uri))
