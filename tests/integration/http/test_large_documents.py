"""Documents of many values are decoded and encoded in the other process, whatever becomes of them: no surface decodes
them, or writes them again, on the event loop. (test_event_loop.py measures how late it wakes.)"""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_crds import jsontext
from asya_crds.large_json import FEW_VALUES
from asya_gateway.protocols.mcp.mrtr.state import LONGEST_STATE, state_text
from tests.support.a2a import envelope
from tests.support.event_loop import coded_here
from tests.support.gateway import Gateway, Reader, start_gateway
from tests.support.mcp import Actor, message, serve_tools
from tests.support.mcp_sessions import connect, open_sse, replicas
from tests.support.waiting import until

NUMBERS = {"type": "object", "properties": {"n": {"type": "array", "items": {"type": "integer"}}}}
MANY = [1] * (FEW_VALUES + 5_000)
TEXT = jsontext.dumps(MANY)
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url) as made:
        serve_tools(made, [{"name": "numbers", "entrypoint": "first", "mcp": {"inputSchema": NUMBERS}, "a2a": {}}])
        yield made


async def raw(gateway: Gateway, path: str, body: str | None = None, **headers: str) -> str:
    """The answer, not decoded."""
    data = None if body is None else io.BytesIO(body.encode())
    method = "GET" if body is None else "POST"
    async with gateway.session.request(method, gateway.url + path, data=data, headers={**JSON, **headers}) as response:
        text = await response.text()
        assert response.status in (200, 202), text
        return text


def rpc(method: str, params: str) -> str:
    return jsontext.dumps(envelope(method)).removesuffix("}") + f',"params":{params}}}'


def said(name: str, more: str = "") -> str:
    """A message of 1.0 with many values."""
    return f'{{"messageId":"{name}","role":"ROLE_USER","parts":[{{"data":{{"n":{TEXT}}}}}]{more}}}'


def at_once(message: str) -> str:
    return f'{{"message":{message},"configuration":{{"returnImmediately":true}}}}'


def found_in(text: str, *path: str | int) -> Any:
    value = jsontext.loads(text)
    for name in path:
        value = value[name]
    return value


async def test_messages_of_many_values_are_taken_and_shown_in_every_dialect(gateway: Gateway) -> None:
    old = said("m-3").replace('"role":"ROLE_USER"', '"kind":"message","role":"user"').replace("[{", '[{"kind":"data",')
    with coded_here() as coded:
        sent = await raw(gateway, "/a2a/", rpc("SendMessage", at_once(said("m-1"))))
        over_http = await raw(gateway, "/a2a/message:send", at_once(said("m-2")))
        keyed = rpc("message/send", f'{{"message":{old},"configuration":{{"blocking":false}}}}')
        older = await raw(gateway, "/a2a/", keyed, **{"Idempotency-Key": "k"})
    id, id_over_http = found_in(sent, "result", "task", "id"), found_in(over_http, "task", "id")
    with coded_here() as shown:
        named = f'{{"id":"{id}"}}'
        newest = await raw(gateway, "/a2a/", rpc("GetTask", named))
        oldest = await raw(gateway, "/a2a/", rpc("tasks/get", named))
        proto = await raw(gateway, f"/a2a/v1/tasks/{id_over_http}")
        lists = [await raw(gateway, "/a2a/", rpc(method, "{}")) for method in ("ListTasks", "tasks/list")]
    assert max(coded.most, shown.most) <= FEW_VALUES
    parts = [
        found_in(sent, "result", "task", "history", 0, "parts", 0),
        found_in(over_http, "task", "history", 0, "parts", 0),
        found_in(older, "result", "history", 0, "parts", 0),
        found_in(newest, "result", "history", 0, "parts", 0),
        found_in(oldest, "result", "history", 0, "parts", 0),
        found_in(proto, "history", 0, "content", 0, "data"),
        *(found_in(text, "result", "tasks", each, "history", 0, "parts", 0) for text in lists for each in range(3)),
    ]
    assert [part["data"]["n"] == MANY for part in parts] == [True] * len(parts)
    assert gateway.running.handed[0].body.count(TEXT.encode()) == 2, "the arguments, and the message"


async def test_the_answer_of_a_question_may_have_many_values(gateway: Gateway) -> None:
    actor, sent = Actor(gateway), await raw(gateway, "/a2a/", rpc("SendMessage", at_once(said("m-1"))))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata={"prompt": "?"})
    answer = said("m-2", f',"taskId":"{found_in(sent, "result", "task", "id")}"')
    with coded_here() as coded:
        await raw(gateway, "/a2a/", rpc("SendMessage", at_once(answer)))
    assert coded.most <= FEW_VALUES
    same = (await actor.take())[1]["payload"]["n"] == MANY
    assert same


LIVE = {
    "an artifact": (f'{{"artifact":{{"parts":[{{"data":{{"n":{TEXT}}}}}]}}}}', {"n": MANY}),
    "a text": (f'{{"token":"hello","n":{TEXT}}}', "hello"),
    "anything": (TEXT, MANY),
}


@pytest.mark.parametrize("method", ["SendStreamingMessage", "message/stream"])
async def test_live_events_of_many_values_are_streamed_in_the_readers_dialect(gateway: Gateway, method: str) -> None:
    newest = method == "SendStreamingMessage"
    part = {"text": "go"} if newest else {"kind": "text", "text": "go"}
    role = "ROLE_USER" if newest else "user"
    params = jsontext.dumps({"message": {"messageId": "m", "role": role, "parts": [part]}})
    async with gateway.session.post(gateway.url + "/a2a/", data=rpc(method, params), headers=JSON) as response:
        reader = Reader(response)
        await reader.next()
        task_id, _ = await Actor(gateway).take()
        for payload, expected in LIVE.values():
            with coded_here() as coded:
                await raw(gateway, f"/mesh/{task_id}/fly", payload)
                while b'"artifact' not in (line := await response.content.readuntil(b"\n\n")):
                    pass
            assert coded.most <= FEW_VALUES
            found = jsontext.loads(line.partition(b"data: ")[2])["result"]
            (shown,) = (found["artifactUpdate"] if newest else found)["artifact"]["parts"]
            data = shown.get("text", shown.get("data"))
            same = data == (expected if newest or not isinstance(expected, list) else {"value": expected})
            assert same, shown.keys()


async def test_an_announcement_of_many_values_announces_nothing(gateway: Gateway) -> None:
    task_id = await gateway.submit("numbers")
    with coded_here() as coded:
        await raw(gateway, f"/mesh/{task_id}/fly", f'{{"resource_updated":"test://a","n":{TEXT}}}')
    assert coded.most <= FEW_VALUES


@pytest.mark.parametrize("at", [0, 1], ids=["here", "at another replica"])
async def test_messages_of_http_sse_may_have_many_values(database_url: str, at: int) -> None:
    async with replicas(database_url) as pair, open_sse(pair) as client:
        await client.initialize()
        call = jsontext.dumps(message("tools/call", {"name": "anything"}, 4)).removesuffix("}}")
        body = f'{call},"arguments":{{"n":{TEXT}}}}}}}'
        with coded_here() as coded:
            # The key goes with it to the other replica.
            await raw(pair[at], client.endpoint, body, **{"Idempotency-Key": "k"})
            await until(pair[0].stored, what="the call")
        assert coded.most <= FEW_VALUES
        _, taken = await Actor(pair[0]).take()
        same = taken["payload"]["n"] == MANY
        assert same


async def test_a_response_of_many_values_is_not_kept(database_url: str) -> None:
    async with replicas(database_url, 1) as (only,):
        client = await connect(only)
        async with client.call("anything") as stream:
            task_id, _ = await Actor(only).take()
            asked = await _asked(only, task_id, stream)
            body = f'{{"jsonrpc":"2.0","id":"{asked}","result":{{"action":"accept","content":{{"n":{TEXT}}}}}}}'
            with coded_here() as coded:
                await raw(only, "/mcp", body, **client.all_headers)
            assert coded.most <= FEW_VALUES
        stored = await only.running.storage.database.fetchval(
            "SELECT response->'error'->>'message' FROM mcp_server_requests"
        )
        assert stored == "the response was too large"


async def _asked(gateway: Gateway, task_id: str, stream: Any) -> str:
    await Actor(gateway).report(
        task_id, "paused", pause_metadata={"prompt": "?", "fields": [{"name": "n", "type": "string"}]}
    )
    request = await stream.message()
    assert request["method"] == "elicitation/create"
    return str(request["id"])


async def test_what_a_client_declares_of_itself_has_few_values(database_url: str) -> None:
    async with replicas(database_url, 1) as (only,):
        hello = jsontext.dumps(message("initialize", {"protocolVersion": "2025-11-25", "clientInfo": {}})).removesuffix(
            "}}"
        )
        with coded_here() as coded:
            text = await raw(only, "/mcp", f'{hello},"capabilities":{{"n":{TEXT}}}}}}}')
        assert coded.most <= FEW_VALUES
        assert "at most 1000 values" in found_in(text, "error", "message")


def test_a_state_that_cannot_fit_is_not_encoded() -> None:
    with coded_here() as coded:
        assert state_text({"params": [0] * (LONGEST_STATE + 1)}) is None
        assert coded.most == 0
        assert state_text({"params": "x" * LONGEST_STATE}) is None
        assert state_text({"params": [0]}) == '{"params":[0]}'
