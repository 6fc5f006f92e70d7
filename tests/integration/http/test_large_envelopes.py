"""A call whose envelope no queue would take is refused in the form of each wire, with the queue system's limit, and
nothing is stored."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_transports.known import describe
from tests.support import a2a, mcp
from tests.support.gateway import Gateway, start_gateway

MOST = 20_000
SAID = f"at most {MOST} bytes, payload included: the limit of sqs"
LARGE = "x" * (MOST + 1)


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    rules = {"max_envelope": MOST, "transport": "sqs", "bytes_of": describe("sqs").bytes_of}
    async with start_gateway(database_url, rules=rules) as made:
        mcp.serve_tools(made, [*mcp.TOOLS, *a2a.SKILLS])
        yield made


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tools/call", {"name": "anything", "arguments": {"text": LARGE}}),
        ("/api/v1/mesh/?actor=first", {"payload": {"text": LARGE}}),
    ],
)
async def test_the_own_routes_answer_413(gateway: Gateway, path: str, body: dict[str, Any]) -> None:
    status, answer = await gateway.post(path, body)
    assert (status, answer["error"]["code"]) == (413, "too_large")
    assert SAID in answer["error"]["message"]
    assert await gateway.stored() == 0


@pytest.mark.parametrize("stateless", [True, False])
async def test_mcp_answers_413_with_its_error(gateway: Gateway, stateless: bool) -> None:
    call = {"name": "anything", "arguments": {"text": LARGE}}
    status, answer = await (mcp.ask if stateless else mcp.ask_old)(gateway, "tools/call", call)
    assert (status, answer["error"]["code"]) == (413, -32600)
    assert SAID in answer["error"]["message"]
    assert await gateway.stored() == 0


OLD = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": LARGE}]}
OLDEST = {"id": "mine", "sessionId": "s", "message": {"role": "user", "parts": [{"type": "text", "text": LARGE}]}}


@pytest.mark.parametrize(
    ("method", "params", "version"),
    [
        ("SendMessage", {"message": a2a.text_message(LARGE)}, "1.0"),
        ("SendStreamingMessage", {"message": a2a.text_message(LARGE)}, "1.0"),
        ("message/send", {"message": OLD}, None),
        ("tasks/send", OLDEST, None),
    ],
)
async def test_a2a_answers_413_with_its_error(
    gateway: Gateway, method: str, params: dict[str, Any], version: str | None
) -> None:
    sent = a2a.open_post(gateway, a2a.envelope(method, params), path="/a2a/echo", version=version)
    async with sent as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (413, -32600)
    assert SAID in error["message"]
    assert await gateway.stored() == 0


async def test_the_rest_binding_of_a2a_answers_413_with_its_error(gateway: Gateway) -> None:
    answer = await a2a.rest(gateway, "POST", "/echo/message:send", {"message": a2a.text_message(LARGE)})
    assert answer.status == 413
    error = answer.body["error"]
    assert error["code"] == 413
    assert error["details"][0]["reason"] == "TOO_LARGE"
    assert SAID in error["message"]
    assert await gateway.stored() == 0


async def test_what_the_queue_system_takes_as_escapes_counts_as_such(gateway: Gateway) -> None:
    """Three bytes of UTF-8 that are six on SQS."""
    await gateway.submit("anything", {"text": "\ufffd" * (MOST // 4)})
    escaped = {"text": "\uffff" * (MOST // 4)}
    status, answer = await gateway.post("/tools/call", {"name": "anything", "arguments": escaped})
    assert status == 413
    assert SAID in answer["error"]["message"]


async def test_a_large_answer_is_refused_and_a_smaller_one_is_taken(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    question = {"prompt": "why?", "fields": [{"name": "why", "type": "string"}]}
    pause = {"status": "completed", "prev": ["first", "x-pause"], "curr": "x-resume", "next": []}
    assert (await gateway.post(f"/mesh/{task_id}/progress", {**pause, "pause_metadata": question}))[0] == 200
    status, answer = await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"why": LARGE}})
    assert (status, answer["error"]["field"]) == (413, "answer")
    assert SAID in answer["error"]["message"]
    assert (await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"why": "because"}}))[0] == 200
