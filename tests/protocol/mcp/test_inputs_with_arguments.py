"""Inputs before a flow starts, over wires that cannot ask for them: the answers stand under the flow's key of the
arguments."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.asking import ALICE, CONFIRMED, LISTED, SAID, TOOLS
from tests.support.gateway import Gateway
from tests.support.mcp import Actor, ask_old, serve_tools, start_mcp
from tests.support.standing import AT_REST

VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", None]
ANSWERS = {"user_name": ALICE, "confirm": CONFIRMED}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_mcp(database_url, keepalive_interval=0.2) as made:
        serve_tools(made, TOOLS)
        yield made


@pytest.fixture
def asking(standing: Gateway) -> Gateway:
    """The standing gateway, with tools that ask."""
    serve_tools(standing, TOOLS)
    return standing


@pytest.fixture
def actor(gateway: Gateway) -> Actor:
    return Actor(gateway)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_call_with_its_answers_starts(gateway: Gateway, actor: Actor, version: str | None) -> None:
    arguments = {"who": "x", "input": ANSWERS}
    params = {"name": "delete", "arguments": arguments}
    call = asyncio.create_task(ask_old(gateway, "tools/call", params, version))
    task_id, envelope = await actor.take()
    await actor.end(task_id, result={})
    assert envelope["payload"] == arguments
    assert (await call)[1]["result"]["isError"] is False


@pytest.mark.parametrize("version", VERSIONS)
@AT_REST
async def test_a_call_without_them_is_told_what_is_missing_and_in_which_form(
    asking: Gateway, version: str | None
) -> None:
    """server/tools, "Error Handling": input validation errors stand in the result, for a model to correct itself."""
    params = {"name": "delete", "arguments": {"who": "x", "input": {"user_name": ALICE}}}
    _, answer = await ask_old(asking, "tools/call", params, version)
    text = answer["result"]["content"][0]["text"]
    assert answer["result"]["isError"] is True
    assert "- /input/confirm: expected an answer:" in text
    assert '"required":["ok"]' in text
    assert "Delete x, Alice?" in text
    assert "user_name:" not in text
    assert await asking.stored() == 0


async def test_rest_takes_the_answers_too(gateway: Gateway, actor: Actor) -> None:
    body = {"name": "several", "arguments": {"input": {"user_name": ALICE, "greeting": SAID, "folders": LISTED}}}
    status, _ = await gateway.post("/tools/call", body)
    _, envelope = await actor.take()
    assert (status, envelope["payload"]) == (200, body["arguments"])


async def test_rest_names_every_missing_answer(gateway: Gateway) -> None:
    status, answer = await gateway.post("/tools/call", {"name": "several", "arguments": {}})
    assert (status, answer["error"]["code"]) == (400, "invalid_arguments")
    for key in ("user_name", "greeting", "folders"):
        assert f"/input/{key}: expected an answer" in answer["error"]["message"]
    assert await gateway.stored() == 0


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (7, "/input"),
        (None, "/input"),
        ({"user_name": None}, "/input/user_name"),
        ({"user_name": {"action": "decline"}}, "/input/user_name/action"),
        ({"user_name": {"action": "accept", "content": {"name": 7}}}, "/input/user_name/content/name"),
        ({"user_name": ALICE, "more": 1}, "/input"),
    ],
)
@AT_REST
async def test_wrong_answers_are_told_with_their_place(asking: Gateway, given: Any, place: str) -> None:
    status, answer = await asking.post("/tools/call", {"name": "name", "arguments": {"input": given}})
    assert (status, answer["error"]["code"]) == (400, "invalid_arguments")
    assert f"{place}: " in answer["error"]["message"]


async def test_of_several_inputs_some_may_be_null(gateway: Gateway, actor: Actor) -> None:
    given = {"user_name": ALICE, "greeting": None, "folders": None}
    status, _ = await gateway.post("/tools/call", {"name": "several", "arguments": {"input": given}})
    assert (status, (await actor.take())[1]["payload"]) == (200, {"input": given})


async def test_a_declined_input_may_be_left_to_the_flow(gateway: Gateway, actor: Actor) -> None:
    given = {"user_name": {"action": "decline"}}
    status, _ = await gateway.post("/tools/call", {"name": "continues", "arguments": {"input": given}})
    assert (status, (await actor.take())[1]["payload"]) == (200, {"input": given})
