"""Prompts, resources and completions of callers with rights: who sees which, and who may use which."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.domain.clock import own_time
from asya_gateway.identity.authenticating import Authenticating
from asya_gateway.protocols.http.admission import Admission
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import ask, open_post, serve_tools, start_mcp, stateless_body, stateless_headers
from tests.support.principals import Tokens, bearer

FLOWS: list[dict[str, Any]] = [
    {"name": "asking", "entrypoint": "a", "mcp": {"prompt": {}}},
    {
        "name": "payout",
        "entrypoint": "a",
        "scopes": ["finance"],
        "mcp": {"prompt": {"arguments": [{"name": "to", "enum": ["ann"]}]}, "resource": {"uri": "bank://account"}},
    },
    {"name": "reading", "entrypoint": "a", "mcp": {"resource": {"uriTemplate": "docs://{id}", "changes": True}}},
]
LISTS = (
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
)


@pytest.fixture
async def closed(database_url: str) -> AsyncIterator[Gateway]:
    tokens = Tokens(
        everything="mcp:read mcp:invoke finance",
        poor="mcp:read mcp:invoke",
        reader="mcp:read",
        one="flow:reading:invoke",
    )
    async with start_mcp(database_url, doors=Admission(Authenticating([tokens], clock=own_time))) as made:
        serve_tools(made, FLOWS, 2)
        yield made


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        ("everything", ["asking", "payout", "bank://account", "docs://{id}"]),
        ("poor", ["asking", "payout", "bank://account", "docs://{id}"]),
        ("one", ["docs://{id}"]),
    ],
)
async def test_lists_show_what_a_caller_sees(closed: Gateway, token: str, seen: list[str]) -> None:
    found = []
    for method, member, key in LISTS:
        _, answer = await ask(closed, method, None, **bearer(token))
        found += [each[key] for each in answer["result"][member] if not each[key].startswith("asya:")]
    assert found == seen


@pytest.mark.parametrize(
    ("token", "method", "params", "missing"),
    [
        ("poor", "prompts/get", {"name": "payout"}, "finance"),
        ("poor", "resources/read", {"uri": "bank://account"}, "finance"),
        ("reader", "prompts/get", {"name": "asking"}, "mcp:invoke"),
        ("reader", "resources/read", {"uri": "docs://7"}, "mcp:invoke"),
    ],
)
async def test_using_what_one_only_sees_is_refused_with_the_scopes_it_needs(
    closed: Gateway, token: str, method: str, params: dict[str, Any], missing: str
) -> None:
    """RFC 6750, section 3.1: insufficient_scope."""
    status, answer = await ask(closed, method, params, **bearer(token))
    assert status == 403
    assert missing in answer["error"]["data"]["required_scopes"]
    assert await closed.stored() == 0


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("prompts/get", {"name": "payout"}),
        ("resources/read", {"uri": "bank://account"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "payout"}, "argument": {"name": "to", "value": ""}},
        ),
    ],
)
async def test_what_one_does_not_see_is_as_unknown(closed: Gateway, method: str, params: dict[str, Any]) -> None:
    _, hidden = await ask(closed, method, params, **bearer("one"))
    serve_tools(closed, [flow for flow in FLOWS if flow["name"] != "payout"], 3)
    _, unknown = await ask(closed, method, params, **bearer("one"))
    assert hidden["error"]["code"] == -32602
    assert hidden == unknown


async def test_a_resource_that_one_does_not_see_cannot_be_subscribed_to(closed: Gateway) -> None:
    serve_tools(closed, [{**FLOWS[2], "name": "other"}, *FLOWS[:2]], 3)
    params = {"notifications": {"resourceSubscriptions": ["docs://7"]}}
    for token, honoured in (("one", {}), ("reader", {"resourceSubscriptions": ["docs://7"]})):
        acknowledged = await first_of(closed, params, token)
        assert acknowledged["params"]["notifications"] == honoured


async def first_of(gateway: Gateway, params: dict[str, Any], token: str) -> dict[str, Any]:
    """The acknowledgement of a subscription."""
    body = stateless_body("subscriptions/listen", params)
    async with open_post(gateway, body, {**stateless_headers(body), **bearer(token)}) as response:
        event = await Reader(response).next()
        assert event is not None
        message: dict[str, Any] = event.data
        return message
