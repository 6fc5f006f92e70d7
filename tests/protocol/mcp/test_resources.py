"""Flows and tasks as resources (server/resources), in each revision."""

import asyncio
from typing import Any

import pytest

from asya_crds import jsontext
from tests.protocol.mcp.offers import ICON, OFFERS
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import (
    LATEST,
    TOOLS,
    VERSIONS,
    Actor,
    ask,
    ask_in,
    ask_old,
    conforms,
    open_post,
    serve_tools,
    stateless_body,
    stateless_headers,
)
from tests.support.standing import AT_REST


@pytest.fixture
def gateway(gateway: Gateway) -> Gateway:
    serve_tools(gateway, [*TOOLS, *OFFERS], 2)
    return gateway


@pytest.fixture
def offering(standing: Gateway) -> Gateway:
    """The standing gateway, with the same offers."""
    serve_tools(standing, [*TOOLS, *OFFERS], 2)
    return standing


async def read(gateway: Gateway, actor: Actor, uri: str, result: Any, version: str = LATEST) -> tuple[Any, Any]:
    """The answer to resources/read whose flow returns `result`, and the payload that the flow got."""
    asking = asyncio.create_task(ask_in(gateway, version, "resources/read", {"uri": uri}))
    task_id, envelope = await actor.take()
    await actor.end(task_id, result=result)
    return await asking, envelope["payload"]


@pytest.mark.parametrize("version", VERSIONS)
@AT_REST
async def test_resources_are_listed_with_what_the_revision_has(offering: Gateway, version: str) -> None:
    """server/resources, "Listing Resources"; titles since 2025-06-18, icons since 2025-11-25."""
    answer = await ask_in(offering, version, "resources/list")
    conforms(answer["result"], "ListResourcesResult", version)
    (handbook,) = answer["result"]["resources"]
    titled, iconic = version >= "2025-06-18", version >= "2025-11-25"
    assert handbook == {
        "uri": "docs://handbook",
        "name": "handbook",
        "description": "The handbook.",
        "mimeType": "text/markdown",
        "size": 4096,
        "annotations": {"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-01T00:00:00Z"},
        **({"title": "Handbook", "_meta": {"com.example/group": "docs"}} if titled else {}),
        **({"icons": [ICON]} if iconic else {}),
    }


@pytest.mark.parametrize("version", VERSIONS)
@AT_REST
async def test_templates_are_listed_and_so_are_those_of_tasks(offering: Gateway, version: str) -> None:
    """server/resources, "Resource Templates"."""
    answer = await ask_in(offering, version, "resources/templates/list")
    conforms(answer["result"], "ListResourceTemplatesResult", version)
    found = {each["uriTemplate"]: each["name"] for each in answer["result"]["resourceTemplates"]}
    assert found == {
        "asya://tasks/{taskId}": "task",
        "asya://tasks/{taskId}/result": "task_result",
        "crm://{region}/customers/{id}": "customers",
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_resource_runs_its_flow_and_is_its_result(gateway: Gateway, actor: Actor, version: str) -> None:
    """server/resources, "Reading Resources"."""
    answer, payload = await read(gateway, actor, "docs://handbook", "# Hello", version)
    conforms(answer["result"], "ReadResourceResult", version)
    assert answer["result"]["contents"] == [{"uri": "docs://handbook", "mimeType": "text/markdown", "text": "# Hello"}]
    assert payload == {}
    if version == LATEST:
        # server/utilities/caching: what a flow returns may be another thing at the next reading.
        assert (answer["result"]["ttlMs"], answer["result"]["cacheScope"]) == (0, "private")


async def test_a_templates_variables_are_the_flows_arguments(gateway: Gateway, actor: Actor) -> None:
    answer, payload = await read(gateway, actor, "crm://eu/customers/7", {"name": "Ann"})
    assert payload == {"region": "eu", "id": 7}
    (content,) = answer["result"]["contents"]
    assert content == {"uri": "crm://eu/customers/7", "mimeType": "application/json", "text": '{"name":"Ann"}'}


BLOB = {"uri": "docs://handbook/cover", "mimeType": "image/png", "blob": "aGk=", "_meta": {"a": 1}}


@pytest.mark.parametrize(
    ("result", "contents"),
    [
        ({"contents": [{"text": "a"}, BLOB]}, [{"text": "a"}, BLOB]),
        ({"blob": "aGk=", "mimeType": "image/png"}, [{"blob": "aGk=", "mimeType": "image/png"}]),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}]},
            [{"text": "a"}, {"blob": "aGk=", "mimeType": "audio/wav"}],
        ),
        (
            {"content": [{"type": "resource", "resource": {"uri": "a://b", "text": "t"}}]},
            [{"uri": "a://b", "text": "t"}],
        ),
        ({"text": "a", "n": 1}, [{"text": '{"text":"a","n":1}', "mimeType": "application/json"}]),
        ({"contents": [], "n": 1}, [{"text": '{"contents":[],"n":1}', "mimeType": "application/json"}]),
        ({"content": [{"type": "odd"}]}, [{"text": '{"content":[{"type":"odd"}]}', "mimeType": "application/json"}]),
        ([1, 2], [{"text": "[1,2]", "mimeType": "application/json"}]),
    ],
)
@pytest.mark.parametrize("version", ["2025-03-26", LATEST])
async def test_any_result_becomes_contents(
    gateway: Gateway, actor: Actor, version: str, result: Any, contents: list[dict[str, Any]]
) -> None:
    answer, _ = await read(gateway, actor, "docs://handbook", result, version)
    conforms(answer["result"], "ReadResourceResult", version)
    expected = [{"uri": "docs://handbook", "mimeType": "text/markdown", **each} for each in contents]
    if version == "2025-03-26":
        expected = [{key: value for key, value in each.items() if key != "_meta"} for each in expected]
    assert answer["result"]["contents"] == expected


async def test_a_result_of_many_values_is_rendered_all_the_same(gateway: Gateway, actor: Actor) -> None:
    answer, _ = await read(gateway, actor, "docs://handbook", [0] * 30_000)
    conforms(answer["result"], "ReadResourceResult")
    assert jsontext.loads(answer["result"]["contents"][0]["text"]) == [0] * 30_000


@pytest.mark.parametrize(
    "uri",
    [
        "docs://nothing",
        "DOCS://handbook",
        "docs://handbook/",
        "crm://eu/customers/",
        "crm://eu/customers/1/2",
        "crm://eu/customers/%ff",
        "asya://tasks/",
        "asya://tasks/nothing",
        "asya://tasks/nothing/result",
        "asya://tasks/nothing/other",
        "asya://else",
        "",
        "x" * 5000,
    ],
    ids=lambda uri: uri[:30],
)
@pytest.mark.parametrize(("version", "code"), [("2025-11-25", -32002), (LATEST, -32602)])
@AT_REST
async def test_a_resource_that_does_not_exist_is_named_in_the_error(
    offering: Gateway, version: str, code: int, uri: str
) -> None:
    """SEP-2164: -32602 with the uri in `data`; server/resources of 2025-11-25: 'Resource not found: -32002'."""
    answer = await ask_in(offering, version, "resources/read", {"uri": uri})
    assert (answer["error"]["code"], answer["error"]["message"]) == (code, "Resource not found")
    assert answer["error"]["data"]["uri"][:2000] == uri[:2000]
    assert await offering.stored() == 0


NO_TASKS = [
    "%00",
    "%00/result",
    "a%00b",
    "%0A",
    "\ud800",
    "%ed%a0%80",
    "%FF",
    "%",
    "%2E%2E",
    "x" * 300,
    "{taskId}",
    "a%2Fb",
]


@pytest.mark.parametrize("end", NO_TASKS)
@AT_REST
async def test_what_no_task_can_be_called_is_no_resource(offering: Gateway, end: str) -> None:
    """It is told apart before a statement gets it, which some of it would break."""
    uri = f"asya://tasks/{end}"
    assert (await ask_in(offering, "2025-11-25", "resources/read", {"uri": uri}))["error"]["code"] == -32002
    if end.isascii():
        assert (await ask_in(offering, LATEST, "resources/read", {"uri": uri}))["error"]["code"] == -32602
    body = stateless_body("subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri]}})
    async with open_post(offering, body, stateless_headers(body)) as response:
        first = await Reader(response).next()
    assert first is not None
    assert first.data["params"]["notifications"] == {}


@AT_REST
async def test_no_resource_has_a_uri_of_any_length(offering: Gateway) -> None:
    uri = f"crm://eu/customers/{'9' * 9_000}"
    _, answer = await ask_old(offering, "resources/read", {"uri": uri})
    assert answer["error"]["code"] == -32002
    assert len(answer["error"]["data"]["uri"]) < len(uri)
    assert await offering.stored() == 0


@pytest.mark.parametrize("result", [None, {"contents": []}])
async def test_a_flow_says_that_there_is_no_such_resource(gateway: Gateway, actor: Actor, result: Any) -> None:
    """SEP-2164: 'Servers MUST NOT return an empty contents array for a resource that does not exist'."""
    answer, _ = await read(gateway, actor, "crm://eu/customers/7", result)
    assert answer["error"] == {
        "code": -32602,
        "message": "Resource not found",
        "data": {"uri": "crm://eu/customers/7"},
    }


@AT_REST
async def test_variables_that_break_the_flows_schema_are_invalid_params(offering: Gateway) -> None:
    _, answer = await ask(offering, "resources/read", {"uri": "crm://mars/customers/many"})
    assert answer["error"]["code"] == -32602
    assert "- /region" in answer["error"]["message"]
    assert "- /id" in answer["error"]["message"]
    assert await offering.stored() == 0


async def test_a_failed_flow_is_an_error_with_its_reason(gateway: Gateway, actor: Actor) -> None:
    """server/resources, "Error Handling": 'Internal errors: -32603'."""
    asking = asyncio.create_task(ask(gateway, "resources/read", {"uri": "docs://handbook"}))
    task_id, _ = await actor.take()
    await actor.end(task_id, "failed", error="the shelf is empty", error_details={"type": "actor.Refusal"})
    _, answer = await asking
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32603, "Refusal: the shelf is empty")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_task_of_the_caller_is_a_resource(gateway: Gateway, version: str) -> None:
    task_id = await gateway.submit("anything", {"n": 7})
    answer = await ask_in(gateway, version, "resources/read", {"uri": f"asya://tasks/{task_id}"})
    conforms(answer["result"], "ReadResourceResult", version)
    (content,) = answer["result"]["contents"]
    assert (content["uri"], content["mimeType"]) == (f"asya://tasks/{task_id}", "application/json")
    task = jsontext.loads(content["text"])
    assert task == (await gateway.get(f"/tasks/{task_id}"))[1]
    assert task["payload"] == {"n": 7}


@pytest.mark.parametrize(
    ("result", "text", "media_type"),
    [
        ({"n": 12345678901234567890123}, '{"n":12345678901234567890123}', "application/json"),
        ('Quoted "text"', 'Quoted "text"', "text/plain"),
        (None, "null", "application/json"),
        ("x" * 1_000_000, "x" * 1_000_000, "text/plain"),
    ],
    ids=["object", "text", "null", "large"],
)
async def test_a_tasks_result_is_a_resource_in_full(
    gateway: Gateway, actor: Actor, result: Any, text: str, media_type: str
) -> None:
    task_id = await gateway.submit()
    await actor.take()
    await actor.end(task_id, result=result)
    _, answer = await ask(gateway, "resources/read", {"uri": f"asya://tasks/{task_id}/result"})
    conforms(answer, "ReadResourceResultResponse")
    (content,) = answer["result"]["contents"]
    assert (content["mimeType"], content["text"] == text) == (media_type, True)


async def test_a_task_without_a_result_says_so_to_its_owner(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    _, answer = await ask(gateway, "resources/read", {"uri": f"asya://tasks/{task_id}/result"})
    assert (answer["error"]["code"], answer["error"]["message"]) == (
        -32602,
        "The task has no result: its status is pending",
    )
