"""The code flow over HTTP, each step beside the sentence that it follows."""

import asyncio
import base64
import re

import pytest

from asya_gateway.protocols.oauth.discovery import SERVER_PATHS
from tests.support.oauth import CALLBACK, ISSUER, Pkce, query_of
from tests.support.oauth_server import OAuthServer, serve_oauth


@pytest.mark.parametrize("path", SERVER_PATHS)
async def test_the_metadata_of_the_server(server: OAuthServer, path: str) -> None:
    """RFC 8414, section 3.3: "The issuer value returned MUST be identical to the authorization server's issuer
    identifier"; MCP: clients refuse a server without code_challenge_methods_supported."""
    answer = await server.get(path, Host="evil.example")
    assert answer.status == 200
    assert answer.json == {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/oauth/authorize",
        "token_endpoint": f"{ISSUER}/oauth/token",
        "registration_endpoint": f"{ISSUER}/oauth/register",
        "revocation_endpoint": f"{ISSUER}/oauth/revoke",
        "scopes_supported": ["mcp:invoke", "mcp:read"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "client_id_metadata_document_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }


@pytest.mark.parametrize("path", ["", "/mcp", "/mcp/sse", "/mcp/sales", "/a2a"])
async def test_the_metadata_of_a_resource(server: OAuthServer, path: str) -> None:
    """RFC 9728, section 3.3: "The resource value returned MUST be identical to the protected resource's resource
    identifier value into which the well-known URI path suffix was inserted"."""
    answer = await server.get(f"/.well-known/oauth-protected-resource{path}", Host="evil.example")
    assert answer.json == {
        "resource": ISSUER + path,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["mcp:invoke", "mcp:read"],
        "bearer_methods_supported": ["header"],
    }


async def test_a_client_registers_itself(server: OAuthServer) -> None:
    """RFC 7591, section 3.2.1: "the authorization server MUST return all registered metadata about this client"."""
    answer = await server.register(
        {
            "redirect_uris": [CALLBACK, "http://127.0.0.1:33418"],
            "client_name": "Editor",
            "scope": "mcp:read task:any:read",
        }
    )
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json
    assert re.fullmatch("asya_client_[0-9a-f]{32}", made.pop("client_id"))
    assert made.pop("client_id_issued_at") > 0
    assert made == {
        "client_name": "Editor",
        "redirect_uris": [CALLBACK, "http://127.0.0.1:33418"],
        "scope": "mcp:read",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


async def test_the_code_flow(server: OAuthServer) -> None:
    """RFC 6749, section 4.1, with RFC 7636, RFC 8707 and RFC 9207."""
    client_id, pkce = await server.client_id(), Pkce()
    answer = await server.authorize(client_id, pkce, state="s t&ä".replace("ä", "="), resource=f"{ISSUER}/mcp")
    assert answer.headers["Location"].startswith(f"{CALLBACK}?")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    redirected = answer.redirected
    assert redirected.keys() == {"code", "state", "iss"}
    assert redirected["state"] == "s t&="
    assert redirected["iss"] == ISSUER

    tokens = await server.redeem(client_id, redirected["code"], pkce)
    assert tokens.status == 200
    assert (tokens.headers["Cache-Control"], tokens.headers["Pragma"]) == ("no-store", "no-cache")
    issued = tokens.json
    assert issued.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (issued["token_type"], issued["expires_in"], issued["scope"]) == ("Bearer", 3600, "mcp:invoke mcp:read")
    principal = server.replica.access.principal(issued["access_token"])
    assert principal.resource == "/mcp"

    again = await server.token(grant_type="refresh_token", client_id=client_id, refresh_token=issued["refresh_token"])
    assert again.status == 200
    assert again.json["refresh_token"] != issued["refresh_token"]


async def test_the_redirect_keeps_the_query_of_the_uri(server: OAuthServer) -> None:
    """RFC 6749, section 3.1.2."""
    uri = f"{CALLBACK}?tenant=a%26b"
    client_id = await server.client_id(redirect_uris=[uri])
    answer = await server.authorize(client_id, Pkce(), redirect_uri=uri)
    assert answer.headers["Location"].startswith(f"{uri}&code=")
    assert query_of(answer.headers["Location"])["tenant"] == "a&b"


async def test_an_application_listens_on_any_port(server: OAuthServer) -> None:
    """RFC 8252, section 7.3. The code stays bound to the port that was asked for."""
    client_id, pkce = await server.client_id(redirect_uris=["http://127.0.0.1/cb"]), Pkce()
    answer = await server.authorize(client_id, pkce, redirect_uri="http://127.0.0.1:50123/cb")
    code = answer.redirected["code"]
    (await server.redeem(client_id, code, pkce, redirect_uri="http://127.0.0.1:50124/cb")).refuses("invalid_grant")
    assert (await server.redeem(client_id, code, pkce, redirect_uri="http://127.0.0.1:50123/cb")).status == 200


@pytest.mark.parametrize("path", ["authorize", "token", "register"])
async def test_clients_that_read_no_metadata_find_the_endpoints_at_the_origin(server: OAuthServer, path: str) -> None:
    """MCP 2025-03-26, "Fallbacks for Servers without Metadata Discovery"."""
    answers = {
        "authorize": await server.get("/authorize", {"client_id": "x"}),
        "token": await server.post("/token", {"grant_type": "x"}),
        "register": await server.send("/register", b"{}", "application/json"),
    }
    assert answers[path].status == 400


@pytest.mark.parametrize("how", ["client_secret_basic", "client_secret_post"])
async def test_a_client_that_wants_a_secret_has_to_present_it(server: OAuthServer, how: str) -> None:
    """RFC 6749, section 3.2.1: "Confidential clients [...] MUST authenticate with the authorization server"."""
    made = (await server.register({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": how})).json
    assert made["client_secret_expires_at"] == 0
    client_id, secret = made["client_id"], made["client_secret"]
    pkce = Pkce()
    code = (await server.authorize(client_id, pkce)).redirected["code"]
    (await server.redeem(client_id, code, pkce)).refuses("invalid_client", 401)
    wrong = await server.redeem(client_id, code, pkce, client_secret="wrong")
    wrong.refuses("invalid_client", 401)
    assert wrong.headers["WWW-Authenticate"].startswith("Basic ")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": pkce.verifier}
    if how == "client_secret_basic":
        issued = await server.post("/oauth/token", form, Authorization=basic(client_id, secret))
    else:
        issued = await server.post("/oauth/token", {**form, "client_id": client_id, "client_secret": secret})
    assert issued.status == 200, issued.text


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


async def test_revocation(server: OAuthServer) -> None:
    """RFC 7009, section 2.2: "The authorization server responds with HTTP status code 200 if the token has been
    revoked successfully or if the client submitted an invalid token"."""
    client_id = await server.client_id()
    issued = await server.tokens(client_id)
    for token in (issued["refresh_token"], issued["refresh_token"], issued["access_token"], "nonsense"):
        form = {"client_id": client_id, "token": token, "token_type_hint": "nonsense"}
        assert (await server.post("/oauth/revoke", form)).status == 200
    refused = await server.token(grant_type="refresh_token", client_id=client_id, refresh_token=issued["refresh_token"])
    refused.refuses("invalid_grant")
    assert await server.replica.count("revocations") == 1


async def test_registration_with_a_token(database_url: str) -> None:
    """RFC 7591, section 3: an initial access token as bearer token."""
    async with serve_oauth(database_url, registration_token="let-me-register") as server:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic let-me-register"},
            {"Authorization": "Bearer \xe4"},
        ):
            refused = await server.register(**headers)
            refused.refuses("invalid_token", 401)
            assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
        assert (await server.register(Authorization="bearer let-me-register")).status == 201
        assert await server.stored() == 1


async def test_requests_of_one_source_are_limited(database_url: str) -> None:
    async with serve_oauth(database_url, per_minute=3) as server:
        answers = [await server.register() for _ in range(4)]
        assert [answer.status for answer in answers] == [201] * 3 + [429]
        answers[-1].refuses("temporarily_unavailable", 429)
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 20
        client_id = answers[0].json["client_id"]
        assert [(await server.authorize(client_id, Pkce())).status for _ in range(4)] == [302] * 3 + [429]
        token = [(await server.token(grant_type="x")).status for _ in range(4)]
        assert token == [400] * 3 + [429]


async def test_while_the_database_is_away_clients_are_told_to_come_back(server: OAuthServer) -> None:
    """Clients throw their registration away after invalid_client, and their tokens after invalid_grant."""
    client_id, pkce = await server.client_id(), Pkce()
    issued = await server.tokens(client_id)
    await server.replica.database.close()
    answers = await asyncio.gather(
        server.redeem(client_id, "asya_code_x", pkce),
        server.token(grant_type="refresh_token", client_id=client_id, refresh_token=issued["refresh_token"]),
        server.post("/oauth/revoke", {"client_id": client_id, "token": issued["refresh_token"]}),
        server.register(),
    )
    for answer in answers:
        answer.refuses("temporarily_unavailable", 503)
        assert int(answer.headers["Retry-After"]) > 0
    page = await server.authorize(client_id, pkce)
    assert page.status == 503
    assert "Retry-After" in page.headers
    assert "Location" not in page.headers
