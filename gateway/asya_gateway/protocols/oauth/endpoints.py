"""The authorization server's endpoints for clients: register, authorize, token, revoke."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_gateway.domain.errors import GatewayError, InvalidInput, Unavailable
from asya_gateway.domain.identity.audit import NO_AUDIT, Audit
from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.oauth.authorizing import AuthorizationRequest, Authorizing
from asya_gateway.domain.oauth.clients import CODE_GRANT, CREDENTIALS_GRANT, REFRESH_GRANT
from asya_gateway.domain.oauth.errors import (
    InvalidClient,
    InvalidClientMetadata,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    OAuthError,
    UnsupportedGrantType,
)
from asya_gateway.domain.oauth.registering import Clients, Registered
from asya_gateway.domain.oauth.tokens import Issued, Presenter, Tokens
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.bodies import as_object, decode, read_bytes
from asya_gateway.protocols.http.sources import network_of
from asya_gateway.protocols.oauth.answering import redirect, told_to_client
from asya_gateway.protocols.oauth.errors import SECRET_HEADERS, page_of, refusal
from asya_gateway.protocols.oauth.parameters import bearer_of, read_client, read_form, read_query
from asya_gateway.protocols.oauth.rates import SourceRates
from asya_gateway.telemetry.context import current_source

LARGEST_REGISTRATION = 64 * 1024
REGISTRATION_DEPTH = 16

Begin = Callable[[web.Request, AuthorizationRequest], Awaitable[web.StreamResponse]]
"""Sends the person of an authorization request to log in."""


class Endpoints:
    """Handlers of the routes. Without `begin`, an authorization request is granted at once. While it is `uncertain`
    what the database says, no client is told that it or its grant is unknown."""

    def __init__(
        self,
        clients: Clients,
        authorizing: Authorizing,
        tokens: Tokens,
        rates: SourceRates,
        begin: Begin | None = None,
        audit: Audit = NO_AUDIT,
        uncertain: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clients, self._authorizing, self._tokens = clients, authorizing, tokens
        self._rates, self._begin, self._audit, self._uncertain = rates, begin, audit, uncertain

    async def register(self, request: web.Request) -> web.Response:
        """RFC 7591, section 3."""
        try:
            source = self._rates.check(request, "register")
            self._clients.check_registration_token(bearer_of(request))
            document = await _read_document(request)
            registered = await self._clients.register(document, source)
        except (OAuthError, GatewayError) as error:
            return self._refusal(error)
        return json_response(jsontext.dumps(_registration(registered)), status=201, headers=SECRET_HEADERS)

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """RFC 6749, section 4.1.1. What is wrong with the client or the redirect URI is told here, the rest to the
        client."""
        try:
            source = self._rates.check(request, "authorize")
            parameters = read_query(request)
            target = await self._authorizing.target(parameters, network_of(source))
        except (OAuthError, GatewayError) as error:
            return page_of(self._told(error))
        try:
            asked = self._authorizing.read(target, parameters)
            if self._begin is not None:
                return await self._begin(request, asked)
            location = await self._authorizing.grant(asked)
        except OAuthError as error:
            return told_to_client(self._authorizing, target, error)
        except GatewayError as error:
            return page_of(error)
        return redirect(location)

    async def token(self, request: web.Request) -> web.Response:
        """RFC 6749, section 3.2."""
        try:
            source = self._rates.check(request, "token")
            form = await read_form(request)
            issue = self._grant_type(form.get("grant_type"))
            presenter = await self._presenter(request, form, source)
            issued = await issue(presenter, form)
        except (OAuthError, GatewayError) as error:
            return self._refusal(error)
        return json_response(jsontext.dumps(_tokens(issued)), headers=SECRET_HEADERS)

    async def revoke(self, request: web.Request) -> web.Response:
        """RFC 7009, section 2."""
        try:
            source = self._rates.check(request, "revoke")
            form = await read_form(request)
            presenter = await self._presenter(request, form, source)
            if "token" not in form:
                raise InvalidRequest("token: expected the parameter once")
            await self._tokens.revoke(presenter, form["token"])
        except (OAuthError, GatewayError) as error:
            return self._refusal(error)
        return web.Response(headers=SECRET_HEADERS)

    def _refusal(self, error: OAuthError | GatewayError) -> web.Response:
        return refusal(self._told(error))

    def _told(self, error: OAuthError | GatewayError) -> OAuthError | GatewayError:
        """The error that is told. The refusal of a credential is recorded; what is merely malformed is not."""
        if isinstance(error, InvalidClient | InvalidGrant | InvalidToken) and self._uncertain():
            # A client would throw its registration or its grant away.
            return Unavailable("clients and grants cannot be checked now")
        if isinstance(error, InvalidClient | InvalidGrant | InvalidToken | TooManyRequests):
            self._audit.refused(f"authorization server: {error.code}", network_of(current_source()))
        return error

    async def _presenter(self, request: web.Request, form: Mapping[str, str], source: str) -> Presenter:
        caller = read_client(request, form)
        client = await self._clients.authenticated(caller.client_id, caller.secret)
        return Presenter(client, caller.client_id, network_of(source))

    def _grant_type(self, name: str | None) -> Callable[[Presenter, Mapping[str, str]], Awaitable[Issued]]:
        match name:
            case None:
                raise InvalidRequest("grant_type: expected the parameter once")
            case "authorization_code":
                return self._tokens.of_code
            case "refresh_token":
                return self._tokens.of_refresh
            case "client_credentials":
                return self._tokens.of_client
            case _:
                raise UnsupportedGrantType(f"expected {CODE_GRANT}, {REFRESH_GRANT} or {CREDENTIALS_GRANT}")


async def _read_document(request: web.Request) -> dict[str, Any]:
    """The client's description. Raises InvalidClientMetadata, TooLarge, BodyTimeout, Overloaded."""
    if request.content_type != "application/json":
        raise InvalidClientMetadata("expected the content type application/json")
    if request.query_string:
        raise InvalidClientMetadata("expected the client's description in the body alone")
    body = await read_bytes(request, LARGEST_REGISTRATION)
    try:
        return as_object(decode(body, max_depth=REGISTRATION_DEPTH))
    except InvalidInput as error:
        raise InvalidClientMetadata(error.text) from None


def _registration(made: Registered) -> dict[str, Any]:
    """RFC 7591, section 3.2.1: everything that was registered, whether it was asked for or not."""
    client = made.client
    document: dict[str, Any] = {
        "client_id": made.client_id,
        "client_id_issued_at": made.issued_at,
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "scope": " ".join(sorted(client.scopes)),
        "grant_types": sorted(client.grant_types),
        "response_types": ["code"],
        "token_endpoint_auth_method": made.auth_method,
    }
    if made.secret is not None:
        document |= {"client_secret": made.secret, "client_secret_expires_at": 0}
    return document


def _tokens(issued: Issued) -> dict[str, Any]:
    """RFC 6749, section 5.1."""
    document: dict[str, Any] = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": " ".join(sorted(issued.scopes)),
    }
    if issued.refresh_token is not None:
        document["refresh_token"] = issued.refresh_token
    return document
