"""One login: registration, the browser, and the exchange of its code for tokens."""

import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp

from asya_cli.errors import CliError
from asya_cli.login.discovery import OFFLINE, DiscoveredGateway, Server, discover
from asya_cli.login.oauth_http import oauth_session
from asya_cli.login.redirect import redirect_to_here
from asya_cli.login.store import Login, LoginFolder
from asya_cli.login.tokens import Pkce, is_known, redeem, register, revoke
from asya_crds.readable import readable

Show = Callable[[str], Awaitable[None]]
"""Brings a person to a URL."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for."""

    scopes: tuple[str, ...] = ()
    """Empty: what the gateway names."""
    client_id: str = field(default="", repr=False)
    """"" registers a client, or uses the one of the login before."""
    registration_token: str = field(default="", repr=False)
    port: int = 0


async def log_in(gateway: str, store: LoginFolder, wishes: Wishes, show: Show) -> Login | None:
    """Log in and store the tokens. None if the gateway asks nobody who it is. Raises CliError."""
    async with oauth_session() as session:
        found = await discover(session, gateway)
        if found is None:
            return None
        before = store.read(gateway)
        scope = " ".join(wishes.scopes) or found.scope
        state, pkce = secrets.token_urlsafe(32), Pkce()
        async with redirect_to_here(state, wishes.port) as redirect:
            client_id = await _client(session, found.server, before, wishes, redirect.uri, scope)
            await show(_authorization(found, client_id, redirect.uri, scope, state, pkce))
            code = code_of(await redirect.parameters(), found.server)
        form = {"code": code, "redirect_uri": redirect.uri, "code_verifier": pkce.verifier}
        login = await redeem(session, found, gateway, client_id, form, scope)
        async with store.locked():
            store.write(login)
        if before is not None:
            # What was granted before would otherwise live on unseen. Commands that run with it find the new login.
            with contextlib.suppress(CliError):
                await revoke(session, before)
        return login


async def _client(
    session: aiohttp.ClientSession, server: Server, before: Login | None, wishes: Wishes, uri: str, scope: str
) -> str:
    """The client to log in as. Tasks belong to a client where no persons log in, so a login after an earlier one uses
    the same, as long as the server knows it."""
    if wishes.client_id:
        return wishes.client_id
    if before is not None and before.issuer == server.issuer and await is_known(session, server, before.client_id):
        return before.client_id
    return await register(session, server, uri, scope, wishes.registration_token)


def _authorization(found: DiscoveredGateway, client_id: str, uri: str, scope: str, state: str, pkce: Pkce) -> str:
    """The URL of the authorization request (RFC 6749, section 4.1.1; RFC 7636; RFC 8707)."""
    server = found.server
    if server.offline and OFFLINE not in scope.split():
        scope = f"{scope} {OFFLINE}".strip()
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": uri,
        "state": state,
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
        "resource": found.resource,
        **({"scope": scope} if scope else {}),
    }
    joint = "&" if "?" in server.authorization_endpoint else "?"
    return f"{server.authorization_endpoint}{joint}{urlencode(parameters)}"


def code_of(answer: Mapping[str, str], server: Server) -> str:
    """The code of a redirect that this server made. Raises CliError."""
    issuer = answer.get("iss")
    # RFC 9207, section 2.4: a redirect of another server may carry its code, which must not be sent here.
    if (issuer is not None or server.names_itself) and not hmac.compare_digest(
        (issuer or "").encode("utf-8", "replace"), server.issuer.encode()
    ):
        raise CliError(f"the redirect is not of {server.issuer}; the login was given up")
    if error := answer.get("error"):
        description = answer.get("error_description")
        raise CliError(
            f"{server.issuer} refuses: {readable(error)}{': ' + readable(description) if description else ''}"
        )
    if not (code := answer.get("code")):
        raise CliError(f"the redirect of {server.issuer} has no code; the login was given up")
    return code
