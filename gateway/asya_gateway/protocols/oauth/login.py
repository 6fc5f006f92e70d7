"""Authorization with a person: to the upstream issuer, back, and a page that asks whether the client may act for the
person. Asked at every authorization, since clients without a secret can be imitated."""

import secrets as random
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.oauth.authorizing import AuthorizationRequest, Authorizing
from asya_gateway.domain.oauth.clients import Client, ClientKind
from asya_gateway.domain.oauth.errors import AccessDenied, InvalidRequest, OAuthError
from asya_gateway.domain.oauth.granting import included
from asya_gateway.domain.oauth.grants import Person
from asya_gateway.domain.oauth.logins import (
    LOGIN_SECONDS,
    LoginSecrets,
    LoginStore,
    Upstreams,
    as_document,
    from_document,
)
from asya_gateway.domain.oauth.ports import People
from asya_gateway.domain.oauth.redirects import leads_home, shown_host
from asya_gateway.protocols.oauth.answering import error_uri, redirect, told_to_client
from asya_gateway.protocols.oauth.discovery import CONSENT
from asya_gateway.protocols.oauth.errors import page_of
from asya_gateway.protocols.oauth.pages import consent_page, form_targets
from asya_gateway.protocols.oauth.parameters import read_form, read_query
from asya_gateway.protocols.oauth.rates import SourceRates

COOKIE = "__Host-asya-login"
"""The only cookie. Its prefix makes browsers refuse one that another host has set (RFC 6265bis, section 4.1.3.2)."""
COOKIE_LENGTH = 43
LONGEST_CODE = 4096
EXPIRED = "expected a login that began in this browser less than ten minutes ago; start again at the application"


class LoginRoutes:
    """Handlers of the routes that persons see."""

    def __init__(
        self,
        authorizing: Authorizing,
        upstream: Upstreams,
        logins: LoginStore,
        people: People,
        rates: SourceRates,
        issuer: str,
    ) -> None:
        self._authorizing, self._upstream, self._logins = authorizing, upstream, logins
        self._people, self._rates, self._issuer = people, rates, issuer

    async def begin(self, request: web.Request, asked: AuthorizationRequest) -> web.StreamResponse:
        """Send the person to log in. Raises Unavailable."""
        cookie = _cookie_of(request) or random.token_urlsafe(32)
        login = LoginSecrets(cookie, random.token_urlsafe(32))
        url = await self._upstream.authorization_url(login)
        await self._logins.begin(login.key, as_document(asked), LOGIN_SECONDS)
        response = redirect(url)
        response.set_cookie(COOKIE, cookie, max_age=LOGIN_SECONDS, path="/", secure=True, httponly=True, samesite="Lax")
        return response

    async def callback(self, request: web.Request) -> web.StreamResponse:
        """The person comes back (RFC 6749, section 4.1.2)."""
        try:
            self._rates.check(request, "callback")
            parameters = read_query(request)
            login = self._login(request, _single(parameters, "state"))
            waiting = await self._logins.waiting(login.key)
            if waiting is None:
                raise InvalidRequest(EXPIRED)
            asked = from_document(waiting)
            try:
                return await self._identified(asked, login, parameters)
            except OAuthError as error:
                await self._logins.finish(login.key)
                return told_to_client(self._authorizing, asked.target, error, status=303)
        except (OAuthError, GatewayError) as error:
            return page_of(error)

    async def consent(self, request: web.Request) -> web.StreamResponse:
        """The person's answer. Its token was made for this browser and this authorization, and counts once."""
        try:
            self._rates.check(request, "consent")
            form = await read_form(request)
            login = self._login(request, form.get("state"))
            if not login.is_consent(form.get("token", "")):
                raise InvalidRequest(EXPIRED)
            finished = await self._logins.finish(login.key)
            if finished is None or finished[1] is None:
                raise InvalidRequest(EXPIRED)
            asked, person = from_document(finished[0]), finished[1]
            if form.get("answer") != "allow":
                return redirect(error_uri(self._authorizing, asked.target, AccessDenied("the person said no")), 303)
            # 303: the browser must not send the form to the client (RFC 9700, section 4.12).
            return redirect(await self._authorizing.grant(asked, person), status=303)
        except (OAuthError, GatewayError) as error:
            return page_of(error)

    async def _identified(
        self, asked: AuthorizationRequest, login: LoginSecrets, parameters: Mapping[str, list[str]]
    ) -> web.StreamResponse:
        if "error" in parameters:
            raise AccessDenied("the person did not log in")
        code = _single(parameters, "code")
        if code is None or len(code) > LONGEST_CODE:
            raise AccessDenied("the login's provider sent no code")
        person = await self._upstream.person(code, _single(parameters, "iss"), login)
        held = await self._people.scopes_of(person)
        if held is None or not included(held, asked.scopes):
            raise AccessDenied("the person may not use this gateway, or nothing of what is asked for")
        if not await self._logins.logged_in(login.key, person):
            raise AccessDenied("the login was completed already")
        return self._question(asked, person, login)

    def _question(self, asked: AuthorizationRequest, person: Person, login: LoginSecrets) -> web.Response:
        uri = asked.target.redirect_uri
        return consent_page(
            action=self._issuer + CONSENT,
            client=_name_of(asked.target.client),
            host=shown_host(uri),
            person=_shown(person),
            scopes=sorted(asked.scopes),
            hidden=(("state", login.state), ("token", login.consent)),
            warning=_warning(uri),
            targets=form_targets(uri),
        )

    def _login(self, request: web.Request, state: str | None) -> LoginSecrets:
        """What the browser brings back. Raises InvalidRequest."""
        cookie = _cookie_of(request)
        if cookie is None or state is None or len(state) != COOKIE_LENGTH:
            raise InvalidRequest(EXPIRED)
        return LoginSecrets(cookie, state)


def _cookie_of(request: web.Request) -> str | None:
    found = request.cookies.get(COOKIE, "")
    return found if len(found) == COOKIE_LENGTH and found.isascii() and found.isprintable() else None


def _single(parameters: Mapping[str, list[str]], name: str) -> str | None:
    found = parameters.get(name, [])
    return found[0] if len(found) == 1 and found[0] else None


def _name_of(client: Client) -> str:
    """What the client calls itself, which nobody has checked. A document at least has a host."""
    name = client.name or "An application without a name"
    if client.kind is ClientKind.METADATA and client.public_id is not None:
        return f"{name} ({urlsplit(client.public_id).hostname})"
    return name


def _shown(person: Person) -> str:
    """A name by which persons recognise themselves; the id if the issuer tells none."""
    for claim in ("email", "preferred_username", "name"):
        value = person.claims.get(claim)
        if isinstance(value, str) and value and value.isprintable():
            return value[:200]
    return person.id


def _warning(redirect_uri: str) -> str:
    if leads_home(redirect_uri):
        return (
            "The answer goes to a program on your own computer. Allow this only if you have just started it yourself; "
            "any program there could use the same name."
        )
    return "The name is what the application calls itself. Allow this only if you expect it, and trust that host."
