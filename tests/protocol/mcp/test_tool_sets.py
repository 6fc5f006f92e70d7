"""Tool sets: /mcp/{set} and /mcp?flows=a,b show a part of what /mcp shows, and are no authorization."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_crds.flow import Flow
from asya_gateway.domain.clock import own_time
from asya_gateway.domain.flows import FlowTable
from asya_gateway.identity.authenticating import Authenticating
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.challenges import Challenges
from asya_gateway.protocols.http.keys import FLOWS
from tests.protocol.mcp.offers import GREETING, OFFERS
from tests.support.gateway import Gateway
from tests.support.mcp import (
    BOTH,
    LATEST,
    TOOLS,
    Actor,
    message,
    served,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.mcp_sessions import connect
from tests.support.principals import Tokens, bearer
from tests.support.standing import AT_REST

TAGGED: dict[str, Any] = {"name": "tagged", "entrypoint": "first", "tags": ["sales", "more"], "mcp": {}}
SECRET: dict[str, Any] = {"name": "secret", "entrypoint": "first", "tags": ["hidden"], "mcp": {}}
SETS = {"sales": frozenset({"shout", "greeting", "handbook", "later"}), "empty": frozenset({"later"})}


def offer(gateway: Gateway) -> None:
    flows = [served(Flow.model_validate(flow)) for flow in [*TOOLS, *OFFERS, TAGGED, SECRET]]
    gateway.app[FLOWS].swap(FlowTable.of(2, flows, sets=SETS))


@pytest.fixture
def gateway(gateway: Gateway) -> Gateway:
    offer(gateway)
    return gateway


@pytest.fixture
def offering(standing: Gateway) -> Gateway:
    """The standing gateway, with the same sets."""
    offer(standing)
    return standing


async def ask_at(
    gateway: Gateway, path: str, method: str, params: dict[str, Any] | None = None, token: str | None = None
) -> tuple[int, Any]:
    body = stateless_body(method, params)
    headers = {**stateless_headers(body, Accept="application/json"), **(bearer(token) if token else {})}
    return await gateway.post(path, body, headers=headers)


async def tools_at(gateway: Gateway, path: str) -> list[str]:
    status, answer = await ask_at(gateway, path, "tools/list")
    assert status == 200, answer
    return [tool["name"] for tool in answer["result"]["tools"]]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/mcp/sales", ["shout", "tagged"]),
        ("/mcp/more", ["tagged"]),
        ("/mcp/empty", []),
        ("/mcp?flows=shout,person", ["person", "shout"]),
        ("/mcp?flows=shout&flows=person", ["person", "shout"]),
        ("/mcp?flows=shout,no-such-flow", ["shout"]),
        ("/mcp/sales?flows=shout,person", ["shout"]),
    ],
)
@AT_REST
async def test_a_set_shows_its_flows(offering: Gateway, path: str, names: list[str]) -> None:
    assert await tools_at(offering, path) == names


@AT_REST
async def test_a_set_shows_the_prompts_and_resources_of_its_flows(offering: Gateway) -> None:
    found = {}
    for method, member, key in (
        ("prompts/list", "prompts", "name"),
        ("resources/list", "resources", "uri"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate"),
    ):
        _, answer = await ask_at(offering, "/mcp/sales", method)
        found[member] = [each[key] for each in answer["result"][member]]
    assert found == {
        "prompts": ["greeting"],
        "resources": ["docs://handbook"],
        # Tasks are bound to no set.
        "resourceTemplates": ["asya://tasks/{taskId}", "asya://tasks/{taskId}/result"],
    }


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("tools/call", {"name": "person", "arguments": {"n": 1}}, "Unknown tool: person"),
        ("prompts/get", {"name": "derived_prompt", "arguments": {"count": "1"}}, "Unknown prompt: derived_prompt"),
        ("resources/read", {"uri": "crm://eu/customers/7"}, "Resource not found"),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "derived_prompt"}, "argument": {"name": "size", "value": ""}},
            "Unknown prompt",
        ),
    ],
)
@AT_REST
async def test_what_is_outside_of_a_set_is_unknown_there(
    offering: Gateway, method: str, params: dict[str, Any], expected: str
) -> None:
    _, answer = await ask_at(offering, "/mcp/sales", method, params)
    assert answer["error"]["code"] == -32602
    assert expected in answer["error"]["message"]
    # The error names nothing from outside either.
    assert "person" not in str(answer["error"].get("data", {}))
    assert await offering.stored() == 0


async def test_tasks_are_bound_to_no_set(gateway: Gateway) -> None:
    task_id = await gateway.submit("person", {"n": 1})
    await Actor(gateway).take()
    await gateway.finish(task_id, {"n": 2})
    _, answer = await ask_at(gateway, "/mcp/empty", "resources/read", {"uri": f"asya://tasks/{task_id}/result"})
    assert answer["result"]["contents"][0]["text"] == '{"n":2}'


@pytest.mark.parametrize("path", ["/mcp/nothing", "/mcp/Sales", "/mcp/sales%2Fmore", "/mcp/a%20b"])
@pytest.mark.parametrize("version", ["2025-11-25", LATEST])
@AT_REST
async def test_an_unknown_set_is_not_found(offering: Gateway, version: str, path: str) -> None:
    body = stateless_body("tools/list") if version == LATEST else message("tools/list")
    headers = stateless_headers(body) if version == LATEST else {"Accept": BOTH, "MCP-Protocol-Version": version}
    status, answer = await offering.post(path, body, headers=headers)
    assert status == 404, answer


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("flows=", "expected names of flows"),
        ("flows=a,,b", "expected names of flows"),
        ("flows=a%20b", "expected names of flows"),
        ("flows=" + ",".join(f"f{n}" for n in range(101)), "expected at most 100 names"),
    ],
)
@AT_REST
async def test_wrong_names_are_refused(offering: Gateway, query: str, expected: str) -> None:
    status, answer = await ask_at(offering, f"/mcp?{query}", "tools/list")
    assert (status, answer["error"]["code"]) == (400, -32600)
    assert expected in answer["error"]["message"]


@pytest.mark.parametrize("version", ["2025-11-25", LATEST])
@AT_REST
async def test_a_url_that_names_unknown_flows_only_is_an_error_that_names_them(offering: Gateway, version: str) -> None:
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    for method in ("server/discover" if version == LATEST else "initialize", "tools/list", "prompts/list"):
        body = stateless_body(method) if version == LATEST else message(method, hello)
        headers = stateless_headers(body) if version == LATEST else {"Accept": BOTH, "MCP-Protocol-Version": version}
        _, answer = await offering.post("/mcp?flows=nope,no-such-flow", body, headers=headers)
        assert answer["error"]["code"] == -32602
        assert answer["error"]["message"].endswith("offer nothing here: no-such-flow, nope")


async def test_a_name_that_is_unknown_beside_others_is_told(closed: Gateway) -> None:
    for token, unknown in (("all", ["nope"]), ("one", ["nope", "shout"])):
        path = "/mcp?flows=tagged,shout,nope"
        _, answer = await ask_at(closed, path, "tools/list", token=token)
        # A flow that the caller may not see is as unknown as one that does not exist.
        assert answer["result"]["_meta"]["sh.asya/unknownFlows"] == unknown
        _, answer = await ask_at(closed, path, "server/discover", token=token)
        assert answer["result"]["instructions"].endswith(f"offer nothing here: {', '.join(unknown)}.")
    _, answer = await ask_at(closed, "/mcp?flows=tagged", "tools/list", token="one")
    assert "sh.asya/unknownFlows" not in answer["result"].get("_meta", {})


@AT_REST
async def test_a_batch_belongs_to_its_set(offering: Gateway) -> None:
    batch = [message("tools/list"), message("tools/call", {"name": "person", "arguments": {"n": 1}}, 2)]
    _, answers = await offering.post("/mcp/sales", batch, headers={"Accept": BOTH})
    assert [tool["name"] for tool in answers[0]["result"]["tools"]] == ["shout", "tagged"]
    assert answers[1]["error"]["message"] == "Unknown tool: person"


async def test_a_session_is_bound_to_no_set_and_its_stream_shows_one(gateway: Gateway) -> None:
    """The URL of each request says what is shown to it, and a set hides nothing from who may use it at all."""
    client = await connect(gateway, path="/mcp/sales")
    assert [tool["name"] for tool in (await client.ask("tools/list"))["tools"]] == ["shout", "tagged"]
    refused = message("tools/call", {"name": "anything"}, 5)
    assert (await client.send(refused))[1]["error"]["message"] == "Unknown tool: anything"
    async with client.listen() as stream:
        await stream.next()
        client.path = "/mcp"
        assert "person" in {tool["name"] for tool in (await client.ask("tools/list"))["tools"]}
        calling = asyncio.create_task(client.ask("tools/call", {"name": "anything", "arguments": {}}))
        await Actor(gateway).serve(7)
        assert (await calling)["structuredContent"] == {"result": 7}
        # The stream was opened at the set: it hears of the prompt that changes there, and not of the tool elsewhere.
        others = [flow for flow in [*TOOLS, *OFFERS, TAGGED, SECRET] if flow["name"] != "greeting"]
        flows = [*others, {**GREETING, "description": "New."}, {**TAGGED, "name": "outside", "tags": []}]
        made = [served(Flow.model_validate(flow)) for flow in flows]
        gateway.app[FLOWS].swap(FlowTable.of(3, made, sets=SETS))
        assert (await stream.message())["method"] == "notifications/prompts/list_changed"
    assert await client.delete() == 204
    client.path = "/mcp/sales"
    assert (await client.send(message("ping")))[0] == 404


@pytest.fixture
async def closed(database_url: str) -> AsyncIterator[Gateway]:
    tokens = Tokens(all="mcp:read mcp:invoke", one="flow:tagged:invoke")
    doors = Admission(
        Authenticating([tokens], clock=own_time), challenges=Challenges(metadata_base="https://gateway.example")
    )
    async with start_mcp(database_url, doors=doors) as made:
        offer(made)
        yield made


async def test_a_set_shows_a_caller_only_what_it_sees_at_all(closed: Gateway) -> None:
    _, answer = await ask_at(closed, "/mcp/sales", "tools/list", token="one")
    assert [tool["name"] for tool in answer["result"]["tools"]] == ["tagged"]
    # A tag of flows that it does not see is no set for it.
    assert (await ask_at(closed, "/mcp/hidden", "tools/list", token="all"))[0] == 200
    assert (await ask_at(closed, "/mcp/hidden", "tools/list", token="one"))[0] == 404
    _, refused = await ask_at(closed, "/mcp/sales", "tools/call", {"name": "shout"}, token="one")
    assert refused["error"]["message"] == "Unknown tool: shout"


async def test_the_challenge_at_a_set_names_the_sets_own_metadata(closed: Gateway) -> None:
    """RFC 9728, section 3.3: 'the "resource" value … MUST be identical to the URL that the client used'."""
    body = stateless_body("tools/list")
    async with closed.session.post(f"{closed.url}/mcp/sales", json=body, headers=stateless_headers(body)) as response:
        assert response.status == 401
        metadata = "https://gateway.example/.well-known/oauth-protected-resource/mcp/sales"
        assert f'resource_metadata="{metadata}"' in response.headers["WWW-Authenticate"]
