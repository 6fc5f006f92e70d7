"""Every route and every JSON-RPC method of the whole program, for every kind of caller, at a gateway with real keys,
its own authorization server and a login."""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from asya_crds import jsontext
from asya_gateway.domain.oauth.clients import ClientKind, key_of
from asya_gateway.domain.oauth.grants import Grant
from asya_gateway.identity.own_tokens import OwnTokens
from asya_gateway.protocols.http.policies import POLICIES, Audience, Need, Policies, undeclared
from asya_gateway.protocols.mcp.methods import HANDSHAKE_METHODS, NEEDS, STATELESS_METHODS
from asya_gateway.storage.identity.keys import revoke_keys
from servers.databases import Databases
from tests.support.identity import BY, store_key
from tests.support.login import login_settings
from tests.support.mcp import BOTH, TASKS_DECLARED, stateless_body, stateless_headers
from tests.support.mcp_tasks import CAPABILITIES
from tests.support.oauth import SECRET
from tests.support.principals import bearer
from tests.support.provider import provider
from tests.support.telemetry import Watched, ready, start_watched
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = {
    "GET /": "everybody",
    "GET /health": "everybody",
    "GET /health/ready": "everybody",
    "GET /openapi.json": "identity",
    "GET /health/flows": "read",
    "POST /tools/call": "call",
    "GET /flows": "read",
    "GET /tasks": "read",
    "GET /tasks/{id}": "read",
    "POST /tasks/{id}/cancel": "invoke",
    "POST /tasks/{id}/resume": "invoke",
    "POST /tasks/{id}/retry": "invoke",
    "GET /stream/{id}": "read",
    "POST /mcp": "identity",
    "POST /mcp/{set}": "identity",
    "GET /mcp": "identity",
    "GET /mcp/sse": "identity",
    "POST /mcp/messages": "identity",
    "GET /mcp/{set}": "identity",
    "DELETE /mcp": "identity",
    "DELETE /mcp/{set}": "identity",
    "POST /a2a": "identity",
    "POST /a2a/": "identity",
    "POST /a2a/v1": "identity",
    "POST /a2a/v1/": "identity",
    "POST /a2a/{skill}": "identity",
    "POST /a2a/{skill}/": "identity",
    **{
        f"{method} {prefix}{path}": need
        for prefix in ("/a2a", "/a2a/{skill}", "/a2a/v1", "/a2a/{skill}/v1")
        for method, path, need in (
            ("POST", "/message{colon}send", "call"),
            ("POST", "/message{colon}stream", "call"),
            ("GET", "/tasks", "read"),
            ("GET", "/tasks/{task}", "read"),
            ("POST", "/tasks/{task}{colon}cancel", "invoke"),
            ("GET", "/tasks/{task}{colon}subscribe", "read"),
            ("POST", "/tasks/{task}{colon}subscribe", "read"),
            ("POST", "/tasks/{task}/pushNotificationConfigs", "invoke"),
            ("GET", "/tasks/{task}/pushNotificationConfigs", "read"),
            ("GET", "/tasks/{task}/pushNotificationConfigs/{config}", "read"),
            ("DELETE", "/tasks/{task}/pushNotificationConfigs/{config}", "invoke"),
            ("GET", "/card" if prefix.endswith("/v1") else "/extendedAgentCard", "identity"),
        )
    },
    "GET /a2a/.well-known/agent-card.json": "everybody",
    "GET /a2a/.well-known/jwks.json": "everybody",
    "GET /a2a/{skill}/.well-known/agent-card.json": "everybody",
    "GET /.well-known/agent-card.json": "everybody",
    "GET /.well-known/agent.json": "everybody",
    "GET /oauth/authorize": "everybody",
    "GET /authorize": "everybody",
    "POST /oauth/token": "everybody",
    "POST /token": "everybody",
    "POST /oauth/register": "everybody",
    "POST /register": "everybody",
    "POST /oauth/revoke": "everybody",
    "GET /oauth/callback": "everybody",
    "POST /oauth/consent": "everybody",
    "GET /.well-known/oauth-authorization-server": "everybody",
    "GET /.well-known/openid-configuration": "everybody",
    "GET /.well-known/oauth-protected-resource": "everybody",
    "GET /.well-known/oauth-protected-resource/mcp": "everybody",
    "GET /.well-known/oauth-protected-resource/mcp/sse": "everybody",
    "GET /.well-known/oauth-protected-resource/mcp/{set}": "everybody",
    "GET /.well-known/oauth-protected-resource/a2a": "everybody",
    "GET /mesh/registry": "programs",
    "POST /mesh/registry/epoch": "programs",
    "POST /mesh/registry/heartbeat": "programs",
    "POST /mesh/config-reload": "programs",
    "* /mesh/config-reload": "programs",
    "POST /mesh": "programs",
    "POST /tasks": "programs",
    "POST /mesh/hops/reports": "programs",
    "POST /mesh/crews/heartbeat": "programs",
    "POST /mesh/{id}/progress": "programs",
    "POST /mesh/{id}/fly": "programs",
    "GET /mesh/{id}/active": "programs",
    "GET /mesh/{id}/hops/{hop}": "programs",
    "POST /mesh/{id}/final": "programs",
    "POST /tasks/{id}/progress": "programs",
    "POST /tasks/{id}/final": "programs",
    "POST /tasks/{id}/partial": "programs",
    "POST /tasks/{id}/upstream": "programs",
    "GET /mesh/{id}/stream": "programs",
    "GET /mesh/{id}": "programs",
    "GET /api/v1/mesh": "programs",
    "POST /api/v1/mesh": "programs",
    "GET /api/v1/mesh/": "programs",
    "POST /api/v1/mesh/": "programs",
    "GET /api/v1/mesh/{id}": "programs",
    "DELETE /api/v1/mesh/{id}": "programs",
    "GET /api/v1/mesh/{id}/events": "programs",
    "POST /api/v1/mesh/{id}/events": "programs",
}
"""What each route asks, said once more: a route that is missing here or asks less fails."""
STRANGERS = ("nobody", "stranger", "expired", "revoked")
"""Callers who have no credential, an unknown one, and one that was good."""
SCOPES = {"empty": "unrelated", "reader": "mcp:read", "alice": "mcp:read mcp:invoke", "bob": "mcp:read mcp:invoke"}
CALLERS = (*STRANGERS, *SCOPES)
ALLOWED = {
    "everybody": set(CALLERS),
    "identity": {"empty", "reader", "alice", "bob"},
    "read": {"reader", "alice", "bob"},
    "call": {"reader", "alice", "bob"},
    "invoke": {"alice", "bob"},
    "programs": set(CALLERS),
}


@dataclass
class Closed:
    """A closed gateway, and the credential of each caller."""

    gateway: Watched
    credentials: dict[str, str]

    def headers(self, caller: str) -> dict[str, str]:
        return bearer(self.credentials[caller]) if caller in self.credentials else {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed(
    databases: Databases, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Closed]:
    folder = tmp_path_factory.mktemp("matrix")
    with pytest.MonkeyPatch.context() as patch, databases.one(template_database) as url:
        # Hundreds of bad credentials come from one address here, and each would be delayed.
        patch.setattr("asya_gateway.protocols.http.bad_credentials.FREE", 1_000_000)
        words = {**SCOPES, "revoked": SCOPES["alice"]}
        keys = {name: (await store_key(url, name, scopes=frozenset(each.split()))).text for name, each in words.items()}
        async with provider() as upstream:
            settings = login_settings(upstream, folder)
            expired = expired_token(settings["mcp_oauth_issuer"])
            async with start_watched(url, folder, **settings) as gateway:
                await ready(gateway)
                await revoke_one_in_use(gateway, url, keys["revoked"])
                yield Closed(gateway, {"stranger": "stranger", "expired": expired, **keys})


def expired_token(issuer: str) -> str:
    """A token that the gateway itself signed, some hours ago."""
    tokens = OwnTokens(issuer, [SECRET], lambda: time.time() - 7200, ttl=3600)
    scopes = frozenset(SCOPES["alice"].split())
    grant = Grant("ab" * 16, key_of("client"), ClientKind.REGISTERED, scopes, issuer, time.time() + 3600)
    return tokens.issue(grant, "client", issuer, scopes)[0]


async def revoke_one_in_use(gateway: Watched, url: str, key: str) -> None:
    """Revoke a key that the gateway remembers as good."""

    async def admitted() -> bool:
        return (await gateway.send("GET", "/flows", **bearer(key)))[0] == 200

    async def refused() -> bool:
        return (await gateway.send("GET", "/flows", **bearer(key)))[0] == 401

    await until(admitted)
    connection = await asyncpg.connect(url)
    try:
        assert await revoke_keys(connection, "revoked", BY)
    finally:
        await connection.close()
    await until(refused)


def template(route: str) -> str:
    return route.split("{id", 1)[0] + "{id}" + route.split("}", 1)[1] if "{id" in route else route


async def test_every_route_has_a_policy_and_the_one_that_is_expected(closed: Closed) -> None:
    policies: Policies = closed.gateway.app[POLICIES]
    words = {Audience.EVERYBODY: "everybody", Audience.PROGRAMS: "programs"}
    found = {
        f"{route.method} {template(route.resource.canonical)}": words.get(policy.audience, policy.need.name.lower())
        for route, policy in policies.items()
        if route.resource is not None and route.method != "HEAD"
    }
    assert found == ROUTES
    assert not undeclared(closed.gateway.app)
    heads = {route.resource: policy for route, policy in policies.items() if route.method == "HEAD"}
    gets = {route.resource: policy for route, policy in policies.items() if route.method == "GET"}
    assert heads.items() <= gets.items()


@pytest.mark.parametrize("route", ROUTES)
async def test_a_route_admits_whom_its_policy_names_and_nobody_else(closed: Closed, route: str) -> None:
    method, path = route.replace("*", "PUT").split(" ")
    body: dict[str, Any] = {"json": {}} if method == "POST" else {}
    refused = {}
    for caller in CALLERS:
        headers = {"Accept": "application/json", **closed.headers(caller)}
        url = closed.gateway.url + re.sub(r"{\w+}", "none", path.replace("{colon}", ":"))
        async with closed.gateway.session.request(method, url, headers=headers, **body) as response:
            # The authorization server has refusals of its own, for clients.
            challenged = response.headers.get("WWW-Authenticate", "").startswith('Bearer realm="asya-gateway"')
            assert challenged is (response.status in (401, 403) and "oauth" not in path and path != "/token")
            if challenged:
                refused[caller] = response.status
    allowed = ALLOWED[ROUTES[route]]
    assert refused == {each: 401 if each in STRANGERS else 403 for each in CALLERS if each not in allowed}


async def test_every_method_says_what_it_needs() -> None:
    assert set(NEEDS) == set(HANDSHAKE_METHODS) | set(STATELESS_METHODS)


@pytest.mark.parametrize("method", HANDSHAKE_METHODS)
async def test_a_method_after_a_handshake_admits_whom_its_need_names_and_nobody_else(
    closed: Closed, method: str
) -> None:
    params = {"name": "none", "uri": "x:y", "taskId": "none"}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    await check_method(closed, method, message, {"Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"})


@pytest.mark.parametrize("method", STATELESS_METHODS)
async def test_a_stateless_method_admits_whom_its_need_names_and_nobody_else(closed: Closed, method: str) -> None:
    params = {"name": "none", "uri": "x:y", "notifications": {}, "taskId": "none", "inputResponses": {}}
    message = stateless_body(method, params, **{CAPABILITIES: TASKS_DECLARED})
    await check_method(closed, method, message, stateless_headers(message))


async def check_method(closed: Closed, method: str, message: dict[str, Any], headers: dict[str, str]) -> None:
    need, data = NEEDS[method], jsontext.dumps(message)
    headers = {"Content-Type": "application/json", **headers}
    for caller in CALLERS:
        async with closed.gateway.session.post(
            closed.gateway.url + "/mcp", data=data, headers=headers | closed.headers(caller)
        ) as response:
            status, challenge = response.status, response.headers.get("WWW-Authenticate", "")
            text = "" if response.content_type == "text/event-stream" else await response.text()
        if caller in ALLOWED[need.name.lower()]:
            assert status in (200, 400), (caller, text)
            assert not challenge
        elif caller in STRANGERS:
            assert status == 401, caller
            # MCP authorization, "Protected Resource Metadata Discovery": the header points at the metadata.
            metadata = f"{closed.gateway.url}/.well-known/oauth-protected-resource/mcp"
            assert f'resource_metadata="{metadata}"' in challenge
            assert ('error="invalid_token"' in challenge) is (caller != "nobody")
        else:
            assert status == 403, caller
            assert 'error="insufficient_scope"' in challenge
            assert f'scope="mcp:{"read" if need is Need.READ else "invoke"}"' in challenge
            assert jsontext.loads(text)["error"]["data"]["user_scopes"] == [SCOPES[caller]]


OF_A_TASK = [name for name in ROUTES if "{id}" in name and ROUTES[name] in ("read", "invoke")]


@pytest.mark.parametrize("route", OF_A_TASK)
async def test_somebody_elses_task_looks_like_none_in_status_body_and_headers(closed: Closed, route: str) -> None:
    status, answer = await closed.gateway.send("POST", "/tools/call", {"name": "anything"}, **closed.headers("alice"))
    assert status == 200
    theirs = jsontext.loads(answer["content"][0]["text"])["task_id"]
    none = theirs[:-1] + ("0" if theirs[-1] != "0" else "1")
    method, path = route.split(" ")
    body: Any = {"answer": 1} if path.endswith("resume") else None
    seen = []
    for task_id in (theirs, none):
        options = {} if body is None else {"json": body}
        url = closed.gateway.url + path.replace("{id}", task_id)
        async with closed.gateway.session.request(method, url, headers=closed.headers("bob"), **options) as response:
            text = (await response.text()).replace(task_id, "ID")
            kept = {name: value for name, value in response.headers.items() if name not in ("Date", "Content-Length")}
            seen.append((response.status, text, kept))
    assert seen[0] == seen[1]
    assert seen[0][0] == 404


@pytest.mark.parametrize("end", ["", "/result"])
async def test_somebody_elses_task_is_no_resource(closed: Closed, end: str) -> None:
    status, answer = await closed.gateway.send("POST", "/tools/call", {"name": "anything"}, **closed.headers("alice"))
    assert status == 200
    theirs = jsontext.loads(answer["content"][0]["text"])["task_id"]
    final = {"id": theirs, "status": "succeeded", "result": {"n": 1}}
    assert (await closed.gateway.send("POST", f"/mesh/{theirs}/final", final))[0] == 200
    none = theirs[:-1] + ("0" if theirs[-1] != "0" else "1")
    seen = {}
    for caller, task_id in (("alice", theirs), ("bob", theirs), ("bob", none)):
        body = stateless_body("resources/read", {"uri": f"asya://tasks/{task_id}{end}"})
        headers = {**stateless_headers(body), **closed.headers(caller)}
        _, message = await closed.gateway.send("POST", "/mcp", body, **headers)
        seen[caller, task_id] = jsontext.dumps(message).replace(task_id, "ID")
    assert "contents" in seen["alice", theirs]
    assert seen["bob", theirs] == seen["bob", none]
    assert "Resource not found" in seen["bob", theirs]


async def test_lists_show_a_caller_its_own_tasks_only(closed: Closed) -> None:
    await closed.gateway.send("POST", "/tools/call", {"name": "anything"}, **closed.headers("alice"))
    assert (await closed.gateway.send("GET", "/tasks", **closed.headers("alice")))[1]["tasks"]
    assert (await closed.gateway.send("GET", "/tasks", **closed.headers("bob")))[1] == {
        "tasks": [],
        "next_cursor": None,
    }


async def test_a_token_in_the_query_is_none(closed: Closed) -> None:
    # MCP authorization, "Token Requirements": access tokens MUST NOT be included in the URI query string.
    status, _ = await closed.gateway.send("GET", f"/tasks?access_token={closed.credentials['alice']}")
    assert status == 401
