"""tools/call without a handshake: from the task's log to the stream, and every way in which it may end."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from asya_gateway.protocols.http.keys import HELD, READINESS
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.storage.coalescer import Coalescer
from tests.support.gateway import Event, Gateway, Reader
from tests.support.late_readers import readers_wait
from tests.support.mcp import (
    Actor,
    ask,
    calling,
    conforms,
    open_post,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.waiting import until


def final(events: list[Event]) -> Any:
    return events[-1].data


async def test_a_call_without_arguments_is_a_call_with_none(gateway: Gateway, actor: Actor) -> None:
    """server/tools: `arguments` is optional."""
    body = stateless_body("tools/call", {"name": "anything"})
    async with open_post(gateway, body, stateless_headers(body)) as response:
        _, envelope = await actor.take()
        assert envelope["payload"] == {}
        await actor.end(envelope["id"], result={})
        assert (await Reader(response).all())[-1].data["result"]["structuredContent"] == {}


async def test_the_stream_carries_progress_and_then_the_answer(gateway: Gateway, actor: Actor) -> None:
    """patterns/progress: 'The progress value MUST increase with each notification'; the response comes last."""
    async with calling(gateway, "shout", {"text": "hi"}, token="t-1") as call:
        task_id, envelope = await actor.take()
        assert envelope["payload"] == {"text": "hi"}
        await actor.report(task_id, "received", message="warming up", next=["second"])
        await actor.fly(task_id, {"token": "he"})
        await actor.fly(task_id, {"artifact_update": {"artifact": {"parts": [{"text": "ll"}, {"text": "o"}]}}})
        await actor.fly(task_id, {"picture": 1})
        await actor.report(task_id, "completed", next=["second"])
        await actor.report(task_id, "completed", curr="second", prev=["first"])
        await actor.end(task_id, result={"text": "HI"})
        status, events = await call
    assert status == 200
    for event in events[:-1]:
        conforms(event.data, "ProgressNotification")
        assert event.data["params"]["progressToken"] == "t-1"
    params = [event.data["params"] for event in events[:-1]]
    said = [each["message"] for each in params if "message" in each]
    live = ["he", "llo"]
    assert [each for each in said if each not in live] == [
        "Task created", "warming up", "first: completed", "second: completed",
    ]  # fmt: skip
    # A live event comes after what was stored before it; what is stored after it may overtake it.
    assert [each for each in said if each in live] == live
    assert said.index("warming up") < said.index("he")
    values = [each["progress"] for each in params]
    assert values == sorted(set(values))
    assert values[-1] == 100
    conforms(final(events), "CallToolResultResponse")


@pytest.mark.parametrize("ended", [False, True])
async def test_what_an_actor_says_before_anybody_listens_is_told(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch, *, ended: bool
) -> None:
    """An actor has the call as soon as it is stored, which is before the request that stored it follows the task."""
    begins = readers_wait(gateway, monkeypatch)
    async with calling(gateway, "anything", token=1) as call:
        task_id, _ = await actor.take()
        await actor.report(task_id, "received", message="warming up")
        await actor.fly(task_id, {"token": "he"})
        if ended:
            await actor.end(task_id, result=1)
        begins.set()
        if not ended:
            await actor.end(task_id, result=1)
        _, events = await call
    said = [event.data["params"].get("message") for event in events[:-1]]
    assert said == ["Task created", "warming up", "he", None]
    assert final(events)["result"]["structuredContent"] == 1


async def test_a_refused_call_leaves_nobody_who_listens(database_url: str) -> None:
    async with start_mcp(database_url, max_open_tasks_per_flow=1) as gateway:
        await gateway.submit()
        async with calling(gateway, "anything", token=1) as call:
            assert (await call)[0] == 429
        assert gateway.running.storage.feed.followers == 0


async def test_without_a_token_there_is_no_progress(gateway: Gateway, actor: Actor) -> None:
    """patterns/progress: 'Progress notifications MUST only reference tokens that ... Were provided in an
    active request'."""
    async with calling(gateway, "anything") as call:
        await actor.serve({})
        assert len((await call)[1]) == 1


async def test_a_flow_may_keep_its_progress_to_itself(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "quiet", token=1) as call:
        await actor.serve({})
        assert len((await call)[1]) == 1


async def test_a_silent_stream_is_kept_alive(gateway: Gateway, actor: Actor) -> None:
    """transports/streamable-http: a server MAY send comments to keep the connection open."""
    body = stateless_body("tools/call", {"name": "anything"})
    async with open_post(gateway, body, stateless_headers(body)) as response:
        reader = Reader(response)
        assert response.headers["X-Accel-Buffering"] == "no"
        await reader.comment()
        assert await reader.comment() == "keep-alive"
        task_id, _ = await actor.take()
        await actor.end(task_id, result=1)
        assert (await reader.all())[-1].id is None


async def test_a_call_that_is_answered_at_once_is_one_document(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """streamable-http, "Sending Messages": the server 'MUST return either `Content-Type: application/json` ... or
    `Content-Type: text/event-stream`'."""
    monkeypatch.setattr(WaitLimit, "tick", 60.0)  # however long a busy machine takes for it
    async with calling(gateway, "anything") as call:
        await actor.serve({"n": 1})
        status, events = await call
    assert (status, [event.name for event in events]) == (200, ["json"])
    assert events[0].data["result"]["structuredContent"] == {"n": 1}


async def test_a_call_that_is_quiet_for_a_moment_becomes_a_stream(gateway: Gateway, actor: Actor) -> None:
    """So that proxies and clients see that it lives."""
    body = stateless_body("tools/call", {"name": "anything", "arguments": {}})
    async with open_post(gateway, body, stateless_headers(body)) as response:  # its head comes before the answer
        assert response.content_type == "text/event-stream"
        task_id, _ = await actor.take()
        await actor.end(task_id, result={"n": 2})
        events = await Reader(response).all()
    assert [event.data["result"]["structuredContent"] for event in events] == [{"n": 2}]


async def test_a_client_that_takes_json_alone_gets_json(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "anything", token=1, Accept="application/json") as call:
        await actor.serve({"n": 1})
        status, events = await call
    assert (status, [event.name for event in events]) == (200, ["json"])
    conforms(final(events), "CallToolResultResponse")


async def test_a_client_that_accepts_only_streams_gets_one_for_everything(gateway: Gateway) -> None:
    status, answer = await ask(gateway, "tools/list", Accept="text/event-stream")
    assert (status, "tools" in answer["result"]) == (200, True)


@pytest.mark.parametrize(
    ("value", "text", "structured"),
    [
        ({"a": [1, 2**70]}, '{"a":[1,1180591620717411303424]}', {"a": [1, 2**70]}),
        ([1, 2], "[1,2]", [1, 2]),
        ("plain text", "plain text", "plain text"),
        (7, "7", 7),
        (False, "false", False),
        ("\ud800 alone", "\ud800 alone", "\ud800 alone"),
        ({"content": [{"type": []}]}, '{"content":[{"type":[]}]}', {"content": [{"type": []}]}),
        ({"content": "mine"}, '{"content":"mine"}', {"content": "mine"}),
        ({"content": [{"type": "text"}]}, '{"content":[{"type":"text"}]}', {"content": [{"type": "text"}]}),
    ],
)
async def test_any_value_comes_as_text_and_as_itself(
    gateway: Gateway, actor: Actor, value: Any, text: str, structured: Any
) -> None:
    """server/tools, "Structured Content": any JSON value, and 'SHOULD also return the serialized JSON in a TextContent
    block'."""
    async with calling(gateway, "anything") as call:
        await actor.serve(value)
        answer = final((await call)[1])
    conforms(answer, "CallToolResultResponse")
    result = answer["result"]
    assert (result["content"], result["structuredContent"], result["isError"]) == (
        [{"type": "text", "text": text}],
        structured,
        False,
    )


async def test_null_is_text_alone(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "anything") as call:
        await actor.serve(None)
        result = final((await call)[1])["result"]
    assert ([block["text"] for block in result["content"]], "structuredContent" in result) == (["null"], False)


BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "hello"},
    {"type": "image", "data": "aGk=", "mimeType": "image/png"},
    {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"},
    {"type": "resource", "resource": {"uri": "test://x", "mimeType": "text/plain", "text": "x"}},
    {"type": "resource_link", "uri": "test://y", "name": "y"},
]


async def test_a_flow_may_answer_in_content_blocks(gateway: Gateway, actor: Actor) -> None:
    """server/tools, "Tool Result": text, images, audio, links and embedded resources."""
    async with calling(gateway, "anything") as call:
        await actor.serve({"content": BLOCKS, "isError": True, "_meta": {"example.com/a": 1}})
        answer = final((await call)[1])
    conforms(answer, "CallToolResultResponse")
    assert (answer["result"]["content"], answer["result"]["isError"]) == (BLOCKS, True)
    assert answer["result"]["_meta"]["example.com/a"] == 1
    assert "structuredContent" not in answer["result"]


async def test_every_violation_of_the_schema_is_listed_with_its_path(gateway: Gateway) -> None:
    """server/tools, "Error Handling": input validation errors are results with isError, which a model can act on."""
    status, answer = await ask(
        gateway, "tools/call", {"name": "person", "arguments": {"person": {"age": "x"}, "n": []}}
    )
    conforms(answer, "CallToolResultResponse")
    text = answer["result"]["content"][0]["text"]
    assert (status, answer["result"]["isError"]) == (200, True)
    assert "- /person/age: " in text
    assert "- /n: " in text
    assert await gateway.stored() == 0


async def test_an_actors_error_is_the_tools_own(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "anything") as call:
        task_id, _ = await actor.take()
        await actor.end(task_id, "failed", error="no such city", **{"class": "business"})
        answer = final((await call)[1])
    conforms(answer, "CallToolResultResponse")
    assert (answer["result"]["isError"], answer["result"]["content"][0]["text"]) == (True, "no such city")


async def test_a_failure_of_the_runtime_is_an_internal_error_that_names_the_task(
    gateway: Gateway, actor: Actor
) -> None:
    """basic, "Error Codes": -32603; the traceback stays where the task's owner can read it."""
    async with calling(gateway, "anything") as call:
        task_id, _ = await actor.take()
        details = {"message": "boom", "type": "KeyError", "mro": [], "traceback": "secret path"}
        more = {"class": "runtime", "attempts": 3, "current_actor_name": "first"}
        await actor.end(task_id, "failed", error="worker lost", error_details=details, **more)
        answer = final((await call)[1])
    conforms(answer, "JSONRPCErrorResponse")
    assert (answer["id"], answer["error"]["code"], answer["error"]["message"]) == (1, -32603, "worker lost")
    data = answer["error"]["data"]
    assert (data["task_id"], data["class"], data["status_url"]) == (task_id, "runtime", f"/tasks/{task_id}")
    assert "secret" not in str(answer)


async def test_a_task_past_its_deadline_is_an_internal_error(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "hasty") as call:
        await actor.take()
        answer = final((await call)[1])
    assert (answer["error"]["code"], answer["error"]["data"]["class"]) == (-32603, "deadline")


async def test_a_canceled_task_is_an_internal_error(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "anything") as call:
        task_id, _ = await actor.take()
        assert (await gateway.post(f"/tasks/{task_id}/cancel"))[0] == 200
        answer = final((await call)[1])
    assert (answer["error"]["code"], answer["error"]["data"]["class"]) == (-32603, "canceled")


async def test_a_task_that_asks_something_says_where_the_answer_goes(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "anything") as call:
        task_id, _ = await actor.take()
        question = {"prompt": "Delete it?", "fields": [{"name": "sure", "type": "boolean"}]}
        await actor.report(task_id, "paused", pause_metadata=question)
        answer = final((await call)[1])
    conforms(answer, "CallToolResultResponse")
    result = answer["result"]
    text, details = result["content"][0]["text"], result["structuredContent"]
    assert result["isError"] is False
    assert details["task_id"] == task_id
    assert details["answer_url"] == f"/tasks/{task_id}/resume"
    assert details["pause"]["prompt"] == "Delete it?"
    for needed in (task_id, "Delete it?", details["answer_url"], '"sure"'):
        assert needed in text
    assert (await gateway.post(details["answer_url"], {"answer": {"sure": True}}))[0] == 200


async def test_a_call_whose_wait_is_over_says_that_the_task_continues(database_url: str) -> None:
    async with start_mcp(database_url, mcp_max_wait=0.5, public_url="https://gateway.example/base/") as gateway:
        actor = Actor(gateway)
        async with calling(gateway, "anything") as call:
            task_id, _ = await actor.take()
            answer = final((await call)[1])
        conforms(answer, "CallToolResultResponse")
        result = answer["result"]
        assert result["isError"] is False
        assert result["structuredContent"]["status_url"] == f"https://gateway.example/base/tasks/{task_id}"
        assert task_id in result["content"][0]["text"]
        assert await actor.status(task_id) == "pending"


async def test_closing_the_stream_cancels_the_task(gateway: Gateway, actor: Actor) -> None:
    """patterns/cancellation: 'The server MUST treat a client disconnect as cancellation of that request.'"""
    async with calling(gateway, "anything") as call:
        task_id, _ = await actor.take()
        call.cancel()
        await until(lambda: _is(actor, task_id, "canceled"))


async def test_leaving_a_call_that_waits_for_json_cancels_the_task(gateway: Gateway, actor: Actor) -> None:
    async with calling(gateway, "anything", Accept="application/json") as call:
        task_id, _ = await actor.take()
        call.cancel()
        await until(lambda: _is(actor, task_id, "canceled"))


@pytest.mark.parametrize("capped", [False, True])
async def test_leaving_while_the_call_is_being_stored_cancels_the_task(database_url: str, *, capped: bool) -> None:
    """patterns/cancellation: 'The server MUST treat a client disconnect as cancellation of that request.' Nobody knows
    the task yet, and the client is gone when it is committed."""
    async with start_mcp(database_url, max_open_tasks_per_flow=10 if capped else 0) as gateway:
        batches = gateway.running.storage.tasks.batches
        writes: Coalescer[Any, Any] = batches.admissions if capped else batches.creates
        flush, begun, gate = writes._flush, asyncio.Event(), asyncio.Event()

        async def slowly(batch: Sequence[Any]) -> Sequence[Any]:
            begun.set()
            await gate.wait()
            return await flush(batch)

        writes._flush = slowly
        async with calling(gateway, "anything"):
            async with asyncio.timeout(10):
                await begun.wait()
        await until(lambda: not len(gateway.app[HELD]), what="the handler of the call that was left")
        gate.set()
        actor = Actor(gateway)
        task_id, _ = await actor.take()
        await until(lambda: _is(actor, task_id, "canceled"))


async def test_a_draining_pod_answers_that_the_task_continues_and_cancels_nothing(database_url: str) -> None:
    """A pod that ends closes streams too, and nobody means cancellation by that."""
    async with start_mcp(database_url, drain_timeout=5) as gateway:
        actor = Actor(gateway)
        async with calling(gateway, "anything") as call:
            task_id, _ = await actor.take()
            gateway.stop.set()
            result = final((await call)[1])["result"]
        assert result["structuredContent"]["task_id"] == task_id
    async with start_mcp(database_url) as again:
        assert await Actor(again).status(task_id) == "pending"


async def test_a_subscription_ends_with_its_result_when_the_pod_drains(gateway: Gateway) -> None:
    """patterns/subscriptions, "Graceful Closure": 'it SHOULD respond to the original subscriptions/listen request with
    a completion result before closing the stream'."""
    body = stateless_body("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    async with open_post(gateway, body, stateless_headers(body)) as response:
        reader = Reader(response)
        await reader.next()
        gateway.stop.set()
        last = (await reader.all())[-1].data
    conforms(last, "SubscriptionsListenResultResponse")
    assert last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1


async def test_a_subscription_that_begins_after_sigterm_is_served_until_the_port_closes(database_url: str) -> None:
    """A pod is in the Service for a moment after it was told to stop, and refuses nobody who comes meanwhile."""
    body = stateless_body("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    async with start_mcp(database_url, drain_delay=1.0) as gateway:
        gateway.stop.set()
        await until(lambda: gateway.app[READINESS].draining)
        async with open_post(gateway, body, stateless_headers(body)) as response:
            assert response.status == 200
            reader = Reader(response)
            assert await reader.next() is not None
            assert gateway.app[READINESS].closing is False
            assert "result" in (await reader.all())[-1].data


async def test_too_many_streams_leave_no_task_behind(database_url: str) -> None:
    async with start_mcp(database_url, max_streams=1) as gateway:
        actor = Actor(gateway)
        async with calling(gateway, "anything"):
            await actor.take()
            async with calling(gateway, "anything") as second:
                status, events = await second
            assert (status, final(events)["error"]["code"]) == (503, -32603)
            assert await gateway.stored() == 1


async def test_the_trace_context_reaches_the_envelope(gateway: Gateway, actor: Actor) -> None:
    """basic, "_meta": 'their values MUST follow W3C Trace Context'."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    params = {"name": "anything", "_meta": {"traceparent": parent, "tracestate": "a=1,b=2"}}
    body = stateless_body("tools/call", params)
    headers = {**stateless_headers(body), "traceparent": parent.replace("b7ad", "0000")}
    async with open_post(gateway, body, headers):
        _, envelope = await actor.take()
    assert (envelope["headers"]["traceparent"], envelope["headers"]["tracestate"]) == (parent, "a=1,b=2")


async def test_a_malformed_trace_context_is_dropped(gateway: Gateway, actor: Actor) -> None:
    body = stateless_body("tools/call", {"name": "anything", "_meta": {"traceparent": "nonsense", "tracestate": 7}})
    async with open_post(gateway, body, stateless_headers(body)):
        _, envelope = await actor.take()
    assert "traceparent" not in envelope["headers"]


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "eu"}, {"Mcp-Param-Region": "eu"}),
        ({"region": " é "}, {"Mcp-Param-Region": "=?base64?IMOpIA==?="}),
        ({"count": 42}, {"mcp-param-count": "42.0"}),
        ({}, {}),
    ],
)
async def test_parameter_headers_that_agree_are_taken(
    gateway: Gateway, actor: Actor, arguments: dict[str, Any], headers: dict[str, str]
) -> None:
    """transports/streamable-http: integers compare as numbers (SHOULD)."""
    async with calling(gateway, "regional", arguments, **headers) as call:
        await actor.serve({})
        assert "result" in final((await call)[1])


async def _is(actor: Actor, task_id: str, status: str) -> bool:
    return await actor.status(task_id) == status
