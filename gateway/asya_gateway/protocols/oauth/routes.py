"""The route table of the authorization server."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_crds.flow_sets import check_set_name
from asya_gateway.domain.oauth.resources import AUTHORIZE, SETS, TOKEN
from asya_gateway.protocols.http.policies import PUBLIC, add_get, add_route
from asya_gateway.protocols.oauth.discovery import (
    CALLBACK,
    CONSENT,
    REGISTER,
    RESOURCE_PATH,
    REVOKE,
    SERVER_PATHS,
    resource_document,
    resource_documents,
    server_document,
)
from asya_gateway.protocols.oauth.endpoints import Endpoints
from asya_gateway.protocols.oauth.login import LoginRoutes

ALIASES = {AUTHORIZE: "/authorize", TOKEN: "/token", REGISTER: "/register"}  # paths
"""Where clients of the revision 2025-03-26 look, if they do not read the metadata."""


def register_server(app: web.Application, endpoints: Endpoints, issuer: str, *, documents: bool) -> None:
    """Add the endpoints and the server's metadata."""
    for method, path, handler in (
        ("GET", AUTHORIZE, endpoints.authorize),
        ("POST", TOKEN, endpoints.token),
        ("POST", REGISTER, endpoints.register),
        ("POST", REVOKE, endpoints.revoke),
    ):
        for each in (path, ALIASES.get(path)):
            if each is not None:
                add_route(app, method, each, handler, PUBLIC)
    document = server_document(issuer, documents=documents)
    for path in SERVER_PATHS:
        _add_document(app, path, document)


def register_login(app: web.Application, login: LoginRoutes) -> None:
    """Add the routes for persons."""
    add_route(app, "GET", CALLBACK, login.callback, PUBLIC)
    add_route(app, "POST", CONSENT, login.consent, PUBLIC)


def register_resources(app: web.Application, origin: str, servers: Sequence[str]) -> None:
    """Add the metadata of what these servers protect, whether one of them is ours or not."""
    origin = origin.rstrip("/")
    for path, document in resource_documents(origin, servers).items():
        _add_document(app, path, document)

    async def of_set(request: web.Request) -> web.Response:
        """A tool set's, whether it exists or not, because that is nobody's business here."""
        name = request.match_info["set"]
        try:
            check_set_name(name)
        except ValueError:
            raise web.HTTPNotFound from None
        return _json(jsontext.dumps(resource_document(f"{origin}{SETS}{name}", servers)).encode())

    add_get(app, f"{RESOURCE_PATH}{SETS}{{set}}", of_set, PUBLIC)


def _add_document(app: web.Application, path: str, document: dict[str, Any]) -> None:
    body = jsontext.dumps(document).encode()

    async def answer(_request: web.Request) -> web.Response:
        return _json(body)

    add_get(app, path, answer, PUBLIC)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})
