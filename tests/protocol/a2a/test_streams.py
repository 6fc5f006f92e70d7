"""Streams: the task first, then its events in the order of the log (specification 1.0, sections 3.1.2, 3.1.6, 3.5)."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.domain.budget import Share
from asya_gateway.protocols.a2a.streaming import quiet_for
from asya_gateway.protocols.http.keys import BUDGET, READINESS
from asya_gateway.protocols.http.sse import EventStream
from tests.support.a2a import SKILLS, conforms, envelope, open_post, rpc, streaming, text_message
from tests.support.blocks import counted_blocks
from tests.support.gateway import Gateway, Reader, make_settings, start_gateway
from tests.support.late_readers import readers_wait
from tests.support.mcp import Actor, serve_tools
from tests.support.waiting import until

SEND = {"message": text_message("tell")}


def kinds(events: list[Any]) -> list[str]:
    return [next(iter(event.data["result"])) for event in events]


async def all_of(reader: Reader) -> list[Any]:
    events = await reader.all()
    for event in events:
        conforms(event.data["result"], "StreamResponse")
    return events


async def test_a_stream_is_the_task_then_its_events_and_closes_with_the_end(gateway: Gateway, actor: Actor) -> None:
    """3.1.2: 'The stream MUST begin with a Task object ... and MUST close when the task reaches a terminal state'."""
    async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo") as reader:
        task_id, _ = await actor.take()
        await actor.report(task_id, "received", message="on it")
        for token in ("Once ", "upon"):
            await actor.fly(task_id, {"token": token})
        await actor.end(task_id, result={"story": "Once upon a time"})
        events = await all_of(reader)
    assert kinds(events) == [
        "task",
        "statusUpdate",
        "artifactUpdate",
        "artifactUpdate",
        "artifactUpdate",
        "statusUpdate",
    ]
    chunks = [event.data["result"]["artifactUpdate"] for event in events if "artifactUpdate" in event.data["result"]]
    assert [chunk["append"] for chunk in chunks] == [False, True, False]
    assert {chunk["artifact"]["artifactId"] for chunk in chunks} == {"result"}
    assert chunks[-1]["lastChunk"] is True
    assert chunks[-1]["artifact"]["parts"] == [{"data": {"story": "Once upon a time"}}]
    assert events[1].data["result"]["statusUpdate"]["status"]["message"]["parts"] == [{"text": "on it"}]
    assert events[-1].data["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [event.id for event in events] == ["1", "2", None, None, "3.1", "3.2"]


@pytest.mark.parametrize("new", [True, False])
async def test_what_an_actor_says_before_its_stream_is_open_is_a_chunk(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch, *, new: bool
) -> None:
    """An actor has a message as soon as it is stored, which is before the stream that it began follows the task."""
    said = SEND
    if not new:
        await rpc(gateway, "SendMessage", {**SEND, "configuration": {"returnImmediately": True}}, path="/a2a/echo")
        task_id, _ = await actor.take()
        fields = [{"name": "sure", "type": "boolean"}]
        await actor.report(task_id, "paused", pause_metadata={"prompt": "Sure?", "fields": fields})
        said = {"message": text_message("yes", taskId=task_id)}
    begins, opened = readers_wait(gateway, monkeypatch), asyncio.Event()

    async def read() -> list[Any]:
        async with streaming(gateway, "SendStreamingMessage", said, path="/a2a/echo") as reader:
            await reader.next()
            opened.set()
            return await all_of(reader)

    reading = asyncio.create_task(read())
    task_id, _ = await actor.take()
    await actor.fly(task_id, {"token": "Once "})
    begins.set()
    async with asyncio.timeout(10):
        await opened.wait()
    await actor.end(task_id, result={"story": "Once upon a time"})
    chunks = [
        each.data["result"]["artifactUpdate"] for each in await reading if "artifactUpdate" in each.data["result"]
    ]
    assert chunks[0]["artifact"]["parts"] == [{"text": "Once "}]


async def test_the_first_event_of_a_new_task_is_not_read_and_nothing_after_it_is_missed(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_blocks(monkeypatch) as counted:
        async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo") as reader:
            first = await reader.next()
            written = [sql for _, sql in counted.statements if "a2a_" in sql or "FROM tasks t" in sql]
            assert len(written) == 1, written
            assert first is not None
            task = first.data["result"]["task"]
            await actor.take()
            await actor.fly(task["id"], {"token": "a"})
            await actor.report(task["id"], "received")
            await actor.end(task["id"], result="done")
            events = await all_of(reader)
    assert (first.id, task["status"]["state"]) == ("1", "TASK_STATE_SUBMITTED")
    assert [event.id for event in events] == [None, "2", "3.1", "3.2"]


async def test_an_open_stream_does_not_keep_the_messages_that_it_began_with(gateway: Gateway, actor: Actor) -> None:
    said = {"message": text_message("x" * 100_000)}
    async with streaming(gateway, "SendStreamingMessage", said, path="/a2a/echo") as reader:
        task_id, _ = await actor.take()
        first = await reader.next()
        assert first is not None
        assert len(first.data["result"]["task"]["history"][0]["parts"][0]["text"]) == 100_000
        budget = gateway.app[BUDGET]
        await until(lambda: budget.holds(Share.READERS) == budget.holds(Share.CALLS) == 0, what="all to be given back")
        await actor.end(task_id, result="done")
        assert kinds(await all_of(reader)) == ["artifactUpdate", "statusUpdate"]


async def test_a_subscriber_sees_the_task_and_stays_when_it_asks(gateway: Gateway, actor: Actor) -> None:
    """3.1.6: SubscribeToTask 'MUST return a Task object as the first event'."""
    params = {**SEND, "configuration": {"returnImmediately": True}}
    task_id = (await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"]["id"]
    await actor.take()
    await actor.report(task_id, "received")
    async with streaming(gateway, "SubscribeToTask", {"id": task_id}) as reader:
        first = await reader.next()
        assert first is not None
        assert first.data["result"]["task"]["status"]["state"] == "TASK_STATE_WORKING"
        fields = [{"name": "sure", "type": "boolean"}]
        await actor.report(task_id, "paused", pause_metadata={"prompt": "Sure?", "fields": fields})
        asked = await reader.next()
        assert asked is not None
        assert asked.data["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        yes = {"message": text_message("yes", taskId=task_id), "configuration": {"returnImmediately": True}}
        await rpc(gateway, "SendMessage", yes)
        await actor.take()
        await actor.end(task_id, result=1)
        rest = await all_of(reader)
    assert kinds(rest) == ["statusUpdate", "artifactUpdate", "statusUpdate"]
    ended = await rpc(gateway, "SubscribeToTask", {"id": task_id})
    assert ended["error"]["code"] == -32004


async def test_a_stream_that_a_message_began_closes_at_a_question(gateway: Gateway, actor: Actor) -> None:
    async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo") as reader:
        task_id, _ = await actor.take()
        fields = [{"name": "sure", "type": "boolean"}]
        await actor.report(task_id, "paused", pause_metadata={"prompt": "Sure?", "fields": fields})
        events = await all_of(reader)
    assert events[-1].data["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"


async def test_a_reader_that_comes_back_goes_on_after_the_last_event_it_saw(gateway: Gateway, actor: Actor) -> None:
    params = {**SEND, "configuration": {"returnImmediately": True}}
    task_id = (await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"]["id"]
    await actor.take()
    await actor.report(task_id, "received")
    await actor.report(task_id, "processing")
    await actor.end(task_id, result=1)
    async with streaming(gateway, "SubscribeToTask", {"id": task_id}, **{"Last-Event-ID": "2"}) as reader:
        events = await all_of(reader)
    assert [event.id for event in events] == ["3", "4.1", "4.2"]
    async with streaming(gateway, "SubscribeToTask", {"id": task_id}, **{"Last-Event-ID": "4.1"}) as reader:
        assert [event.id for event in await all_of(reader)] == ["4.1", "4.2"]


async def test_a_stream_that_begins_after_sigterm_is_served_until_the_port_closes(database_url: str) -> None:
    """A pod is in the Service for a moment after it was told to stop, and refuses nobody who comes meanwhile."""
    async with start_gateway(database_url, drain_delay=1.0) as gateway:
        serve_tools(gateway, SKILLS)
        gateway.stop.set()
        await until(lambda: gateway.app[READINESS].draining)
        async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo") as reader:
            begun = await reader.next()
            assert begun is not None
            task_id = begun.data["result"]["task"]["id"]
            async with streaming(gateway, "SubscribeToTask", {"id": task_id}) as second:
                assert await second.next() is not None
                assert await second.all() == []
            assert await reader.all() == []
        await gateway.served
    async with start_gateway(database_url) as again:
        assert (await Actor(again).status(task_id)) == "pending"


async def test_events_that_are_there_together_are_written_together(
    gateway: Gateway, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = EventStream.write

    async def noted(self: EventStream, chunk: bytes) -> None:
        written.append(chunk.count(b"data: "))
        await write(self, chunk)

    sent = await rpc(gateway, "SendMessage", {**SEND, "configuration": {"returnImmediately": True}}, path="/a2a/echo")
    await actor.serve("done")
    monkeypatch.setattr(EventStream, "write", noted)
    named = {"id": sent["result"]["task"]["id"]}
    async with streaming(gateway, "SubscribeToTask", named, **{"Last-Event-ID": "1"}) as reader:
        events = await all_of(reader)
    assert [event.id for event in events] == ["2", "3", "4", "5.1", "5.2"]
    assert [number for number in written if number] == [5]


async def test_an_event_is_one_line_however_its_result_was_written(gateway: Gateway, actor: Actor) -> None:
    """Some readers decode each line of an event alone. A large result is kept as the text in which it came."""
    result = {"rows": [{"n": number, "text": "a\u2028b\nc"} for number in range(100)]}
    async with open_post(gateway, envelope("SendStreamingMessage", SEND), path="/a2a/echo") as response:
        task_id, _ = await actor.take()
        body = json.dumps({"id": task_id, "status": "succeeded", "result": result}, indent=2).replace("\n", "\r\n")
        headers = {"Content-Type": "application/json"}
        final = gateway.session.post(f"{gateway.url}/mesh/{task_id}/final", data=body.encode(), headers=headers)
        async with final as reported:
            assert reported.status == 200
        lines = (await response.text()).split("\n")
    events = [jsontext.loads(line.removeprefix("data: "))["result"] for line in lines if line.startswith("data: ")]
    assert [next(iter(event)) for event in events] == ["task", "artifactUpdate", "statusUpdate"]
    assert events[1]["artifactUpdate"]["artifact"]["parts"] == [{"data": result}]


async def test_a_reader_who_has_seen_the_end_is_told_that_the_task_has_ended(gateway: Gateway, actor: Actor) -> None:
    params = {**SEND, "configuration": {"returnImmediately": True}}
    task_id = (await rpc(gateway, "SendMessage", params, path="/a2a/echo"))["result"]["task"]["id"]
    await actor.take()
    await actor.end(task_id, result=1)
    for seen in ("2", "2.2", "9"):
        ended = await rpc(gateway, "SubscribeToTask", {"id": task_id}, **{"Last-Event-ID": seen})
        assert ended["error"]["code"] == -32004
    async with streaming(gateway, "SubscribeToTask", {"id": task_id}, **{"Last-Event-ID": "2.1"}) as reader:
        assert [event.id for event in await all_of(reader)] == ["2.1", "2.2"]


async def test_a_new_task_is_shown_whatever_its_reader_has_seen_of_others(gateway: Gateway, actor: Actor) -> None:
    headers = {"Last-Event-ID": "7", "Idempotency-Key": "k"}
    async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo", **headers) as reader:
        task_id, _ = await actor.take()
        begun = await reader.next()
        assert begun is not None
        assert "task" in begun.data["result"]
        await actor.report(task_id, "received")
        # The same message again, from a reader that goes on; and one whose log this cannot be.
        after = {**headers, "Last-Event-ID": str(begun.id)}
        async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo", **after) as again:
            update = await again.next()
            assert update is not None
            assert (update.id, kinds([update])) == ("2", ["statusUpdate"])
        async with streaming(gateway, "SubscribeToTask", {"id": task_id}, **{"Last-Event-ID": "99"}) as other:
            first = await other.next()
            assert first is not None
            assert kinds([first]) == ["task"]
            await actor.end(task_id, result=1)
            assert kinds(await all_of(other)) == ["artifactUpdate", "statusUpdate"]
        await all_of(reader)
    async with streaming(
        gateway, "SendStreamingMessage", SEND, path="/a2a/echo", **{**headers, "Last-Event-ID": "3.2"}
    ) as late:
        assert await all_of(late) == []


async def test_an_error_before_the_first_event_is_a_plain_answer(gateway: Gateway) -> None:
    """3.1.2: errors are answered before the stream begins."""
    for method, params in (("SendStreamingMessage", {"message": {}}), ("SubscribeToTask", {"id": "nobody"})):
        async with open_post(gateway, envelope(method, params)) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            assert "error" in await response.json()


async def test_the_older_dialect_ends_its_stream_with_final(gateway: Gateway, actor: Actor) -> None:
    """0.3, TaskStatusUpdateEvent.final: 'If true, this is the final event in the stream for this interaction'."""
    message = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
    async with streaming(gateway, "message/stream", {"message": message}, path="/a2a/echo", version=None) as reader:
        task_id, _ = await actor.take()
        await actor.report(task_id, "received")
        await actor.end(task_id, result=[1])
        events = [event.data["result"] for event in await reader.all()]
    names = {"task": "Task", "status-update": "TaskStatusUpdateEvent", "artifact-update": "TaskArtifactUpdateEvent"}
    for event in events:
        conforms(event, names[event["kind"]], "0.3")
    assert [event.get("final") for event in events if event["kind"] == "status-update"] == [False, True]
    assert events[-2]["artifact"]["parts"][0]["data"] == {"value": [1]}


async def test_every_reader_gets_the_same_events_and_one_that_leaves_disturbs_none(
    gateway: Gateway, actor: Actor
) -> None:
    """3.5.2: 'Each stream MUST receive the same events in the same order' and 'Closing one stream MUST NOT affect other
    active streams for the same task'."""
    async with streaming(gateway, "SendStreamingMessage", SEND, path="/a2a/echo") as first:
        task_id, _ = await actor.take()
        async with streaming(gateway, "SubscribeToTask", {"id": task_id}) as second:
            async with streaming(gateway, "SubscribeToTask", {"id": task_id}) as leaving:
                assert await leaving.next() is not None
            begun = await second.next()
            assert begun is not None
            assert "task" in begun.data["result"]
            await actor.report(task_id, "received", message="one")
            await actor.report(task_id, "processing", message="two")
            await actor.end(task_id, result="three")
            seen = [[event.data["result"] for event in await reader.all()] for reader in (first, second)]
    assert "task" in seen[0].pop(0)
    assert seen[0] == seen[1]
    assert [next(iter(event)) for event in seen[1]] == [
        "statusUpdate",
        "statusUpdate",
        "artifactUpdate",
        "statusUpdate",
    ]


async def test_a_stream_of_a_reader_who_has_seen_everything_is_open_at_once(gateway: Gateway, actor: Actor) -> None:
    """Clients give up on a response whose head does not come, and a stream that is open can be moved by a drain."""
    sent = {**SEND, "configuration": {"returnImmediately": True}}
    task_id = (await rpc(gateway, "SendMessage", sent, path="/a2a/echo"))["result"]["task"]["id"]
    async with (
        asyncio.timeout(10),
        streaming(gateway, "SubscribeToTask", {"id": task_id}, **{"Last-Event-ID": "1"}) as reader,
    ):
        await actor.take()
        await actor.end(task_id, result="done")
        assert kinds(await all_of(reader)) == ["artifactUpdate", "statusUpdate"]


def test_a_quiet_stream_has_a_comment_before_clients_of_httpx_give_up() -> None:
    """The default read timeout of httpx, which the Python SDK uses, is five seconds."""
    longest = make_settings(keepalive_interval=15)
    assert quiet_for(SimpleNamespace(settings=longest)) <= 4  # type: ignore[arg-type]
    assert quiet_for(SimpleNamespace(settings=make_settings(keepalive_interval=1))) == 1  # type: ignore[arg-type]
