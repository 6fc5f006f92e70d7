"""A gateway that is its own authorization server: what its tokens open, and the official client on its own."""

import logging
import ssl
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from asya_crds import jsontext
from asya_gateway.outbound.client import OutboundClient
from asya_gateway.outbound.permitting import Allowed
from servers.certificates import Authority
from tests.support.gateway import Gateway, forget_the_database, start_gateway
from tests.support.oauth import SECRET, Pkce, asked, oauth_settings
from tests.support.oauth_server import Answer, OAuthCaller, redemption
from tests.support.official_client import LOOPBACK, Browser, Storage, official
from tests.support.waiting import until
from tests.support.web import http, web


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, **oauth_settings()) as made:
        yield made


@pytest.fixture
def server(gateway: Gateway) -> OAuthCaller:
    return OAuthCaller(gateway.url, gateway.session)


async def call(gateway: Gateway, token: str = "", path: str = "/tools/call") -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = jsontext.dumps({"name": "anything", "arguments": {}})
    headers |= {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    async with gateway.session.post(gateway.url + path, data=body, headers=headers) as response:
        return Answer(response.status, await response.text(), response.headers)


async def test_a_client_without_token_learns_where_to_get_one(gateway: Gateway) -> None:
    """RFC 9728, section 5.1; MCP: "MUST use the HTTP header WWW-Authenticate when returning a 401 Unauthorized"."""
    answer = await call(gateway)
    assert answer.status == 401
    metadata = f"{gateway.url}/.well-known/oauth-protected-resource/mcp"
    assert f'resource_metadata="{metadata}"' in answer.headers["WWW-Authenticate"]
    assert 'scope="mcp:read mcp:invoke"' in answer.headers["WWW-Authenticate"]
    document = (await OAuthCaller(gateway.url, gateway.session).get(urlsplit(metadata).path)).json
    assert document["resource"] == f"{gateway.url}/mcp"
    assert document["authorization_servers"] == [gateway.url]


@pytest.mark.parametrize("resource", ["", "/mcp", "/mcp/"])
async def test_a_token_opens_what_it_was_issued_for(gateway: Gateway, server: OAuthCaller, resource: str) -> None:
    issued = await server.tokens(await server.client_id(), resource=gateway.url + resource)
    assert (await call(gateway, issued["access_token"])).status == 200


@pytest.mark.parametrize("resource", ["/a2a", "/mcp/sse", "/mcp/sales"])
async def test_a_token_for_another_resource_does_not(gateway: Gateway, server: OAuthCaller, resource: str) -> None:
    """RFC 8707; MCP: "MCP servers MUST validate that access tokens were issued specifically for them"."""
    issued = await server.tokens(await server.client_id(), resource=gateway.url + resource)
    assert (await call(gateway, issued["access_token"])).status == 401


@pytest.mark.parametrize(
    ("resource", "status"), [("/mcp/sales", 404), ("/mcp", 404), ("", 404), ("/mcp/more", 401), ("/a2a", 401)]
)
async def test_a_token_for_a_tool_set_opens_that_set(
    gateway: Gateway, server: OAuthCaller, resource: str, status: int
) -> None:
    """There is no such set here, which only those are told whom the token lets in."""
    issued = await server.tokens(await server.client_id(), resource=gateway.url + resource)
    assert (await call(gateway, issued["access_token"], path="/mcp/sales")).status == status


async def test_a_token_in_the_url_is_no_token(gateway: Gateway, server: OAuthCaller) -> None:
    """MCP: "Access tokens MUST NOT be included in the URI query string"."""
    issued = await server.tokens(await server.client_id())
    assert (await call(gateway, path=f"/tools/call?access_token={issued['access_token']}")).status == 401


async def test_scopes_are_enforced(gateway: Gateway, server: OAuthCaller) -> None:
    """RFC 6750, section 3.1: insufficient_scope."""
    issued = await server.tokens(await server.client_id(), scope="mcp:read")
    answer = await call(gateway, issued["access_token"])
    assert answer.status == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("token", ["x.y.z", "asya_refresh_x"])
async def test_other_tokens_open_nothing(gateway: Gateway, token: str) -> None:
    answer = await call(gateway, token)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_refresh_tokens_and_codes_are_no_access_tokens(gateway: Gateway, server: OAuthCaller) -> None:
    client_id = await server.client_id()
    issued = await server.tokens(client_id)
    code = (await server.authorize(client_id, Pkce())).redirected["code"]
    for secret in (issued["refresh_token"], code, client_id):
        assert (await call(gateway, secret)).status == 401


async def test_a_revoked_token_ends_on_another_pod(gateway: Gateway, server: OAuthCaller, database_url: str) -> None:
    client_id = await server.client_id()
    issued = await server.tokens(client_id)
    settings = oauth_settings(mcp_oauth_issuer=gateway.url)
    async with start_gateway(database_url, **settings) as other:
        assert (await call(other, issued["access_token"])).status == 200
        await server.post("/oauth/revoke", {"client_id": client_id, "token": issued["refresh_token"]})

        async def ended() -> bool:
            return (await call(other, issued["access_token"])).status == 401

        await until(ended)
        await until(lambda: _is_401(gateway, issued["access_token"]))


async def _is_401(gateway: Gateway, token: str) -> bool:
    return (await call(gateway, token)).status == 401


async def test_tasks_belong_to_the_client_and_to_no_other(gateway: Gateway, server: OAuthCaller) -> None:
    mine, theirs = [(await server.tokens(await server.client_id()))["access_token"] for _ in range(2)]
    task_id = jsontext.loads((await call(gateway, mine)).json["content"][0]["text"])["task_id"]
    for token, status in ((mine, 200), (theirs, 404)):
        headers = {"Authorization": f"Bearer {token}"}
        assert (await server.get(f"/tasks/{task_id}", **headers)).status == status


async def test_no_secret_is_logged_or_stored(
    gateway: Gateway, server: OAuthCaller, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever went right or wrong with them."""
    caplog.set_level(logging.DEBUG)
    made = (
        await server.register({"redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "client_secret_post"})
    ).json
    client, pkce = {"client_id": made["client_id"], "client_secret": made["client_secret"]}, Pkce()
    parameters = {**asked(made["client_id"], pkce), "redirect_uri": LOOPBACK}
    code = (await server.get("/oauth/authorize", parameters)).redirected["code"]
    form = {**redemption(made["client_id"], code, pkce), **client, "redirect_uri": LOOPBACK}
    issued = (await server.token(**form)).json
    renewed = (await server.token(grant_type="refresh_token", **client, refresh_token=issued["refresh_token"])).json
    await call(gateway, renewed["access_token"])
    await server.token(**form)
    await server.token(grant_type="refresh_token", client_id=made["client_id"], refresh_token=renewed["refresh_token"])
    await call(gateway, renewed["refresh_token"])
    secrets = [*client.values(), code, pkce.verifier, SECRET]
    secrets += [tokens[name] for tokens in (issued, renewed) for name in ("access_token", "refresh_token")]
    database = gateway.running.storage.database
    tables = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    stored = [str(await database.fetchval(f'SELECT json_agg(t)::text FROM "{table[0]}" t')) for table in tables]
    assert any("grant_created" in text for text in stored)
    for secret in secrets:
        # Bytes are written as hexadecimal digits.
        for end in (secret[-20:], secret[-20:].encode().hex()):
            assert not [text for text in (caplog.text, *stored) if end in text]


async def test_while_the_database_is_away_no_client_is_told_that_it_is_unknown(
    gateway: Gateway, server: OAuthCaller
) -> None:
    """Clients throw their registration away after `invalid_client`, and their grant after `invalid_grant`."""
    client_id = await server.client_id()
    form = {"grant_type": "refresh_token", "client_id": client_id}
    (await server.token(**form, refresh_token="x")).refuses("invalid_grant")
    (await server.post("/oauth/token", form, Authorization="Basic !!!")).refuses("invalid_client", 401)
    forget_the_database(gateway)
    answers = [
        await server.token(**form, refresh_token="x"),
        await server.token(**{**form, "client_id": "x" * 5000}, refresh_token="x"),
        await server.post("/oauth/token", form, Authorization="Basic !!!"),
        await server.post("/oauth/revoke", {"client_id": "x" * 5000, "token": "x"}),
        await server.get("/oauth/authorize", asked("x" * 5000, Pkce())),
    ]
    assert [(answer.status, answer.headers["Retry-After"]) for answer in answers] == [(503, "1")] * 5
    assert all("temporarily_unavailable" in answer.text for answer in answers)


async def test_the_official_client_registers_authorizes_and_refreshes(gateway: Gateway) -> None:
    storage, browser = Storage(), Browser(gateway.session)
    async with official(f"{gateway.url}/mcp", storage, browser) as (client, provider):
        assert "anything" in {tool.name for tool in (await client.list_tools()).tools}
        assert storage.client is not None
        assert storage.tokens is not None
        assert (storage.tokens.scope or "").split() == ["mcp:invoke", "mcp:read"]
        first = storage.tokens
        provider.context.token_expiry_time = 1.0
        await client.list_tools()
        assert storage.tokens.access_token != first.access_token
        assert storage.tokens.refresh_token not in (None, first.refresh_token)
    assert len(browser.asked) == 1


async def test_one_source_makes_the_gateway_fetch_few_documents(database_url: str) -> None:
    """At a rate of twelve requests a minute, one; every address behind the trusted proxy is a source of its own."""
    settings = oauth_settings(mcp_oauth_rate=12, trusted_proxies=["127.0.0.1"])
    async with start_gateway(database_url, **settings) as made:
        server = OAuthCaller(made.url, made.session)
        seen = [
            (
                await server.get(
                    "/oauth/authorize", asked(f"https://127.0.0.1/{name}", Pkce()), **{"X-Forwarded-For": by}
                )
            )
            for name, by in (("a", "192.0.2.1"), ("b", "192.0.2.1"), ("b", "192.0.2.2"))
        ]
    assert [answer.status for answer in seen] == [503, 429, 503]
    assert int(seen[1].headers["Retry-After"]) > 1


async def test_the_official_client_is_described_by_a_document(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = Authority(tmp_path_factory.mktemp("authority"), "authority")
    shown = authority.issue("client")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(shown.certificate, shown.key)
    trust = ssl.create_default_context(cafile=str(authority.file))
    outbound = OutboundClient(Allowed.of(["127.0.0.0/8"]), tls=trust)
    async with web(tls=tls) as host, start_gateway(database_url, outbound=outbound, **oauth_settings()) as gateway:
        url = f"{host.url}/metadata.json"
        document = {"client_id": url, "client_name": "SDK", "redirect_uris": [LOOPBACK]}
        host.answer = http(jsontext.dumps(document).encode(), "200 OK", "Content-Type: application/json")
        async with official(f"{gateway.url}/mcp", Storage(), Browser(gateway.session), url) as (client, _):
            assert (await client.list_tools()).tools
        assert host.connections == 1
        database = gateway.running.storage.database
        assert await database.fetchval("SELECT count(*) FROM oauth_clients") == 0
        row = await database.fetchrow("SELECT kind, client_name, public_id FROM oauth_grants")
        assert row is not None
        assert tuple(row) == ("metadata", "SDK", url)
