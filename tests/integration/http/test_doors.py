"""Who gets through the doors of a gateway: open, closed, reopened in part, or serving mesh routes beside them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.protocols.http.challenges import Challenges
from asya_gateway.protocols.http.keys import FLOWS as KEY
from asya_gateway.protocols.http.policies import Group
from tests.support.gateway import Gateway, make_flows, start_gateway
from tests.support.principals import METADATA, Tokens, bearer, closed

FLOWS: list[dict[str, Any]] = [
    {"name": "echo", "entrypoint": "a", "mcp": {}},
    {"name": "payroll", "entrypoint": "a", "mcp": {}, "scopes": ["finance"]},
]
JSON = {"Accept": "application/json"}


def tokens() -> Tokens:
    return Tokens(alice="mcp:read mcp:invoke", narrow="mcp:read")


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, doors=closed(tokens(), mesh_is_local=True)) as made:
        yield made


@pytest.fixture
async def reopened(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, doors=closed(tokens(), Group.MCP)) as made:
        made.app[KEY].swap(make_flows(FLOWS).table)
        yield made


async def header(gateway: Gateway, path: str = "/tasks", **headers: str) -> tuple[int, str]:
    async with gateway.session.get(gateway.url + path, headers=headers) as response:
        return response.status, response.headers.get("WWW-Authenticate", "")


async def test_the_keys_of_the_settings_close_the_gateway_and_open_it(database_url: str) -> None:
    async with start_gateway(database_url, mcp_api_key="mcp-secret", a2a_api_key="a2a-secret") as made:
        assert await header(made) == (401, 'Bearer realm="asya-gateway"')
        assert (await header(made, Authorization="Bearer mcp-secret"))[0] == 200
        assert (await header(made, **{"X-API-Key": "a2a-secret"}))[0] == 200
        assert (await header(made, Authorization="bearer  a2a-secret"))[0] == 200
        status, _ = await made.post("/tools/call", {"name": "anything"}, headers=bearer("mcp-secret"))
        assert status == 200
        owners = await made.running.storage.database.fetch("SELECT owner FROM tasks")
        assert [row["owner"] for row in owners] == ["key:mcp"]


async def test_required_closes_a_gateway_that_has_no_keys_at_all(database_url: str) -> None:
    async with start_gateway(database_url, auth="required") as made:
        assert (await header(made))[0] == 401
        assert (await header(made, Authorization="Bearer x"))[0] == 401
        assert (await header(made, "/health"))[0] == 200


async def test_a_request_without_a_credential_is_told_where_to_get_one(gateway: Gateway) -> None:
    # RFC 9728, section 5.1, and RFC 6750, section 3.1: no error code if no credential was presented.
    url = f"{METADATA}/.well-known/oauth-protected-resource/mcp"
    challenge = f'Bearer realm="asya-gateway", resource_metadata="{url}", scope="mcp:read mcp:invoke"'
    assert await header(gateway) == (401, challenge)
    status, bad = await header(gateway, Authorization="Bearer nonsense")
    assert (status, bad.startswith(challenge + ', error="invalid_token", error_description="')) == (401, True)


async def test_a_denied_request_names_all_scopes_that_it_needs(gateway: Gateway) -> None:
    async with gateway.session.post(
        f"{gateway.url}/tools/call", json={"name": "anything"}, headers=bearer("narrow")
    ) as response:
        assert response.status == 403
        # RFC 6750, section 3.1: insufficient_scope MAY include the "scope" attribute with the scope necessary.
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
        assert 'scope="mcp:invoke"' in response.headers["WWW-Authenticate"]


async def test_what_a_remembered_caller_may_do_is_asked_of_each_route_again(gateway: Gateway) -> None:
    for _ in range(2):
        assert (await header(gateway, Authorization="Bearer narrow"))[0] == 200
        status, answer = await gateway.post("/tasks/none/cancel", headers={**JSON, **bearer("narrow")})
        assert (status, answer["error"]["data"]["required_scopes"]) == (403, ["mcp:invoke"])
        assert (await gateway.post("/tasks/none/cancel", headers={**JSON, **bearer("alice")}))[0] == 404


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("Bearer alice", 200),
        ("BEARER alice", 200),
        ("Basic YTpi", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("alice", 401),
        ("Bearer alice bob", 401),
        ("Bearer alicé", 401),
        ("Bearer " + "x" * 15_500, 401),
    ],
)
async def test_a_credential_has_one_form(gateway: Gateway, value: str, status: int) -> None:
    assert (await header(gateway, Authorization=value))[0] == status


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key"])
async def test_a_repeated_credential_is_refused_whatever_its_values_are(gateway: Gateway, name: str) -> None:
    value = "Bearer alice" if name == "Authorization" else "alice"
    headers = [(name, value), (name, value), ("Accept", "application/json")]
    async with gateway.session.get(f"{gateway.url}/tasks", headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["field"] == name


async def test_of_several_credentials_one_good_one_suffices_whatever_the_other_looks_like(gateway: Gateway) -> None:
    for odd in ("", "a b", "x" * 15_500, "alic\u00e9"):
        assert (await header(gateway, Authorization="Bearer alice", **{"X-API-Key": odd}))[0] == 200
        assert (await header(gateway, Authorization=f"Bearer {odd}", **{"X-API-Key": "alice"}))[0] == 200
        assert (await header(gateway, Authorization=f"Bearer {odd}", **{"X-API-Key": odd}))[0] == 401
        assert (await header(gateway, Authorization=f"Bearer {odd}", **{"X-API-Key": "nonsense"}))[0] == 401


async def test_a_key_behind_another_scheme_is_none_even_while_it_is_remembered(gateway: Gateway) -> None:
    assert (await header(gateway, **{"X-API-Key": "alice"}))[0] == 200
    assert (await header(gateway, Authorization="X-API-Key alice"))[0] == 401


async def test_a_reopened_group_serves_anybody_but_shows_no_flow_with_scopes(reopened: Gateway) -> None:
    status, page = await reopened.get("/flows")
    assert (status, [each["name"] for each in page["flows"]]) == (200, ["echo"])
    status, answer = await reopened.post("/tools/call", {"name": "payroll"}, headers=JSON)
    assert (status, answer["error"]["code"]) == (404, "flow_not_found")
    task_id = await reopened.submit("echo")
    owner = await reopened.running.storage.database.fetchval("SELECT owner FROM tasks WHERE id = $1", task_id)
    assert owner == "anonymous"
    assert (await reopened.get(f"/tasks/{task_id}", headers=bearer("alice")))[0] == 404


async def test_a_bad_credential_is_refused_on_a_reopened_group_too(reopened: Gateway) -> None:
    assert (await header(reopened, "/flows", Authorization="Bearer nonsense"))[0] == 401
    assert (await header(reopened, "/flows", **{"X-API-Key": "nonsense"}))[0] == 401


async def test_mesh_routes_of_a_closed_gateway_answer_this_machine_only(gateway: Gateway) -> None:
    port = gateway.url.rpartition(":")[2]
    assert (await header(gateway, "/mesh/none/active"))[0] == 200
    for forwarded in (
        {"Host": "asya.example"},
        {"X-Forwarded-For": "10.0.0.1"},
        {"x-forwarded-port": "443"},
        {"X-Forwarded-Server": "proxy"},
        {"Forwarded": "for=10.0.0.1"},
        {"Via": "1.1 proxy"},
    ):
        assert (await header(gateway, "/mesh/none/active", **forwarded))[0] in (403, 421)
    assert (await header(gateway, "/mesh/none/active", Host=f"localhost:{port}"))[0] == 200


async def test_tasks_of_mesh_routes_belong_to_mesh_once_the_gateway_is_closed(database_url: str) -> None:
    for settings, owner in (({"auth": "required"}, "mesh"), ({}, "")):
        async with start_gateway(database_url, **settings) as made:
            status, answer = await made.post("/api/v1/mesh/?actor=first", {"payload": {}})
            assert status == 201
            found = await made.running.storage.database.fetchval("SELECT owner FROM tasks WHERE id = $1", answer["id"])
            assert found == owner


async def test_an_envelope_names_its_caller_and_the_claims_that_a_setting_names(database_url: str) -> None:
    known = tokens()
    object.__setattr__(known.principals["alice"], "claims", {"email": "a@example.com", "secret": "x"})
    async with start_gateway(database_url, doors=closed(known), caller_claims=["email"]) as made:
        await made.post("/tools/call", {"name": "anything"}, headers=bearer("alice"))
        rows = await made.running.storage.database.fetch("SELECT body FROM outbox")
    [headers] = [json.loads(row["body"])["headers"] for row in rows]
    assert headers["x-asya-caller"] == {"id": "key:alice", "claims": {"email": "a@example.com"}}


async def test_an_open_gateway_ignores_credentials_and_names_nobody(database_url: str) -> None:
    async with start_gateway(database_url) as made:
        assert (await header(made, Authorization="Bearer nonsense"))[0] == 200
        await made.post("/tools/call", {"name": "anything"})
        rows = await made.running.storage.database.fetch("SELECT body FROM outbox")
    assert ["x-asya-caller" in json.loads(row["body"])["headers"] for row in rows] == [False]


async def test_a_person_is_told_where_to_log_in(database_url: str) -> None:
    doors = closed(tokens())
    doors.challenges = Challenges(METADATA, f"{METADATA}/oauth/authorize")
    async with start_gateway(database_url, doors=doors) as made:
        status, answer = await made.get("/tasks", headers=JSON)
        assert (status, answer["error"]["data"]) == (401, {"auth_url": f"{METADATA}/oauth/authorize"})
