"""Finds the authorization server of a gateway: from its 401 to the metadata of what it protects (RFC 9728), and from
there to the server's (RFC 8414)."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from asya_cli.bearers import TokenSource
from asya_cli.errors import CliError
from asya_cli.login.oauth_http import check_protected, get_document
from asya_cli.options import unreachable
from asya_cli.refusals import challenge_of, refusal
from asya_crds.readable import readable

OFFLINE = "offline_access"
"""The scope by which many servers are asked for a refresh token (OpenID Connect Core 1.0, section 11)."""


@dataclass(frozen=True, slots=True)
class Server:
    """An authorization server. Endpoints that it does not have are ""."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str
    revocation_endpoint: str
    names_itself: bool
    """Whether its redirects carry `iss` (RFC 9207)."""
    offline: bool
    """Whether it must be asked for a refresh token."""


@dataclass(frozen=True, slots=True)
class DiscoveredGateway:
    """What a gateway asks of its callers, and who gives it."""

    resource: str
    scope: str
    """Scopes to ask for, in one text; "" if the gateway names none."""
    server: Server


async def discover(session: aiohttp.ClientSession, gateway: str) -> DiscoveredGateway | None:
    """None if the gateway asks nobody who it is. Raises CliError."""
    check_protected(gateway, "--url or ASYA_URL")
    try:
        async with session.get(gateway + "/flows", headers={"Accept": "application/json"}) as response:
            if response.status < HTTPStatus.BAD_REQUEST:
                return None
            challenge = challenge_of(response)
            if response.status != HTTPStatus.UNAUTHORIZED or "resource_metadata" not in challenge:
                raise await refusal(response, gateway, TokenSource.NOTHING)
    except (aiohttp.ClientConnectionError, TimeoutError) as error:
        raise unreachable(gateway) from error
    url = check_protected(urljoin(gateway, challenge["resource_metadata"]), "resource_metadata")
    document = await _document(session, url)
    resource = _resource(document, gateway)
    server = await _server(session, _issuer(document, url))
    return DiscoveredGateway(resource, challenge.get("scope", ""), server)


def _resource(document: dict[str, Any], gateway: str) -> str:
    """The protected resource. It must be this gateway, or a token for it could be another server's (RFC 9728, section
    3.3)."""
    resource = document.get("resource")
    if resource not in (gateway, f"{gateway}/", f"{gateway}/mcp"):
        raise CliError(
            f"{gateway} says that it is {readable(str(resource)[:200])}; use that address, without /mcp, as --url, or "
            "set the gateway's ASYA_MCP_OAUTH_ISSUER or ASYA_PUBLIC_URL"
        )
    return str(resource)


def _issuer(document: dict[str, Any], url: str) -> str:
    servers = document.get("authorization_servers")
    if not isinstance(servers, list) or not servers or not isinstance(servers[0], str):
        raise CliError(f"{url} names no authorization server")
    return check_protected(servers[0], "authorization_servers")


async def _server(session: aiohttp.ClientSession, issuer: str) -> Server:
    for url in metadata_urls(issuer):
        document = await get_document(session, url)
        # RFC 8414, section 3.3: metadata of another issuer must not be used.
        if document is not None and document.get("issuer") == issuer:
            return _server_of(document, issuer)
    raise CliError(f"{issuer} publishes no metadata of an authorization server")


def metadata_urls(issuer: str) -> Iterator[str]:
    """Where the metadata of an issuer may be (RFC 8414, sections 3.1 and 5; OpenID Connect Discovery 1.0, section
    4.1)."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}/.well-known/openid-configuration{path}"
    if path:
        yield f"{origin}{path}/.well-known/openid-configuration"


def _server_of(document: dict[str, Any], issuer: str) -> Server:
    methods = document.get("code_challenge_methods_supported")
    if not isinstance(methods, list) or "S256" not in methods:
        raise CliError(f"{issuer} does not offer PKCE with S256, without which a code can be stolen")
    scopes = document.get("scopes_supported")
    return Server(
        issuer=issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint"),
        token_endpoint=_endpoint(document, "token_endpoint"),
        registration_endpoint=_endpoint(document, "registration_endpoint", optional=True),
        revocation_endpoint=_endpoint(document, "revocation_endpoint", optional=True),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        offline=isinstance(scopes, list) and OFFLINE in scopes,
    )


def _endpoint(document: dict[str, Any], name: str, *, optional: bool = False) -> str:
    found = document.get(name)
    if found is None and optional:
        return ""
    if not isinstance(found, str):
        raise CliError(f"{document['issuer']}: its metadata has no {name}")
    return check_protected(found, name)


async def _document(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    document = await get_document(session, url)
    if document is None:
        raise CliError(f"{url} has no metadata of a protected resource")
    return document
