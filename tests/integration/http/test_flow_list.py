"""GET /flows: what a caller sees of the flows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.protocols.http.keys import FLOWS as KEY
from tests.support.gateway import Gateway, make_flows, start_gateway
from tests.support.principals import Tokens, bearer, closed

FLOWS: list[dict[str, Any]] = [
    {"name": "echo", "entrypoint": "a", "description": "Says it again.", "mcp": {}},
    {"name": "hidden", "entrypoint": "a"},
    {"name": "payroll", "entrypoint": "a", "mcp": {}, "scopes": ["finance"]},
    {"name": "skill", "entrypoint": "a", "a2a": {}},
]


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    tokens = Tokens(
        one="flow:echo:invoke flow:skill:read",
        all="mcp:read mcp:invoke finance",
        common="mcp:invoke",
        reader="mcp:read",
    )
    async with start_gateway(database_url, doors=closed(tokens)) as made:
        made.app[KEY].swap(make_flows(FLOWS).table)
        yield made


async def names(gateway: Gateway, token: str, query: str = "") -> tuple[list[str], str | None]:
    status, page = await gateway.get(f"/flows{query}", headers=bearer(token))
    assert status == 200, page
    return [f"{each['name']}{'' if each['callable'] else ' (denied)'}" for each in page["flows"]], page["next_cursor"]


async def test_a_caller_sees_exposed_flows_that_it_may_read_and_which_of_them_it_may_call(gateway: Gateway) -> None:
    assert await names(gateway, "all") == (["echo", "payroll", "skill"], None)
    assert await names(gateway, "common") == (["echo", "payroll (denied)", "skill"], None)
    assert await names(gateway, "one") == (["echo", "skill (denied)"], None)


async def test_flows_come_in_pages_that_continue_after_their_last_name(gateway: Gateway) -> None:
    first, cursor = await names(gateway, "all", "?limit=2")
    assert first == ["echo", "payroll"]
    assert await names(gateway, "all", f"?limit=2&cursor={cursor}") == (["skill"], None)


@pytest.mark.parametrize(
    ("query", "field"), [("cursor=%2B", "cursor"), ("cursor=", "cursor"), ("limit=0", "limit"), ("x=1", "x")]
)
async def test_a_wrong_parameter_is_named(gateway: Gateway, query: str, field: str) -> None:
    status, answer = await gateway.get(f"/flows?{query}", headers=bearer("all") | {"Accept": "application/json"})
    assert (status, answer["error"]["field"]) == (400, field)


async def test_calls_of_flows_are_refused_as_unknown_or_denied_with_all_scopes_needed(gateway: Gateway) -> None:
    async def called(token: str, name: str) -> tuple[int, str, object]:
        status, answer = await gateway.post("/tools/call", {"name": name}, headers=bearer(token))
        error = answer.get("error", {})
        return status, error.get("code", ""), error.get("data")

    assert (
        await called("one", "payroll")
        == await called("one", "nothing")
        == (
            404,
            "flow_not_found",
            {"available_agents": ["echo"]},
        )
    )
    assert await called("common", "payroll") == (
        403,
        "insufficient_scope",
        {"required_scopes": ["finance", "mcp:invoke"], "user_scopes": ["mcp:invoke"]},
    )
    assert await called("reader", "payroll") == (
        403,
        "insufficient_scope",
        {"required_scopes": ["finance", "mcp:invoke"], "user_scopes": ["mcp:read"]},
    )
    assert (await called("reader", "echo"))[2] == {"required_scopes": ["mcp:invoke"], "user_scopes": ["mcp:read"]}
    assert (await called("all", "payroll"))[0] == 200


async def test_each_message_of_a_batch_is_judged_alone(gateway: Gateway) -> None:
    batch: list[Any] = [
        {"jsonrpc": "2.0", "id": name, "method": "tools/call", "params": {"name": name}}
        for name in ("payroll", "nothing")
    ]
    batch.append({"jsonrpc": "2.0", "id": "list", "method": "tools/list"})
    headers = bearer("common") | {"Accept": "application/json", "MCP-Protocol-Version": "2025-03-26"}
    status, answers = await gateway.post("/mcp", batch, headers=headers)
    found = {answer["id"]: answer.get("error", {}).get("data") for answer in answers}
    assert (status, found) == (
        200,
        {
            "payroll": {"required_scopes": ["finance", "mcp:invoke"], "user_scopes": ["mcp:invoke"]},
            "nothing": {"available_agents": ["echo", "payroll"]},
            "list": None,
        },
    )
