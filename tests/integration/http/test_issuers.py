"""A gateway whose callers have tokens of an existing issuer, and what services and roles add to them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asya_cli.errors import UsageProblem
from asya_cli.serve import serve
from asya_gateway.composition.issuers import InvalidConfiguration, Issuers
from asya_gateway.domain.clock import own_time
from asya_gateway.outbound.client import OutboundClient
from asya_gateway.protocols.http.keys import FLOWS as FLOWS_KEY
from tests.support.gateway import Gateway, make_flows, make_settings, start_gateway
from tests.support.issuers import AUDIENCE, URL, document, fresh_key, key_for, token
from tests.support.principals import bearer
from tests.support.waiting import until
from tests.support.web import Web, http, web

KEYS = http(document(key_for("ES256"), key_for("RS256")))
FLOWS: list[dict[str, Any]] = [
    {"name": "echo", "entrypoint": "a", "mcp": {}},
    {"name": "payroll", "entrypoint": "a", "mcp": {}, "scopes": ["finance"]},
]


class Finance:
    """An identity service as an operator writes it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.people = config["people"]

    async def profile(self, claims: dict[str, Any]) -> dict[str, Any] | None:
        if claims["sub"] == "broken":
            raise RuntimeError("no connection")
        return {"roles": ["finance"]} if claims["sub"] in self.people else None


def issuer(server: Web, **others: Any) -> dict[str, Any]:
    """Settings for an issuer whose keys are at this server."""
    return {
        "a2a_jwt_jwks_url": f"{server.url}/keys",
        "a2a_jwt_issuer": URL,
        "a2a_jwt_audience": AUDIENCE,
        "a2a_jwt_alias": "corp",
        "config_poll_interval": 0.05,
        **others,
    }


async def status(gateway: Gateway, text: str, path: str = "/tasks") -> int:
    return (await gateway.get(path, headers=bearer(text) | {"Accept": "application/json"}))[0]


async def call(gateway: Gateway, text: str, flow: str) -> int:
    return (await gateway.post("/tools/call", {"name": flow}, headers=bearer(text)))[0]


@pytest.fixture
async def server() -> AsyncIterator[Web]:
    async with web(KEYS) as made:
        yield made


async def test_a_token_of_the_issuer_opens_every_group_and_owns_its_tasks(database_url: str, server: Web) -> None:
    async with start_gateway(database_url, **issuer(server)) as gateway:
        assert await call(gateway, token("ES256"), "anything") == 200
        assert await status(gateway, token("RS256", sub="bob")) == 200
        owners = await gateway.running.storage.database.fetch("SELECT owner FROM tasks")
        assert [row["owner"] for row in owners] == ["jwt:corp:alice"]
        assert await status(gateway, token("ES256", fresh_key("p256"))) == 401
        assert await status(gateway, token("ES256", aud="https://other.example.com")) == 401
        assert (await gateway.get("/tasks"))[0] == 401, "the issuer closes the gateway"


async def test_an_envelope_names_the_caller_and_the_claims_of_the_setting(database_url: str, server: Web) -> None:
    async with start_gateway(database_url, **issuer(server, caller_claims=["department", "email"])) as gateway:
        assert await call(gateway, token(department="finance", secret="s"), "anything") == 200
        body = await gateway.running.storage.database.fetchval("SELECT body FROM outbox")
        caller = json.loads(body)["headers"]["x-asya-caller"]
        assert caller == {"id": "jwt:corp:alice", "claims": {"department": "finance"}}


async def test_a_token_with_a_scope_of_ours_may_do_no_more(database_url: str, server: Web) -> None:
    async with start_gateway(database_url, **issuer(server)) as gateway:
        assert await status(gateway, token(scope="mcp:read")) == 200
        assert await call(gateway, token(scope="mcp:read"), "anything") == 403


async def test_clients_are_told_which_issuer_to_ask(database_url: str, server: Web) -> None:
    """RFC 9728, sections 3 and 5.1. Nothing in it comes from the request's Host."""
    settings = issuer(server, public_url="https://asya.example.com")
    async with start_gateway(database_url, **settings) as gateway:
        async with gateway.session.get(f"{gateway.url}/tasks") as response:
            challenge = response.headers["WWW-Authenticate"]
        url = "https://asya.example.com/.well-known/oauth-protected-resource/mcp"
        assert f'resource_metadata="{url}", scope="mcp:read mcp:invoke"' in challenge
        code, document = await gateway.get("/.well-known/oauth-protected-resource/mcp")
        assert code == 200
        assert document["resource"] == "https://asya.example.com/mcp"
        assert document["authorization_servers"] == [URL]
        assert (await gateway.get("/.well-known/oauth-authorization-server"))[0] == 404


@pytest.mark.parametrize("public", ["", "https://asya.example.com/gateway"])
async def test_without_a_public_origin_there_is_no_metadata(database_url: str, server: Web, public: str) -> None:
    async with start_gateway(database_url, **issuer(server, public_url=public)) as gateway:
        async with gateway.session.get(f"{gateway.url}/tasks") as response:
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="asya-gateway"'
        assert (await gateway.get("/.well-known/oauth-protected-resource/mcp"))[0] == 404


async def test_a_refusal_says_where_a_token_is_got_and_which_flows_there_are(database_url: str, server: Web) -> None:
    async with start_gateway(database_url, **issuer(server)) as gateway:
        gateway.app[FLOWS_KEY].swap(make_flows(FLOWS).table)
        for headers in ({}, bearer("not-a-token")):
            code, answer = await gateway.get("/tasks", headers=headers | {"Accept": "application/json"})
            assert (code, answer["error"]["data"]) == (401, {"auth_url": URL})
        code, answer = await gateway.post("/tools/call", {"name": "nothing"}, headers=bearer(token()))
        assert (code, answer["error"]["data"]) == (404, {"available_agents": ["echo", "payroll"]})
        reader = token(scope="flow:echo:invoke")
        code, answer = await gateway.post("/tools/call", {"name": "payroll"}, headers=bearer(reader))
        assert (code, answer["error"]["data"]) == (404, {"available_agents": ["echo"]}), "what it sees, and no more"


async def test_while_the_issuer_is_away_nobody_is_told_that_a_token_is_bad(database_url: str, server: Web) -> None:
    server.answer = http(b"", "503 Service Unavailable")
    async with start_gateway(database_url, **issuer(server)) as gateway:
        assert await status(gateway, token("ES256")) == 503
        assert await status(gateway, "not-a-token") == 401


async def test_roles_by_claims_are_in_force_when_their_file_changes(
    database_url: str, server: Web, tmp_path: Path
) -> None:
    roles = tmp_path / "roles.yaml"
    roles.write_text("roles: {staff: {scopes: [mcp:read, mcp:invoke]}}\nclaims: []")
    async with start_gateway(database_url, **issuer(server, roles_file=str(roles))) as gateway:
        gateway.app[FLOWS_KEY].swap(make_flows(FLOWS).table)
        text = token(groups=["accounting"])
        assert await call(gateway, text, "echo") != 200, "with a file of roles, a token gives nothing by itself"
        roles.write_text(
            "roles: {staff: {scopes: [mcp:read, mcp:invoke]}, finance: {inherits: [staff], scopes: [finance]}}\n"
            "claims: [{claim: groups, value: accounting, issuer: corp, roles: [finance]}]"
        )

        async def may() -> bool:
            return await call(gateway, text, "payroll") == 200

        await until(may, what="the new roles")
        roles.write_text("roles: {")
        assert await call(gateway, text, "payroll") == 200, "what the file said before stays in force"


async def test_an_alias_in_the_file_of_roles_that_no_issuer_has_is_warned_of(
    database_url: str, server: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    roles = tmp_path / "roles.yaml"
    rule = "{{claim: groups, value: x, issuer: {}, roles: [a]}}"
    roles.write_text(f"roles: {{a: {{}}}}\nclaims: [{rule.format('corp')}, {rule.format('crop')}]")
    async with start_gateway(database_url, **issuer(server, roles_file=str(roles))):
        told = [each.getMessage() for each in caplog.records if "ASYA_ROLES_FILE" in each.getMessage()]
    assert told == [
        "ASYA_ROLES_FILE: no issuer has the alias crop, so its claims give nothing; this gateway knows corp"
    ]


async def test_roles_say_how_many_tasks_of_a_caller_may_be_open(database_url: str, server: Web, tmp_path: Path) -> None:
    roles = tmp_path / "roles.yaml"
    roles.write_text(
        "roles:\n  few: {scopes: [mcp:read, mcp:invoke], max_open_tasks: 1}\n"
        "  many: {inherits: [few], max_open_tasks: 0}\n"
        "claims:\n- {claim: tier, value: a, roles: [few]}\n- {claim: tier, value: b, roles: [many]}"
    )
    settings = issuer(server, roles_file=str(roles), max_open_tasks_per_owner=2)
    async with start_gateway(database_url, **settings) as gateway:
        few, many = token(tier="a"), token(tier="b", sub="bob")
        assert [await call(gateway, few, "anything") for _ in range(2)] == [200, 429]
        assert [await call(gateway, many, "anything") for _ in range(3)] == [200] * 3
        everybody = token(scope="mcp:read mcp:invoke", sub="eve")
        assert [await call(gateway, everybody, "anything") for _ in range(3)] == [200, 200, 429]


async def test_the_services_of_the_configuration_vouch_for_persons_and_add_what_they_know(
    database_url: str, server: Web, tmp_path: Path
) -> None:
    users = {"users": [{"id": "ann", "scopes": ["finance"]}]}
    (tmp_path / "users.json").write_text(json.dumps(users))
    (tmp_path / "roles.yaml").write_text(
        "roles: {finance: {scopes: [finance]}, all: {scopes: [mcp:read, mcp:invoke]}}\n"
        f"claims: [{{claim: iss, value: '{URL}', roles: [all]}}]"
    )
    config = tmp_path / "gateway.yaml"
    config.write_text(f"""
identity_service:
  - {{type: oauth2, issuer: '{URL}', audience: '{AUDIENCE}', jwks_uri: '{server.url}/keys', alias: corp}}
  - {{type: local_file, file_path: '{tmp_path}/users.json'}}
  - {{type: custom, module: '{__name__}:Finance', config: {{people: [bob]}}}}
""")
    settings = {"gateway_config": str(config), "roles_file": str(tmp_path / "roles.yaml")}
    async with start_gateway(database_url, **settings) as gateway:
        gateway.app[FLOWS_KEY].swap(make_flows(FLOWS).table)
        assert await call(gateway, token(sub="ann"), "payroll") == 200
        assert await call(gateway, token(sub="bob"), "payroll") == 200
        assert await call(gateway, token(sub="eve"), "payroll") != 200
        assert await call(gateway, token(sub="eve"), "echo") == 200
        assert await call(gateway, token(sub="broken"), "echo") == 503
        assert (await gateway.get("/tasks"))[0] == 401


def test_a_url_that_nothing_can_be_fetched_from_stops_the_start() -> None:
    settings = make_settings(
        a2a_jwt_jwks_url="https://issuer.example.com:0/keys", a2a_jwt_issuer=URL, a2a_jwt_audience=AUDIENCE
    )
    with pytest.raises(InvalidConfiguration, match="ASYA_A2A_JWT_JWKS_URL: expected an absolute https URL"):
        Issuers(settings, OutboundClient(), own_time)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("identity_service:\n  type: oauth", "line 1: identity_service: expected 'type' to be one of"),
        (
            "identity_service: {type: custom, module: no_such.Class}",
            "identity_service.module: no_such.Class: ModuleNotFound",
        ),
        (
            "identity_service: {type: oauth2, issuer: 'https://issuer.example.com/', audience: a}",
            "ASYA_A2A_JWT_ISSUER is named there, too",
        ),
    ],
)
def test_a_mistake_in_the_configuration_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, mistake: str
) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(text)
    variables = {
        "GATEWAY_MODE": "api",
        "DATABASE_URL": "postgresql://asya@127.0.0.1:1/asya",
        "GATEWAY_CONFIG": str(config),
        "A2A_JWT_JWKS_URL": "https://issuer.example.com/keys",
        "A2A_JWT_ISSUER": URL,
        "A2A_JWT_AUDIENCE": AUDIENCE,
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"ASYA_{name}", value)
    # The rest of the process is this test run's.
    monkeypatch.setattr("asya_gateway.composition.observing.start_logs", lambda _: None)
    monkeypatch.setattr("asya_cli.serve._collect_rarely", lambda: None)
    with pytest.raises(UsageProblem) as told:
        serve()
    assert str(told.value).startswith(f"ASYA_GATEWAY_CONFIG: {config}: ")
    assert mistake in str(told.value)
