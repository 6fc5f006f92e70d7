"""2026-07-28: what the methods answer, held against the protocol's own schema."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from asya_gateway.domain import budget as budgets
from asya_gateway.domain.budget import Share
from asya_gateway.protocols.http.keys import BUDGET
from tests.protocol.mcp.offers import GREETING, ICON
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import (
    LATEST,
    TOOLS,
    VERSIONS,
    ask,
    ask_in,
    conforms,
    open_post,
    serve_tools,
    stateless_body,
    stateless_headers,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACE = base64.urlsafe_b64encode(b"anything").decode()
"""A key in a cursor."""


@pytest.mark.parametrize(
    ("method", "definition"),
    [
        ("server/discover", "DiscoverResultResponse"),
        ("tools/list", "ListToolsResultResponse"),
        ("prompts/list", "ListPromptsResultResponse"),
        ("resources/list", "ListResourcesResultResponse"),
        ("resources/templates/list", "ListResourceTemplatesResultResponse"),
    ],
)
async def test_cacheable_results_say_how_long_and_for_whom(idle: Gateway, method: str, definition: str) -> None:
    """server/utilities/caching: ttlMs and cacheScope 'MUST be included'; resultType on every result (basic)."""
    status, answer = await ask(idle, method)
    assert status == 200
    conforms(answer, definition)
    result = answer["result"]
    assert (result["resultType"], result["cacheScope"]) == ("complete", "private")
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "asya"


@pytest.mark.parametrize("method", ["server/discover", "tools/list", "prompts/list"])
async def test_who_a_client_says_it_is_changes_nothing(idle: Gateway, method: str) -> None:
    """basic, "_meta": 'Implementations SHOULD NOT use them to change the behavior of the client or server'."""
    answers = []
    for info in (None, {"name": "claude-code", "version": "2"}, {"name": "../admin", "version": "0", "title": "Root"}):
        meta = {} if info is None else {"io.modelcontextprotocol/clientInfo": info}
        answers.append(await ask(idle, method, {"_meta": meta}))
    assert answers[0][0] == 200
    assert answers[0] == answers[1] == answers[2]


async def test_every_declared_capability_works(idle: Gateway) -> None:
    """server/discover: a client asks for what is declared and for nothing else. Messages are tested in
    test_log_messages.py, the extension in test_tasks_extension.py."""
    _, answer = await ask(idle, "server/discover")
    declared = {"tools", "prompts", "resources", "completions", "extensions", "logging"}
    assert set(answer["result"]["capabilities"]) == declared
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
        assert "result" in (await ask(idle, method))[1]
    serve_tools(idle, [GREETING, WATCHED], 2)
    completion = {"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "language", "value": "e"}}
    _, answer = await ask(idle, "completion/complete", completion)
    assert answer["result"]["completion"]["values"] == ["english", "estonian"]
    wanted: dict[str, Any] = {f"{each}ListChanged": True for each in ("tools", "prompts", "resources")}
    wanted["resourceSubscriptions"] = ["docs://watched"]
    body = stateless_body("subscriptions/listen", {"notifications": wanted})
    async with open_post(idle, body, stateless_headers(body)) as response:
        reader = Reader(response)
        acknowledged = await reader.next()
        assert acknowledged is not None
        assert acknowledged.data["params"]["notifications"] == wanted
        serve_tools(idle, [*TOOLS, GREETING, WATCHED], 3)
        changed = await reader.next()
        assert changed is not None
        assert changed.data["method"] == "notifications/tools/list_changed"


WATCHED: dict[str, Any] = {
    "name": "watched",
    "entrypoint": "first",
    "mcp": {"tool": False, "resource": {"uri": "docs://watched", "changes": True}},
}

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "templates",
}
"""What begins the cursors of each."""
EXPOSED: dict[str, Callable[[int], dict[str, Any]]] = {
    "tools/list": lambda _: {},
    "prompts/list": lambda _: {"tool": False, "prompt": {}},
    "resources/list": lambda n: {"tool": False, "resource": {"uri": f"docs://{n:04}"}},
    "resources/templates/list": lambda n: {"tool": False, "resource": {"uriTemplate": f"docs://{n:04}/{{id}}"}},
}
"""The `mcp` block of the nth flow of a list."""
KEYS = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}


@pytest.mark.parametrize("method", LISTS)
async def test_lists_come_in_the_same_order_and_in_pages(idle: Gateway, method: str) -> None:
    """server/tools: 'servers SHOULD return tools in a deterministic order'; pagination by opaque cursors, in every
    list and revision."""
    exposed = EXPOSED[method]
    many = [{"name": f"t{n:04}", "entrypoint": "first", "mcp": exposed(n)} for n in range(1201)]
    orders = []
    for generation, flows in enumerate((many[::-1], many[600:] + many[:600]), 2):
        serve_tools(idle, flows, generation)
        for version in VERSIONS:
            keys: list[str] = []
            cursor: dict[str, Any] = {}
            for _ in range(3):
                answer = await ask_in(idle, version, method, cursor)
                [(member, items)] = [(each, answer["result"][each]) for each in KEYS if each in answer["result"]]
                keys += [item[KEYS[member]] for item in items]
                cursor = {"cursor": answer["result"].get("nextCursor")}
            assert cursor == {"cursor": None}
            orders.append(keys)
    assert all(keys == orders[0] == sorted(set(keys)) for keys in orders)
    assert len(orders[0]) == 1201 + 2 * (method == "resources/templates/list")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", LISTS)
async def test_what_an_author_writes_for_clients_is_passed_on(idle: Gateway, method: str, version: str) -> None:
    """Titles and `_meta` since 2025-06-18, icons since 2025-11-25."""
    meta = {"com.example/group": "social", "n": [1, {"deep": None}]}
    exposed = {**EXPOSED[method](7), "title": "Shown", "icons": [ICON], "_meta": meta}
    serve_tools(idle, [{"name": "all", "entrypoint": "first", "mcp": exposed}], 2)
    result = (await ask_in(idle, version, method))["result"]
    [item] = [item for each in KEYS for item in result.get(each, []) if "asya://" not in str(item)]
    titled, iconic = version >= "2025-06-18", version >= "2025-11-25"
    assert (item.get("title"), item.get("_meta")) == (("Shown", meta) if titled else (None, None))
    assert item.get("icons") == ([ICON] if iconic else None)


async def test_a_page_ends_before_its_tools_are_too_large_to_be_encoded_at_once(idle: Gateway) -> None:
    schema = {"type": "object", "description": "x" * 120_000}
    large = [{"name": f"t{n:04}", "entrypoint": "first", "mcp": {"inputSchema": schema}} for n in range(40)]
    serve_tools(idle, large, 2)
    pages: list[list[str]] = []
    cursor: dict[str, Any] = {}
    while cursor != {"cursor": None}:
        _, answer = await ask(idle, "tools/list", cursor)
        pages.append([tool["name"] for tool in answer["result"]["tools"]])
        cursor = {"cursor": answer["result"].get("nextCursor")}
    assert [name for page in pages for name in page] == [tool["name"] for tool in large]
    assert [len(page) for page in pages] == [8] * 5


async def test_a_list_of_large_tools_waits_for_room_and_is_refused_without_any(
    idle: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "PATIENCE", 0.05)
    schema = {"type": "object", "description": "x" * 120_000}
    serve_tools(idle, [{"name": "large", "entrypoint": "first", "mcp": {"inputSchema": schema}}], 2)
    budget = idle.app[BUDGET]
    taken = budget.room(Share.READERS)
    budget.charge(Share.READERS, taken)
    try:
        assert (await ask(idle, "tools/list"))[0] == 503
    finally:
        budget.give_back(Share.READERS, taken)
    assert (await ask(idle, "tools/list"))[0] == 200


GARBLED: list[Any] = [7, True, [], {"a": 1}, "%%%", "x" * 600, "/w==", "YQ==", "tools", "tools.", "x" * 10_000, "é"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", LISTS)
async def test_a_foreign_cursor_is_invalid(idle: Gateway, method: str, version: str) -> None:
    """server/utilities/pagination: 'Invalid cursors SHOULD result in an error with code -32602'. That of another list
    is one, too: it would begin somewhere in this one."""
    own = f"{LISTS[method]}.{PLACE}"
    assert "result" in await ask_in(idle, version, method, {"cursor": own})
    others = [f"{each}.{PLACE}" for each in LISTS.values() if each != LISTS[method]]
    # The same bytes may be written in several ways, of which one is ours.
    changed = [own + "=", own[:-2] + "B=", f"{own} ", own.upper(), f"{LISTS[method]}./w==", f"{LISTS[method]}.YR=="]
    for cursor in [*GARBLED, *others, *changed]:
        answer = await ask_in(idle, version, method, {"cursor": cursor})
        assert answer.get("error", {}).get("code") == -32602, cursor
        assert "cursor" in answer["error"]["message"]


async def test_a_tool_shows_its_title_annotations_and_schemas_as_written(idle: Gateway) -> None:
    _, answer = await ask(idle, "tools/list")
    tools = {tool["name"]: tool for tool in answer["result"]["tools"]}
    assert (tools["shout"]["title"], tools["shout"]["annotations"]) == ("Shout", {"readOnlyHint": True})
    assert tools["listing"]["outputSchema"] == {"type": "array", "items": {"type": "integer"}}
    assert tools["anything"]["description"] == "Runs the flow anything."
    assert "skill" not in tools


@pytest.mark.parametrize("version", VERSIONS)
async def test_properties_have_schemas_that_older_clients_read(idle: Gateway, version: str) -> None:
    """JSON Schema has booleans, too, and one of them would cost such a client the whole list."""
    schema = {"type": "object", "properties": {"any": True, "none": False, "deep": {"properties": {"any": True}}}}
    exposed = {"inputSchema": schema, "outputSchema": schema}
    serve_tools(idle, [{"name": "free", "entrypoint": "first", "mcp": exposed}], 2)
    result = (await ask_in(idle, version, "tools/list"))["result"]
    conforms(result, "ListToolsResult", version)
    shown = result["tools"][0]["inputSchema"]["properties"]
    booleans: dict[str, Any] = {"any": True, "none": False} if version == LATEST else {"any": {}, "none": {"not": {}}}
    assert shown == {**booleans, "deep": {"properties": {"any": True}}}


async def test_an_unknown_resource_is_named_in_the_error(idle: Gateway) -> None:
    """SEP-2164 and server/resources, "Error Handling": -32602 with the uri in `data`."""
    status, answer = await ask(idle, "resources/read", {"uri": "test://nothing"})
    assert (status, answer["error"]["code"], answer["error"]["data"]) == (400, -32602, {"uri": "test://nothing"})


async def test_an_unknown_prompt_is_invalid_params(idle: Gateway) -> None:
    """server/prompts, "Error Handling": 'Invalid prompt name: -32602'."""
    _, answer = await ask(idle, "prompts/get", {"name": "nothing"})
    assert answer["error"]["code"] == -32602


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"ref": {"type": "ref/tool", "name": "p"}, "argument": {"name": "a", "value": "b"}},
        {"ref": {"type": "ref/prompt"}, "argument": {"name": "a", "value": "b"}},
        {"ref": {"type": "ref/resource", "uri": "x://y"}, "argument": {"name": "a"}},
        {"ref": {"type": "ref/prompt", "name": "p"}, "argument": []},
        {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": "b"}},
        {"ref": {"type": "ref/resource", "uri": "x://y"}, "argument": {"name": "a", "value": "b"}},
    ],
)
async def test_a_completion_of_nonsense_is_invalid(idle: Gateway, params: dict[str, Any]) -> None:
    status, answer = await ask(idle, "completion/complete", params)
    assert (status, answer["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize("id", [7, "seven"])
async def test_a_subscription_is_acknowledged_first_and_hears_of_changed_tools(idle: Gateway, id: Any) -> None:
    """patterns/subscriptions: 'The server MUST send notifications/subscriptions/acknowledged as the first message';
    every message carries the subscription's id."""
    params = {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["test://nothing"]}}
    body = stateless_body("subscriptions/listen", params, id=id)
    async with open_post(idle, body, stateless_headers(body)) as response:
        assert (response.status, response.headers["X-Accel-Buffering"]) == (200, "no")
        reader = Reader(response)
        first = await reader.next()
        assert first is not None
        conforms(first.data, "SubscriptionsAcknowledgedNotification")
        assert first.data["params"]["notifications"] == {"toolsListChanged": True}
        serve_tools(idle, TOOLS, 2)
        serve_tools(idle, TOOLS[:2], 3)
        second = await reader.next()
    assert second is not None
    conforms(second.data, "ToolListChangedNotification")
    assert [event.data["params"]["_meta"] for event in (first, second)] == [
        {"io.modelcontextprotocol/subscriptionId": id}
    ] * 2


async def test_a_subscription_to_nothing_hears_nothing(idle: Gateway) -> None:
    """Same place: 'The server MUST NOT send notification types the client has not explicitly requested.'"""
    body = stateless_body("subscriptions/listen", {"notifications": {}})
    async with open_post(idle, body, stateless_headers(body)) as response:
        reader = Reader(response)
        assert (await reader.next()) is not None
        serve_tools(idle, TOOLS[:2], 2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await reader.next()
    assert "keep-alive" in reader.comments


@pytest.mark.parametrize("params", [{}, {"notifications": []}, {"notifications": {"toolsListChanged": "yes"}}])
async def test_a_subscription_to_nonsense_is_invalid(idle: Gateway, params: dict[str, Any]) -> None:
    status, answer = await ask(idle, "subscriptions/listen", params)
    assert (status, answer["error"]["code"]) == (400, -32602)


async def test_a_subscription_needs_a_stream(idle: Gateway) -> None:
    status, _ = await ask(idle, "subscriptions/listen", {"notifications": {}}, Accept="application/json")
    assert status == 406
