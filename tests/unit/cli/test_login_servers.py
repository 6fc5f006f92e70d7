"""What `asya login` makes of servers that are not ours: where it looks, what it sends, and what it refuses."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from asya_cli.bearers import given
from asya_cli.client import connect
from asya_cli.errors import CliError, ExitCode
from asya_cli.login.browser import Wishes, code_of, log_in
from asya_cli.login.discovery import DiscoveredGateway, Server, discover, metadata_urls
from asya_cli.login.oauth_http import check_protected, oauth_session
from asya_cli.login.store import LoginFolder
from tests.support.login_command import Browser
from tests.support.oauth_server import serving_app

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint")


@dataclass
class Provider:
    """A gateway that takes the tokens of an issuer of another kind, and this issuer, on one port. Values of `change`
    replace members of the issuer's metadata; None removes one."""

    url: str = ""
    path: str = "/realms/staff"
    change: dict[str, Any] = field(default_factory=dict)
    well_known: str = "/.well-known/oauth-authorization-server/realms/staff"
    resource: str | None = None
    forms: list[dict[str, str]] = field(default_factory=list)
    tokens: dict[str, Any] = field(default_factory=lambda: {"access_token": "a-token", "token_type": "Bearer"})

    @property
    def issuer(self) -> str:
        return self.url + self.path

    def metadata(self) -> dict[str, Any]:
        document: dict[str, Any] = {name: f"{self.issuer}/{name}" for name in ENDPOINTS}
        document |= {"issuer": self.issuer, "code_challenge_methods_supported": ["S256"]}
        document |= {name: value for name, value in self.change.items() if value is not None}
        return {name: value for name, value in document.items() if self.change.get(name, "") is not None}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        match request.path.removeprefix(self.path):
            case "/flows":
                challenge = f'Bearer resource_metadata="{self.url}/.well-known/resource", scope="mcp:read"'
                return web.json_response({}, status=401, headers={"WWW-Authenticate": challenge})
            case "/.well-known/resource":
                resource = self.resource or f"{self.url}/mcp"
                return web.json_response({"resource": resource, "authorization_servers": [self.issuer]})
            case "/authorization_endpoint":
                to, state = request.query["redirect_uri"], request.query["state"]
                raise web.HTTPFound(f"{to}?code=a-code&state={state}")
            case "/registration_endpoint":
                return web.json_response({"client_id": "registered"}, status=201)
            case "/token_endpoint":
                self.forms.append({name: str(value) for name, value in (await request.post()).items()})
                return web.json_response(self.tokens)
            case _ if request.path == self.well_known:
                return web.json_response(self.metadata())
            case _:
                raise web.HTTPNotFound


@contextlib.asynccontextmanager
async def providing(provider: Provider) -> AsyncIterator[Provider]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.handle)
    async with serving_app(app) as provider.url:
        yield provider


async def found_at(provider: Provider) -> DiscoveredGateway:
    async with providing(provider), oauth_session() as session:
        found = await discover(session, provider.url)
        assert found is not None
        return found


def test_metadata_is_looked_for_where_the_rfcs_put_it() -> None:
    """RFC 8414, sections 3.1 and 5; OpenID Connect Discovery 1.0, section 4.1."""
    assert list(metadata_urls("https://a.example/realms/b")) == [
        "https://a.example/.well-known/oauth-authorization-server/realms/b",
        "https://a.example/.well-known/openid-configuration/realms/b",
        "https://a.example/realms/b/.well-known/openid-configuration",
    ]
    assert list(metadata_urls("https://a.example/")) == [
        "https://a.example/.well-known/oauth-authorization-server",
        "https://a.example/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize(
    "well_known",
    ["/.well-known/openid-configuration/realms/staff", "/realms/staff/.well-known/openid-configuration"],
)
async def test_an_issuer_with_a_path_is_found(well_known: str) -> None:
    provider = Provider(well_known=well_known)
    assert (await found_at(provider)).server.issuer == provider.issuer


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"issuer": "https://other.example"}, "publishes no metadata"),
        ({"issuer": None}, "publishes no metadata"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE with S256"),
        ({"code_challenge_methods_supported": None}, "PKCE with S256"),
        ({"token_endpoint": None}, "has no token_endpoint"),
        ({"token_endpoint": 1}, "has no token_endpoint"),
        ({"token_endpoint": "http://tokens.example/"}, "token_endpoint: expected https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint: expected https"),
        ({"revocation_endpoint": "file:///etc/passwd"}, "revocation_endpoint: expected https"),
    ],
)
async def test_metadata_that_must_not_be_used_is_refused(change: dict[str, Any], told: str) -> None:
    """RFC 8414, section 3.3; MCP: clients "MUST refuse to proceed" without PKCE."""
    with pytest.raises(CliError, match=told):
        await found_at(Provider(change=change))


async def test_a_gateway_that_claims_to_be_another_gets_no_token() -> None:
    """RFC 9728, section 3.3."""
    with pytest.raises(CliError, match=r"says that it is https://other\.example/mcp"):
        await found_at(Provider(resource="https://other.example/mcp"))


@pytest.mark.parametrize("body", [b"x" * 2**21, b"[]", b"not json", b"[" * 100_000, b"\xff\xfe", b""])
async def test_a_document_that_is_none_ends_in_one_line(body: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/flows":
            challenge = f'Bearer resource_metadata="http://{request.host}/document"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serving_app(app) as url, oauth_session() as session:
        with pytest.raises(CliError, match="has no metadata of a protected resource"):
            await discover(session, url)


async def test_an_issuer_that_asks_for_a_scope_to_refresh_is_asked_with_it(tmp_path: Path) -> None:
    """OpenID Connect Core 1.0, section 11."""
    browser = Browser()
    provider = Provider(change={"scopes_supported": ["openid", "offline_access"]})
    async with providing(provider):
        login = await log_in(provider.url, LoginFolder(tmp_path / "logins"), Wishes(), browser.show)
    assert login is not None
    assert browser.asked()["scope"] == "mcp:read offline_access"
    assert (login.client_id, login.access_token, login.refresh_token) == ("registered", "a-token", "")


async def test_an_issuer_without_registration_needs_a_client_id(tmp_path: Path) -> None:
    store, provider = LoginFolder(tmp_path / "logins"), Provider(change={"registration_endpoint": None})
    async with providing(provider):
        with pytest.raises(CliError, match="lets no client register itself; ask for a client and give --client-id"):
            await log_in(provider.url, store, Wishes(), Browser().show)
        login = await log_in(provider.url, store, Wishes(client_id="given"), Browser().show)
    assert login is not None
    assert login.client_id == "given"
    assert provider.forms[-1]["resource"] == f"{provider.url}/mcp"


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ({"access_token": "a", "token_type": "mac"}, "expected a bearer token"),
        ({"token_type": "bearer"}, "expected access_token"),
        ({"access_token": 1, "token_type": "bearer"}, "expected access_token"),
        ({}, "expected token_type"),
    ],
)
async def test_an_answer_without_a_token_stores_nothing(tmp_path: Path, tokens: dict[str, Any], told: str) -> None:
    store, provider = LoginFolder(tmp_path / "logins"), Provider(tokens=tokens)
    async with providing(provider):
        with pytest.raises(CliError, match=told):
            await log_in(provider.url, store, Wishes(), Browser().show)
    assert store.read(provider.url) is None


def test_a_redirect_names_its_server_if_the_server_says_that_it_does() -> None:
    """RFC 9207, section 2.4."""
    plain = Server("https://a.example", "", "", "", "", names_itself=False, offline=False)
    naming = Server("https://a.example", "", "", "", "", names_itself=True, offline=False)
    assert code_of({"code": "c"}, plain) == "c"
    assert code_of({"code": "c", "iss": "https://a.example"}, naming) == "c"
    for answer, server in (
        ({"code": "c"}, naming),
        ({"code": "c", "iss": "https://a.example/"}, naming),
        ({"code": "c", "iss": "https://b.example"}, plain),
        ({"error": "access_denied", "iss": "https://b.example"}, plain),
    ):
        with pytest.raises(CliError, match="is not of"):
            code_of(answer, server)
    with pytest.raises(CliError, match=r"refuses: access_denied: \\u202eno"):
        code_of({"error": "access_denied", "error_description": "\u202eno"}, plain)
    with pytest.raises(CliError, match="has no code"):
        code_of({}, plain)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "http://[",
        "ftp://127.0.0.1/",
        "",
        "http://127.0.0.1.a.example/",
        "https://a.example/\x1b]0;x\x07",
        "https://a.example/\x9b31m",
        "https://a.example/ two",
    ],
)
def test_what_can_be_read_on_the_way_is_not_used(url: str) -> None:
    with pytest.raises(CliError, match="expected"):
        check_protected(url, "x")


async def test_a_token_does_not_follow_a_redirect_to_another_server() -> None:
    seen: list[dict[str, str]] = []

    async def listen(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.json_response({"id": "t"})

    other = web.Application()
    other.router.add_get("/{path:.*}", listen)
    async with serving_app(other) as target:

        async def redirect(_: web.Request) -> web.Response:
            raise web.HTTPFound(f"{target}/tasks/t")

        app = web.Application()
        app.router.add_get("/{path:.*}", redirect)
        async with serving_app(app) as url, connect(url, given("the-key")) as client:
            await client.task("t")
    assert len(seen) == 1
    assert "the-key" not in json.dumps(seen)


async def test_an_authorization_server_that_is_away_is_told_apart_from_one_that_refuses() -> None:
    async with oauth_session() as session:
        with pytest.raises(CliError, match="no gateway responds") as raised:
            await discover(session, "http://127.0.0.1:1")
    assert raised.value.code is ExitCode.UNREACHABLE
