"""Flows as prompts (server/prompts), in each revision."""

import asyncio
from typing import Any

import pytest

from asya_crds import jsontext
from tests.protocol.mcp.offers import GREETING, ICON, OFFERS
from tests.support.gateway import Gateway
from tests.support.mcp import (
    LATEST,
    TOOLS,
    VERSIONS,
    Actor,
    ask,
    ask_in,
    conforms,
    open_post,
    serve_tools,
    stateless_body,
    stateless_headers,
)
from tests.support.standing import AT_REST
from tests.support.waiting import until


@pytest.fixture
def gateway(gateway: Gateway) -> Gateway:
    serve_tools(gateway, [*TOOLS, *OFFERS], 2)
    return gateway


@pytest.fixture
def offering(standing: Gateway) -> Gateway:
    """The standing gateway, with the same offers."""
    serve_tools(standing, [*TOOLS, *OFFERS], 2)
    return standing


async def got(gateway: Gateway, actor: Actor, result: Any, version: str = LATEST, **arguments: str) -> Any:
    """The answer to prompts/get of the prompt `greeting`, whose flow returns `result`."""
    params = {"name": "greeting", "arguments": {"who": "Ann", **arguments}}
    asking = asyncio.create_task(ask_in(gateway, version, "prompts/get", params))
    await actor.serve(result)
    return await asking


@pytest.mark.parametrize("version", VERSIONS)
@AT_REST
async def test_prompts_are_listed_with_what_the_revision_has(offering: Gateway, version: str) -> None:
    """server/prompts, "Listing Prompts"; titles since 2025-06-18, icons since 2025-11-25."""
    answer = await ask_in(offering, version, "prompts/list")
    conforms(answer["result"], "ListPromptsResult", version)
    derived, greeting = answer["result"]["prompts"]
    assert (derived["name"], greeting["name"]) == ("derived_prompt", "greeting")
    titled, iconic = version >= "2025-06-18", version >= "2025-11-25"
    assert greeting["description"] == "Greets somebody."
    assert (greeting.get("title"), greeting.get("_meta")) == (
        ("Greeting", {"com.example/group": "social"}) if titled else (None, None)
    )
    assert greeting.get("icons") == ([ICON] if iconic else None)
    assert greeting["arguments"] == [
        {"name": "who", "required": True, "description": "Whom", **({"title": "Who"} if titled else {})},
        {"name": "language", "required": False},
    ]
    assert [(each["name"], each["required"]) for each in derived["arguments"]] == [
        ("count", True),
        ("loud", False),
        ("size", False),
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_prompt_runs_its_flow_with_its_arguments(gateway: Gateway, actor: Actor, version: str) -> None:
    """server/prompts, "Getting a Prompt"."""
    params = {"name": "derived_prompt", "arguments": {"count": "3", "loud": "true", "size": "7"}}
    asking = asyncio.create_task(ask_in(gateway, version, "prompts/get", params))
    task_id, envelope = await actor.take()
    assert envelope["payload"] == {"count": 3, "loud": True, "size": 7}
    await actor.end(task_id, result="Say it thrice.")
    answer = await asking
    conforms(answer["result"], "GetPromptResult", version)
    assert answer["result"]["messages"] == [{"role": "user", "content": {"type": "text", "text": "Say it thrice."}}]
    assert answer["result"]["_meta"]["sh.asya/task"] == {"task_id": task_id, "status": "succeeded"}


IMAGE = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}
EMBEDDED = {"type": "resource", "resource": {"uri": "a://b", "text": "t", "mimeType": "text/plain"}}
LINK = {"type": "resource_link", "uri": "a://b", "name": "b"}


@pytest.mark.parametrize("block", [IMAGE, AUDIO, EMBEDDED, LINK], ids=lambda block: block["type"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_flow_returns_messages_with_blocks_of_every_kind(
    gateway: Gateway, actor: Actor, version: str, block: dict[str, Any]
) -> None:
    """server/prompts, "PromptMessage": text, image and embedded resources; audio since 2025-03-26, links since
    2025-06-18."""
    result = {
        "description": "Two messages",
        "messages": [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": block}],
        "_meta": {"a": 1},
    }
    answer = (await got(gateway, actor, result, version))["result"]
    conforms(answer, "GetPromptResult", version)
    if (block is LINK and version < "2025-06-18") or (block is AUDIO and version < "2025-03-26"):
        # The revision has no such block, so that the result is shown as what it is: data.
        (message,) = answer["messages"]
        assert jsontext.loads(message["content"]["text"]) == result
        return
    assert answer["description"] == "Two messages"
    assert answer["_meta"]["a"] == 1
    assert answer["messages"] == [
        {"role": "assistant", "content": {"type": "text", "text": "Hello"}},
        {"role": "user", "content": block},
    ]


@pytest.mark.parametrize(
    ("result", "messages"),
    [
        (
            {"content": [IMAGE, {"type": "text", "text": "t"}]},
            [("user", IMAGE), ("user", {"type": "text", "text": "t"})],
        ),
        ([{"role": "assistant", "content": IMAGE}], [("assistant", IMAGE)]),
        ({"n": 1}, [("user", {"type": "text", "text": '{"n":1}'})]),
        (None, [("user", {"type": "text", "text": "null"})]),
        ({"messages": []}, [("user", {"type": "text", "text": '{"messages":[]}'})]),
    ],
)
async def test_any_result_becomes_messages(
    gateway: Gateway, actor: Actor, result: Any, messages: list[tuple[str, Any]]
) -> None:
    answer = await got(gateway, actor, result)
    conforms(answer["result"], "GetPromptResult")
    assert [(each["role"], each["content"]) for each in answer["result"]["messages"]] == messages


async def test_a_result_of_many_values_is_rendered_all_the_same(gateway: Gateway, actor: Actor) -> None:
    answer = await got(gateway, actor, [0] * 30_000)
    conforms(answer["result"], "GetPromptResult")
    assert answer["result"]["messages"][0]["content"]["text"] == "[" + ",".join(["0"] * 30_000) + "]"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("nothing", {}, "Unknown prompt: nothing"),
        ("anything", {}, "Unknown prompt: anything"),
        ("greeting", {}, "arguments.who: required argument is missing"),
        ("greeting", {"who": 7}, "arguments.who: expected a string"),
        ("greeting", [], "arguments: expected an object"),
        ("greeting", {"who": "A", "language": "dutch"}, "expected one of english, estonian, german"),
        ("derived_prompt", {"count": "many"}, "- /count"),
        (7, {}, "name: expected a string"),
    ],
)
@pytest.mark.parametrize("version", ["2025-11-25", LATEST])
@AT_REST
async def test_a_wrong_prompt_or_argument_is_invalid_params_and_starts_nothing(
    offering: Gateway, version: str, name: Any, arguments: Any, expected: str
) -> None:
    """server/prompts, "Error Handling": 'Invalid prompt name: -32602'; 'Missing required arguments: -32602'."""
    answer = await ask_in(offering, version, "prompts/get", {"name": name, "arguments": arguments})
    assert answer["error"]["code"] == -32602
    assert expected in answer["error"]["message"]
    assert await offering.stored() == 0


async def test_a_failed_flow_is_an_error_with_its_reason(gateway: Gateway, actor: Actor) -> None:
    """server/prompts, "Error Handling": 'Internal errors: -32603'."""
    asking = asyncio.create_task(ask(gateway, "prompts/get", {"name": "greeting", "arguments": {"who": "Ann"}}))
    task_id, _ = await actor.take()
    await actor.end(task_id, "failed", error="no such person", error_details={"type": "actor.Refusal"})
    _, answer = await asking
    assert answer["error"]["code"] == -32603
    assert answer["error"]["message"] == "Refusal: no such person"
    assert answer["error"]["data"]["task_id"] == task_id


async def test_a_prompt_that_asks_a_person_says_where_to_answer(gateway: Gateway, actor: Actor) -> None:
    asking = asyncio.create_task(ask(gateway, "prompts/get", {"name": "greeting", "arguments": {"who": "Ann"}}))
    task_id, _ = await actor.take()
    await actor.report(task_id, "received")
    question = {"prompt": "In which tone?", "fields": [{"name": "tone", "type": "string"}]}
    await actor.report(task_id, "paused", pause_metadata=question)
    _, answer = await asking
    assert answer["error"]["code"] == -32603
    assert "In which tone?" in answer["error"]["message"]
    assert answer["error"]["data"]["answer_url"].endswith(f"/tasks/{task_id}/resume")


async def test_progress_of_a_prompt_travels_on_its_own_stream(gateway: Gateway, actor: Actor) -> None:
    """patterns/progress: a progressToken on any request asks for its progress."""
    params = {"name": "greeting", "arguments": {"who": "Ann"}, "_meta": {"progressToken": "p"}}
    body = stateless_body("prompts/get", params)
    async with open_post(gateway, body, stateless_headers(body)) as response:
        text = asyncio.create_task(response.text())
        await actor.serve("Hello")
        events = [line.removeprefix("data: ") for line in (await text).splitlines() if line.startswith("data: ")]
    messages = [jsontext.loads(event) for event in events]
    assert [each.get("method") for each in messages[:-1]] == ["notifications/progress"] * (len(messages) - 1)
    assert len(messages) > 1
    for each in messages[:-1]:
        conforms(each, "ProgressNotification")
    assert messages[-1]["result"]["messages"]


async def test_a_repeated_prompt_under_a_key_is_the_same_task(gateway: Gateway, actor: Actor) -> None:
    params = {"name": "greeting", "arguments": {"who": "Ann"}}
    headers = {"Idempotency-Key": "once"}
    asking = [asyncio.create_task(ask(gateway, "prompts/get", params, **headers)) for _ in range(2)]
    await actor.serve("Hello")
    answers = [(await each)[1]["result"]["_meta"]["sh.asya/task"]["task_id"] for each in asking]
    assert answers[0] == answers[1]
    assert await gateway.stored() == 1


async def test_leaving_a_prompt_cancels_its_task_in_the_stateless_revision(gateway: Gateway, actor: Actor) -> None:
    """patterns/cancellation: 'closing the response stream' is the cancellation."""
    asking = asyncio.create_task(ask(gateway, "prompts/get", {"name": "greeting", "arguments": {"who": "Ann"}}))
    task_id, _ = await actor.take()
    asking.cancel()
    await asyncio.wait([asking])

    async def canceled() -> bool:
        return await actor.status(task_id) == "canceled"

    await until(canceled)


@AT_REST
async def test_a_flow_that_is_no_tool_is_called_neither_over_mcp_nor_over_rest(offering: Gateway) -> None:
    _, listed = await ask(offering, "tools/list")
    assert GREETING["name"] not in [tool["name"] for tool in listed["result"]["tools"]]
    _, refused = await ask(offering, "tools/call", {"name": "greeting", "arguments": {}})
    assert (refused["error"]["code"], refused["error"]["message"]) == (-32602, "Unknown tool: greeting")
    status, answer = await offering.post("/tools/call", {"name": "greeting", "arguments": {}})
    assert status == 404
    assert "greeting is no tool: it has `tool: false`" in answer["error"]["message"]
    _, flows = await offering.get("/flows")
    summary = next(flow for flow in flows["flows"] if flow["name"] == "greeting")
    assert (summary["mcp"], summary["input_schema"]) == (True, None)
    assert await offering.stored() == 0


@pytest.mark.parametrize(
    ("ref", "argument", "values"),
    [
        ({"type": "ref/prompt", "name": "greeting"}, ("language", "E"), ["english", "estonian"]),
        ({"type": "ref/prompt", "name": "greeting"}, ("language", ""), ["english", "estonian", "german"]),
        ({"type": "ref/prompt", "name": "greeting"}, ("who", "A"), []),
        ({"type": "ref/prompt", "name": "derived_prompt"}, ("size", ""), ["small", "large", "7"]),
        ({"type": "ref/prompt", "name": "derived_prompt"}, ("loud", "t"), ["true"]),
        ({"type": "ref/resource", "uri": "crm://{region}/customers/{id}"}, ("region", "e"), ["eu"]),
        ({"type": "ref/resource", "uri": "crm://eu/customers/7"}, ("region", ""), ["eu", "us"]),
        ({"type": "ref/resource", "uri": "crm://{region}/customers/{id}"}, ("id", "1"), []),
        ({"type": "ref/resource", "uri": "asya://tasks/{taskId}"}, ("taskId", ""), []),
    ],
)
@pytest.mark.parametrize("version", ["2025-03-26", LATEST])
@AT_REST
async def test_arguments_with_a_known_set_of_values_are_completed(
    offering: Gateway, version: str, ref: dict[str, str], argument: tuple[str, str], values: list[str]
) -> None:
    """server/utilities/completion: suggestions for arguments of prompts and resource templates."""
    params = {"ref": ref, "argument": {"name": argument[0], "value": argument[1]}, "context": {"arguments": {"a": "b"}}}
    answer = await ask_in(offering, version, "completion/complete", params)
    conforms(answer["result"], "CompleteResult", version)
    assert answer["result"]["completion"] == {"values": values, "total": len(values), "hasMore": False}


@AT_REST
async def test_at_most_a_hundred_values_are_suggested(offering: Gateway) -> None:
    """server/utilities/completion: 'Maximum 100 items per response'."""
    many = [f"v{n:03}" for n in range(250)]
    mcp = {"prompt": {"arguments": [{"name": "a", "enum": many}]}}
    serve_tools(offering, [{"name": "many", "entrypoint": "first", "mcp": mcp}], 3)
    params = {"ref": {"type": "ref/prompt", "name": "many"}, "argument": {"name": "a", "value": ""}}
    _, answer = await ask(offering, "completion/complete", params)
    assert answer["result"]["completion"] == {"values": many[:100], "total": 250, "hasMore": True}


@pytest.mark.parametrize(
    ("ref", "name", "expected"),
    [
        ({"type": "ref/prompt", "name": "nothing"}, "a", "ref.name: Unknown prompt: nothing"),
        ({"type": "ref/prompt", "name": "greeting"}, "b", "argument.name: the prompt has no argument b"),
        ({"type": "ref/resource", "uri": "docs://handbook"}, "a", "ref.uri: Unknown resource template"),
        ({"type": "ref/resource", "uri": "crm://{region}/customers/{id}"}, "b", "the template has no variable b"),
    ],
)
@AT_REST
async def test_completing_what_does_not_exist_is_invalid_params(
    offering: Gateway, ref: dict[str, str], name: str, expected: str
) -> None:
    """server/utilities/completion, "Error Handling": 'Invalid prompt name: -32602'."""
    _, answer = await ask(offering, "completion/complete", {"ref": ref, "argument": {"name": name, "value": ""}})
    assert answer["error"]["code"] == -32602
    assert expected in answer["error"]["message"]
