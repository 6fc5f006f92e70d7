"""The event loop is never held: how late it wakes while large bodies arrive on every surface."""

import asyncio
from typing import Any

import pytest

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.registry_document import RegistryPush
from asya_gateway.domain.flows import FlowTable, ServedFlow
from asya_gateway.protocols.http.keys import FLOWS
from asya_schemas.compiling import compile_schema
from tests.support.event_loop import held, lists, watched
from tests.support.gateway import Gateway, Reader, send, start_gateway
from tests.support.hops import declare, taken
from tests.support.registry import Pod
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

NUMBERS = {"type": "object", "properties": {"n": {"type": "array", "items": {"type": "integer"}}}}


async def text_of_call(gateway: Gateway, body: bytes) -> str:
    """What an MCP call is answered, which the test decodes after it watched the loop."""
    headers = {"Content-Type": "application/json", "Accept": "application/json", "MCP-Protocol-Version": "2025-11-25"}
    async with gateway.session.post(f"{gateway.url}/mcp", data=body, headers=headers) as response:
        return await response.text()


def wrapped(before: str, values: bytes, after: str) -> bytes:
    return before.encode() + b"[" + values + b"]" + after.encode()


def numbers(count: int, last: bytes = b"7") -> bytes:
    return b",".join([*[b"1"] * (count - 1), last])


def add_flow(gateway: Gateway, name: str, schema: dict[str, Any], output: dict[str, Any] | None = None) -> None:
    exposed = {"inputSchema": schema, "progress": True} | ({} if output is None else {"outputSchema": output})
    flow = Flow.model_validate({"name": name, "entrypoint": "first", "mcp": exposed})
    table = gateway.app[FLOWS].table
    made = ServedFlow(flow, compile_schema(schema), check_result=None if output is None else compile_schema(output))
    gateway.app[FLOWS].swap(FlowTable.of(2, [*table.flows.values(), made]))


MCP_CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"numbers","arguments":{"n":'
A2A_SEND = '{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"data":'
SURFACES = {
    "REST": ("/tools/call", '{"name":"numbers","arguments":{"n":', "}}"),
    "MCP": ("/mcp", MCP_CALL, "}}}"),
    "A2A": ("/a2a/", f'{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{A2A_SEND}', "}]}}}"),
    "A2A over HTTP": ("/a2a/message:send", A2A_SEND, "}]}}"),
    "mesh": ("/mesh/some-task/final", '{"status":"succeeded","result":', "}"),
}


@pytest.mark.parametrize("surface", SURFACES)
async def test_four_bodies_of_empty_lists_are_refused_and_hold_nothing(database_url: str, surface: str) -> None:
    path, before, after = SURFACES[surface]
    body = wrapped(before, lists(), after)
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        async with watched() as lag:
            answers = await asyncio.gather(*(send(gateway, path, body) for _ in range(4)))
        assert [status for status, _ in answers] == [413] * 4
        assert "at most 1000000 values" in str(answers[0][1])
        assert await gateway.stored() == 0
    assert not held(lag)


async def test_four_calls_with_as_many_values_as_are_taken_hold_nothing(database_url: str) -> None:
    body = wrapped('{"name":"numbers","arguments":{"n":', numbers(900_000), "}}")
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        async with watched() as lag:
            answers = await asyncio.gather(*(send(gateway, "/tools/call", body) for _ in range(4)))
        assert [status for status, _ in answers] == [200] * 4
        stored = await gateway.running.storage.database.fetchval(
            "SELECT count(*) FROM task_bodies WHERE kind = 'payload' AND length(body::text) > 1800000"
        )
        assert stored == 4
    assert not held(lag)


async def test_a_mistake_among_many_values_is_told_and_holds_nothing(database_url: str) -> None:
    body = wrapped('{"name":"numbers","arguments":{"n":', numbers(900_000, last=b'"x"'), "}}")
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        async with watched() as lag:
            status, answer = await send(gateway, "/tools/call", body)
        assert status == 400
        assert answer["error"]["violations"][0]["path"] == "/n/899999"
    assert not held(lag)


async def test_a_final_report_with_many_values_is_stored_unchanged_and_does_not_block_the_event_loop(
    database_url: str,
) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        body = wrapped('{"status":"succeeded","result":', numbers(900_000), "}")
        async with watched() as lag:
            status, _ = await send(gateway, f"/mesh/{task_id}/final", body)
        assert status == 200
        result = await gateway.running.storage.database.fetchval(
            "SELECT body::text FROM task_bodies WHERE task_id = $1 AND kind = 'result'", task_id
        )
        assert result == f"[{numbers(900_000).decode()}]"
    assert not held(lag)


@pytest.mark.parametrize("output", [None, NUMBERS], ids=["no promise", "an output schema"])
async def test_a_result_of_many_values_is_rendered_for_mcp_and_holds_nothing(
    database_url: str, output: dict[str, Any] | None
) -> None:
    result = b'{"content":null,"n":[' + numbers(900_000) + b"]}"
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS, output)
        call = asyncio.create_task(text_of_call(gateway, (MCP_CALL + "[]}}}").encode()))
        await until(gateway.stored)
        task_id = await gateway.running.storage.database.fetchval("SELECT id FROM tasks")
        final = b'{"status":"succeeded","result":' + result + b"}"
        async with watched() as lag:
            assert (await send(gateway, f"/mesh/{task_id}/final", final))[0] == 200
            text = await call
    answer = jsontext.loads(text)["result"]
    assert answer["isError"] is False
    assert answer["structuredContent"]["n"][-1] == 7
    assert len(answer["content"][0]["text"]) == len(result)
    assert not held(lag)


async def test_a_keyed_call_of_many_values_is_known_again_and_holds_nothing(database_url: str) -> None:
    body = wrapped('{"name":"numbers","arguments":{"n":', numbers(900_000), "}}")
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        async with watched() as lag:
            answers = [await send(gateway, "/tools/call", body, **{"Idempotency-Key": "k"}) for _ in range(2)]
        assert answers[0] == answers[1]
        assert await gateway.stored() == 1
    assert not held(lag)


async def test_a_live_event_of_many_values_becomes_progress_and_holds_nothing(database_url: str) -> None:
    event = b'{"token":"hello","n":[' + lists(900_000) + b"]}"
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        body = (MCP_CALL + '[]},"_meta":{"progressToken":"t"}}}').encode()
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        async with gateway.session.post(f"{gateway.url}/mcp", data=body, headers=headers) as response:
            reader = Reader(response)
            await until(gateway.stored)
            task_id = await gateway.running.storage.database.fetchval("SELECT id FROM tasks")
            async with watched() as lag:
                assert (await send(gateway, f"/mesh/{task_id}/fly", event))[0] == 200
                said = ""
                while said != "hello":
                    found = await reader.next()
                    assert found is not None
                    said = found.data["params"].get("message")
    assert not held(lag)


async def test_a_registry_of_many_values_is_taken_and_served_and_holds_nothing(database_url: str) -> None:
    flow = {"entrypoint": "a", "mcp": {"inputSchema": {"enum": [[1]] * 40}}}
    flows = [{"source": "flows.yaml", "flow": {"name": f"flow-{number}", **flow}} for number in range(10_000)]
    pod = await Pod(database_url, "pod").start()
    try:
        epoch = await pod.store.announce("test")
        push = RegistryPush.model_validate({"epoch": epoch, "configmap": {"hash": "one", "flows": flows}})
        kept = {"epoch": epoch, "configmap": {"hash": "two", "unreadable": ["flows.yaml"]}}
        async with watched() as lag:
            await pod.store.push(push)
            await until(lambda: len(pod.served) == len(flows), seconds=60)
            await pod.store.push(RegistryPush.model_validate(kept))
            await until(lambda: pod.generation == 2, seconds=60)
        assert len(pod.served) == len(flows)
    finally:
        await pod.stop()
    assert not held(lag)


async def test_a_failure_with_many_values_says_what_it_can_and_holds_nothing(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        details = '{"type":"Bad","message":"no","rows":'
        body = wrapped(f'{{"status":"failed","error":"runtime_error","error_details":{details}', lists(1_350_000), "}}")
        async with watched() as lag:
            status, _ = await send(gateway, f"/mesh/{task_id}/final", body)
            assert status == 200
            _, task = await gateway.get(f"/tasks/{task_id}")
        assert task["error"]["message"] == "no"
        assert task["error"]["details"] == {"type": "Bad", "message": "no", "left_out": ["rows"]}
    assert not held(lag)


@pytest.mark.parametrize("quoted", [False, True], ids=["object", "text"])
async def test_a_question_with_many_values_fails_its_task_and_holds_nothing(database_url: str, quoted: bool) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        question = wrapped('{"prompt":"?","data":', lists(900_000), "}").decode()
        metadata = jsontext.dumps(question) if quoted else question
        body = f'{{"status":"paused","prev":[],"curr":"first","next":[],"pause_metadata":{metadata}}}'.encode()
        async with watched() as lag:
            status, _ = await send(gateway, f"/mesh/{task_id}/progress", body)
        assert status == 400
        _, task = await gateway.get(f"/tasks/{task_id}")
        assert (task["status"], task["error"]["details"]["type"]) == ("failed", "BadPause")
        assert "at most 20000 values" in task["error"]["message"]
    assert not held(lag)


async def test_an_answer_to_a_checkpoint_with_many_values_is_put_into_it_and_holds_nothing(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        fields = '{"prompt":"?","fields":[{"name":"ok","type":"boolean"}]}'
        checkpoint = f'{{"id":"{task_id}","route":{{"prev":["first"],"curr":"second","next":[]}},"payload":{{"rows":'
        body = f'{{"status":"paused","prev":["first"],"curr":"second","next":[],"pause_metadata":{fields},'
        paused = wrapped(f'{body}"checkpoint":{checkpoint}', lists(1_350_000), "}}}")
        assert (await send(gateway, f"/mesh/{task_id}/progress", paused))[0] == 200
        async with watched() as lag:
            status, task = await send(gateway, f"/tasks/{task_id}/resume", b'{"answer":{"ok":true}}')
        assert (status, task["status"]) == (200, "running")
        filled = jsontext.loads(gateway.running.handed[-1].body)["headers"]["x-asya-resume-checkpoint"]["payload"]
        assert (len(filled["rows"]), filled["ok"]) == (450_000, True)
    assert not held(lag)


async def test_a_unified_end_with_too_many_values_fails_its_task(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        body = wrapped('{"type":"status","status":"succeeded","data":{"result":', lists(4_000_000), "}}")
        assert (await send(gateway, f"/api/v1/mesh/{task_id}/events", body))[0] == 413
        _, task = await gateway.get(f"/tasks/{task_id}")
        assert (task["status"], task["error"]["details"]["type"]) == ("failed", "ResultTooLarge")


async def test_the_end_of_a_hop_with_a_large_envelope_holds_nothing(database_url: str) -> None:
    """Its JSON is text within text, so that each of its quotes is escaped."""
    async with start_gateway(database_url, embedded=True) as gateway:
        await declare(gateway.running, "first", "second")
        task_id = await gateway.submit("shout", {"text": "hi"})
        ack = await taken(gateway.running, "first")
        route = {"prev": [], "curr": "first", "next": ["second"]}
        hop = {"id": task_id, **route, "claim": {"hop": "0", "attempt": 1, "claimant": "me"}}
        payload = '{"names":[' + ",".join(['"a name"'] * 1_000_000) + "]}"
        send_on = {"to": "second", "id": task_id, "head": '{"id":"x"}', "payload": payload}
        receipt = {"message": ack.message, "receipt": ack.receipt}
        named = {"transport": "postgres", "namespace": "default"}
        ends = jsontext.dumps(
            {"queues": named, "reports": [{"kind": "end", **hop, "sends": [send_on], "ack": receipt}]}
        ).encode()
        begins = jsontext.dumps({"queues": named, "reports": [{"kind": "begin", **hop}]}).encode()
        assert len(ends) > 10 * 1024 * 1024
        other = {**hop, "id": await gateway.submit("shout", {"text": "hi"})}
        beside = jsontext.dumps({"queues": named, "reports": [{"kind": "begin", **other}]}).encode()
        await send(gateway, "/mesh/hops/reports", begins)
        async with watched() as lag:
            (status, ended), (_, begun) = await asyncio.gather(
                send(gateway, "/mesh/hops/reports", ends), send(gateway, "/mesh/hops/reports", beside)
            )
        assert (status, ended) == (200, {"answers": [{"outcome": "ended"}]})
        assert begun["answers"][0]["action"] == "go"
    assert not held(lag)
