"""The older dialects on the same endpoint, versions, and malformed requests."""

import asyncio
from typing import Any

import pytest

from asya_gateway.protocols.http.keys import HELD
from tests.support.a2a import SKILLS, conforms, post, rpc, streaming, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools
from tests.support.standing import AT_REST
from tests.support.waiting import until

OLD = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}


async def test_a_client_of_0_3_sends_looks_and_cancels(gateway: Gateway, actor: Actor) -> None:
    sending = asyncio.create_task(rpc(gateway, "message/send", {"message": OLD}, path="/a2a/echo", version=None))
    task_id, _ = await actor.take()
    await actor.end(task_id, result={"n": 1})
    task = (await sending)["result"]
    conforms(task, "Task", "0.3")
    assert (task["kind"], task["status"]["state"]) == ("task", "completed")
    assert (await rpc(gateway, "tasks/get", {"id": task_id}, version=None))["result"] == task
    error = (await rpc(gateway, "tasks/cancel", {"id": task_id}, version=None))["error"]
    assert (error["code"], error["data"]) == (-32002, {"taskId": task_id})


async def test_a_client_of_the_oldest_dialect_names_its_task_itself(gateway: Gateway, actor: Actor) -> None:
    """0.1, TaskSendParams: 'If this is the first message for a new task, the client generates this ID'; a second
    message under it continues the task."""
    message = {"role": "user", "parts": [{"type": "text", "text": "hi"}]}
    params = {"id": "mine", "sessionId": "s", "message": message}
    sending = asyncio.create_task(rpc(gateway, "tasks/send", params, path="/a2a/echo", version=None))
    task_id, _ = await actor.take()
    await actor.end(task_id, result="hello")
    task = (await sending)["result"]
    assert (task["id"], task["sessionId"], task["status"]["state"]) == ("mine", "s", "completed")
    assert task["artifacts"][0] == {"index": 0, "parts": [{"type": "text", "text": "hello"}]}
    assert (await rpc(gateway, "tasks/get", {"id": "mine"}, version=None))["result"] == task
    again = await rpc(gateway, "tasks/send", params, path="/a2a/echo", version=None)
    assert again["error"]["code"] == -32004


SIGN_IN: dict[str, Any] = {"prompt": "Sign in", "url": "https://login.example/", "status": "auth_required"}


async def test_the_oldest_dialect_tells_in_metadata_what_it_has_no_word_for(gateway: Gateway, actor: Actor) -> None:
    """TaskState of 0.1 knows neither auth-required nor rejected."""
    begun = rpc(gateway, "tasks/send", oldest("one"), path="/a2a/echo", version=None)
    sending = asyncio.create_task(begun)
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata=SIGN_IN)
    seen = [(await sending)["result"]]
    status, answer = await gateway.post(f"/tasks/{task_id}/resume", {"answer": {}})
    assert status == 200, answer
    await actor.take()
    await actor.end(task_id, status="failed", error="no", error_details={"code": "rejected"}, **{"class": "business"})
    seen.append((await rpc(gateway, "tasks/get", {"id": "one"}, version=None))["result"])
    for task in seen:
        conforms(task, "Task", "0.1")
    told = [(task["status"]["state"], task["metadata"]) for task in seen]
    assert told == [
        ("input-required", {"urn:asya:a2a:state": "auth-required"}),
        ("failed", {"urn:asya:a2a:state": "rejected"}),
    ]


def oldest(name: str) -> dict[str, Any]:
    return {"id": name, "sessionId": "s", "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]}}


async def test_a_stream_of_the_oldest_dialect_ends_with_final_however_it_ends(gateway: Gateway, actor: Actor) -> None:
    """0.1: final 'indicates this is the terminal status update for the current stream cycle'."""
    key = {"Idempotency-Key": "k"}

    async def streamed(method: str, params: Any, **headers: str) -> list[Any]:
        async with streaming(gateway, method, params, path="/a2a/echo", version=None, **headers) as reader:
            return [event.data["result"] for event in await reader.all()]

    asking = asyncio.create_task(streamed("tasks/sendSubscribe", oldest("asks"), **key))
    task_id, _ = await actor.take()
    fields = [{"name": "sure", "type": "boolean"}]
    await actor.report(task_id, "paused", pause_metadata={"prompt": "Sure?", "fields": fields})
    at_question = await asking
    # Who comes back meanwhile follows in the task's own dialect.
    following = asyncio.create_task(streamed("tasks/resubscribe", {"id": "asks"}))
    await until(lambda: len(gateway.app[HELD]) == 1)
    answer = {**oldest("asks"), "message": {"role": "user", "parts": [{"type": "text", "text": "yes"}]}}
    answering = asyncio.create_task(streamed("tasks/sendSubscribe", answer, **{"Idempotency-Key": "l"}))
    await actor.take()
    await actor.end(task_id, result="done")
    streams = [at_question, await following, await answering]
    # A repeated message gets the end of the task that it began, or answered.
    streams.append(await streamed("tasks/sendSubscribe", answer, **{"Idempotency-Key": "l"}))
    for events in streams:
        finals = [event.get("final") for event in events if "status" in event]
        assert finals == [False] * (len(finals) - 1) + [True]
        for event in events:
            assert event["id"] == "asks"
            conforms(event, "TaskStatusUpdateEvent" if "status" in event else "TaskArtifactUpdateEvent", "0.1")
    assert [events[-1]["status"]["state"] for events in streams] == ["input-required", *["completed"] * 3]
    parts = [[event["artifact"]["parts"] for event in events if "artifact" in event] for events in streams]
    assert parts == [[], *[[[{"type": "text", "text": "done"}]]] * 3]


async def test_a_stream_of_0_3_that_begins_with_the_end_ends_with_final(gateway: Gateway, actor: Actor) -> None:
    """0.3: 'If true, this is the final event in the stream for this interaction'."""
    options: dict[str, Any] = {"path": "/a2a/echo", "version": None, "Idempotency-Key": "k"}
    async with streaming(gateway, "message/stream", {"message": OLD}, **options) as reader:
        await actor.serve("done")
        followed = [event.data["result"] for event in await reader.all()]
    async with streaming(gateway, "message/stream", {"message": OLD}, **options) as reader:
        repeated = [event.data["result"] for event in await reader.all()]
    for events in (followed, repeated):
        assert (events[0]["kind"], events[-1]["kind"], events[-1]["final"]) == ("task", "status-update", True)
    assert repeated[0]["artifacts"][0]["parts"] == [{"kind": "text", "text": "done"}]
    assert len(repeated) == 2


@pytest.mark.parametrize(
    ("method", "version", "code"),
    [
        ("SendMessage", "0.3", -32009),
        ("message/send", "1.0", -32009),
        ("SendMessage", "2.0", -32009),
        ("GetTask", "1.7", -32001),
        ("GetTask", None, -32001),
        ("tasks/get", "0.3", -32001),
        ("NoSuchMethod", "1.0", -32601),
    ],
)
@AT_REST
async def test_the_version_must_not_contradict_the_method(
    standing: Gateway, method: str, version: str | None, code: int
) -> None:
    """3.6.2: 'If the version is not supported by the interface, agents MUST return a VersionNotSupportedError'."""
    answer = await rpc(standing, method, {"id": "x", "message": text_message("hi")}, version=version)
    if code == -32009 and version == "0.3":
        assert answer["error"]["code"] in (-32009, -32603)
    else:
        assert answer["error"]["code"] == code


@pytest.mark.parametrize(
    ("body", "code", "id"),
    [
        (b"{", -32700, None),
        (b"[]", -32600, None),
        (b"[{}]", -32600, None),
        (b'{"id": 3}', -32600, 3),
        (b'{"jsonrpc": "2.0", "id": true, "method": "GetTask"}', -32600, None),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "GetTask"}', -32600, None),
        (b'{"jsonrpc": "2.0", "id": 4, "method": 7}', -32600, 4),
        (b'{"jsonrpc": "2.0", "id": "a", "method": "GetTask", "params": [1]}', -32600, "a"),
        (b'{"jsonrpc": "2.0", "method": "GetTask", "params": {}}', -32602, None),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "GetTask", "params": {"id": NaN}}', -32700, None),
        (b'{"jsonrpc": "2.0", "id": 6, "method": "GetTask", "params": {"id": "x", "historyLength": -1}}', -32602, 6),
    ],
    ids=[
        "text",
        "empty batch",
        "batch",
        "no version",
        "boolean id",
        "fraction id",
        "method",
        "params",
        "no id",
        "NaN",
        "negative",
    ],
)
@AT_REST
async def test_a_malformed_request_is_answered_with_its_code_and_id(
    standing: Gateway, body: bytes, code: int, id: Any
) -> None:
    status, answer = await post(standing, body)
    assert (status, answer["error"]["code"], answer["id"]) == (200, code, id)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (None, "message"),
        ({"role": "ROLE_USER", "parts": [{"text": "x"}]}, "message.messageId"),
        ({"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "x"}]}, "message.role"),
        ({"messageId": "m", "role": "ROLE_BOSS", "parts": [{"text": "x"}]}, "message.role"),
        ({"messageId": "m", "role": "ROLE_USER", "parts": []}, "message.parts"),
        ({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x", "data": 1}]}, "message.parts[0]"),
        ({"messageId": "m", "role": "ROLE_USER", "parts": [{}]}, "message.parts[0]"),
        ({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": 1}]}, "message.parts[0].text"),
        ({"messageId": "m", "role": "ROLE_USER", "parts": [{"raw": "%%"}]}, "message.parts[0].raw"),
        ({"messageId": "m" * 300, "role": "ROLE_USER", "parts": [{"text": "x"}]}, "message.messageId"),
    ],
    ids=["none", "no id", "agent", "unknown role", "no parts", "two kinds", "no kind", "number", "base64", "long id"],
)
@AT_REST
async def test_an_invalid_message_names_the_field(standing: Gateway, message: Any, field: str) -> None:
    answer = await rpc(standing, "SendMessage", {"message": message}, path="/a2a/echo")
    [details] = answer["error"]["data"]
    assert (answer["error"]["code"], details["fieldViolations"][0]["field"]) == (-32602, field)
    assert await standing.stored() == 0


async def test_the_extended_card_is_not_supported_here(gateway: Gateway) -> None:
    assert (await rpc(gateway, "GetExtendedAgentCard"))["error"]["code"] == -32004


@pytest.mark.parametrize("method", ["SendStreamingMessage", "SubscribeToTask"])
async def test_streams_may_be_switched_off(database_url: str, method: str) -> None:
    """3.3.4: 'If AgentCard.capabilities.streaming is false or not present', both methods 'MUST return
    UnsupportedOperationError'."""
    async with start_gateway(database_url, a2a_streaming=False) as gateway:
        serve_tools(gateway, SKILLS)
        _, card = await gateway.get("/a2a/.well-known/agent-card.json")
        assert card["capabilities"]["streaming"] is False
        params = {"id": "t", "message": text_message("hi"), "tenant": "echo"}
        assert (await rpc(gateway, method, params))["error"]["code"] == -32004
        assert await gateway.stored() == 0
