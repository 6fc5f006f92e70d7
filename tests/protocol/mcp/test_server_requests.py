"""Requests of the gateway to clients in sessions (2025-11-25, client/elicitation, sampling, roots), each message to
another replica than the one before."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from asya_gateway.domain import page_room
from asya_gateway.domain.page_room import PageRoom
from asya_gateway.domain.sessions.ports import OpenCall, ServerRequest
from asya_gateway.protocols.http.keys import STREAMS
from asya_gateway.protocols.mcp.sessions.call import SessionCall
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS
from tests.support.gateway import Gateway
from tests.support.inputs import CONSENT_AT, FOLDERS, LISTED, NAME, SAMPLED, SUMMARY, pause_body
from tests.support.late_readers import readers_wait
from tests.support.mcp import Actor, conforms, message
from tests.support.mcp_sessions import Client, connect, events, open_sse, replicas
from tests.support.waiting import until


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Gateway]]:
    async with replicas(database_url, keepalive_interval=0.2, public_url="https://gateway.example") as made:
        yield made


async def paused(actor: Actor, question: dict[str, Any]) -> str:
    """Take a call and let it ask."""
    task_id, _ = await actor.take()
    status, answer = await actor.gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question))
    assert status == 200, answer
    return task_id


async def goes_on(pair: list[Gateway]) -> None:
    """Wait until the only task's second envelope was handed over."""
    await until(lambda: sum(len(each.running.handed) for each in pair) == 2, what="the task to go on")


KINDS = {
    "form": (NAME, {"action": "accept", "content": {"name": "Ada"}}, "ElicitRequest"),
    "sampling": (SUMMARY, SAMPLED, "CreateMessageRequest"),
    "roots": (FOLDERS, LISTED, "ListRootsRequest"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_task_asks_its_client_and_goes_on_with_the_answer_from_another_replica(
    pair: list[Gateway], kind: str
) -> None:
    """transports: "The server MAY send JSON-RPC requests and notifications before sending the JSON-RPC response"."""
    question, answer, definition = KINDS[kind]
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=5) as stream:
        task_id = await paused(actor, {"inputs": {"it": question}})
        asked = await stream.message()
        conforms(asked, definition, "2025-11-25")
        await client.respond(asked["id"], answer, pair[1])
        # The replica that took the answer or the one that holds the call hands the task on, and only one of them.
        await goes_on(pair)
        await actor.end(task_id, result="done")
        last = await stream.message()
        assert (last["id"], last["result"]["content"][0]["text"]) == (5, "done")


async def test_what_an_actor_says_at_once_after_an_answer_is_told(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may run again before the call follows the task again."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], token="t") as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME}})
        while (asked := await stream.message())["method"] != "elicitation/create":
            pass
        begins = readers_wait(pair[0], monkeypatch)
        await client.respond(asked["id"], {"action": "accept", "content": {"name": "Ada"}}, pair[1])
        await goes_on(pair)
        await actor.fly(task_id, {"token": "Hello Ada"})
        begins.set()
        await actor.end(task_id, result="done")
        told = [event.data for event in [each async for each in events(stream)]]
    assert "Hello Ada" in [each["params"].get("message") for each in told[:-1]]


async def test_several_inputs_are_answered_in_any_order(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME, "summary": SUMMARY, "folders": FOLDERS}})
        asked = {(each := await stream.message())["method"]: each["id"] for _ in range(3)}
        assert len(set(asked.values())) == 3
        await client.respond(asked["roots/list"], LISTED, pair[0])
        await client.respond(asked["sampling/createMessage"], SAMPLED, pair[1])
        assert await actor.status(task_id) == "paused"
        await client.respond(asked["elicitation/create"], {"action": "accept", "content": {"name": "Ada"}}, pair[1])

        async def running() -> bool:
            return await actor.status(task_id) == "running"

        await until(running)
        await actor.end(task_id, result=1)
        assert "result" in await stream.message()


async def test_an_answer_is_read_once_however_long_others_are_waited_for(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be large, and whoever waits looks every second."""
    client, actor = await connect(*pair), Actor(pair[0])
    requests = pair[0].app[SESSIONS].requests
    read: list[list[str]] = []
    get = requests.get

    async def noted(session: bytes, ids: Iterable[str]) -> Sequence[ServerRequest]:
        read.append(list(ids))
        return await get(session, read[-1])

    monkeypatch.setattr(requests, "get", noted)
    async with client.call("anything", at=pair[0]) as stream:
        await paused(actor, {"inputs": {"summary": SUMMARY, "folders": FOLDERS}})
        asked = {(each := await stream.message())["method"]: each["id"] for _ in range(2)}
        await client.respond(asked["sampling/createMessage"], SAMPLED, pair[1])
        await until(lambda: [asked["roots/list"]] in read, what="looks at the open one alone")
        assert all(asked["roots/list"] in each for each in read)
        await client.respond(asked["roots/list"], LISTED, pair[1])
        await goes_on(pair)


async def test_a_client_that_has_not_said_that_it_is_ready_is_answered_and_asked_on_streams_of_its_own_only(
    pair: list[Gateway],
) -> None:
    """Its `notifications/initialized` is a message of its own, which may reach another replica later than the call that
    follows it, or be left out by a sloppy client. A stream that it opens says as much."""
    client, actor = await connect(*pair, ready=False), Actor(pair[0])
    assert await client.ask("ping") == {}
    assert (await client.ask("tools/list"))["tools"]
    async with client.call("anything", at=pair[0]) as stream:
        await paused(actor, {"inputs": {"name": NAME}})
        asked = await stream.message()
        assert asked["method"] == "elicitation/create"
        await client.respond(asked["id"], {"action": "accept", "content": {"name": "Ada"}}, pair[1])
        await goes_on(pair)
    # Over HTTP+SSE the stream is there before the handshake, so that nothing is asked until then.
    async with open_sse(pair) as early:
        assert await early.post(message("tools/call", {"name": "anything"}, 4)) == 202
        await until(lambda: len(pair[0].running.handed) + len(pair[1].running.handed) == 3, what="the second call")
        task_id = pair[0].running.handed[-1].task_id
        await pair[0].post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": {"name": NAME}}))
        answer = await early.stream.message()
        assert (answer["id"], "/resume" in str(answer["result"])) == (4, True)


async def test_a_client_is_asked_only_what_it_has_declared(pair: list[Gateway]) -> None:
    """lifecycle: "Both parties MUST ... Only use capabilities that were successfully negotiated"."""
    client, actor = await connect(*pair, capabilities={"roots": {}}), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME, "folders": FOLDERS}})
        asked = await stream.message()
        assert asked["method"] == "roots/list"
        await client.respond(asked["id"], LISTED)
        answer = (await stream.message())["result"]
    # What is left is answered elsewhere, and the call says where.
    assert f"/tasks/{task_id}/resume" in answer["content"][0]["text"]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_question_that_is_declined_stays_open_elsewhere(pair: list[Gateway], action: str) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME}})
        await client.respond((await stream.message())["id"], {"action": action}, pair[1])
        answer = (await stream.message())["result"]
    assert f"/tasks/{task_id}/resume" in answer["content"][0]["text"]
    assert await actor.status(task_id) == "paused"
    status, _ = await pair[1].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
    assert status == 200


async def test_a_declined_question_may_fail_its_task(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME}, "on_decline": "fail"})
        await client.respond((await stream.message())["id"], {"action": "decline"}, pair[1])
        assert (await stream.message())["id"] == 1
    assert await actor.status(task_id) == "failed"


async def test_an_error_in_place_of_a_result_ends_the_request(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"summary": SUMMARY}})
        asked = await stream.message()
        error = {
            "jsonrpc": "2.0",
            "id": asked["id"],
            "error": {"code": -1, "message": "User rejected sampling request"},
        }
        assert await client.send(error, pair[1]) == (202, None)
        assert f"/tasks/{task_id}/resume" in (await stream.message())["result"]["content"][0]["text"]


async def test_an_answer_elsewhere_withdraws_the_request(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME}})
        asked = await stream.message()
        status, _ = await pair[1].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
        assert status == 200
        withdrawn = await stream.message()
        conforms(withdrawn, "CancelledNotification", "2025-11-25")
        assert withdrawn["params"]["requestId"] == asked["id"]
        # A late answer is dropped.
        await client.respond(asked["id"], {"action": "decline"}, pair[1])
        await actor.end(task_id, result=1)
        assert "result" in await stream.message()


async def test_one_of_several_inputs_answered_elsewhere_is_withdrawn_while_the_others_stay(
    pair: list[Gateway],
) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME, "folders": FOLDERS}})
        asked = {(each := await stream.message())["method"]: each["id"] for _ in range(2)}
        status, task = await pair[1].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
        assert (status, task["status"]) == (200, "paused")
        withdrawn = await stream.message()
        assert withdrawn["params"]["requestId"] == asked["elicitation/create"]
        await client.respond(asked["roots/list"], LISTED, pair[1])
        await goes_on(pair)
        await actor.end(task_id, result=1)
        assert "result" in await stream.message()


async def test_a_url_is_asked_for_consent_and_its_end_is_told(pair: list[Gateway]) -> None:
    """client/elicitation, "URL Mode": the answer says that the person agreed; `notifications/elicitation/complete` that
    the interaction has ended."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"sign_in": CONSENT_AT}})
        asked = await stream.message()
        conforms(asked, "ElicitRequest", "2025-11-25")
        assert asked["params"]["mode"] == "url"
        await client.respond(asked["id"], {"action": "accept"}, pair[1])
        complete = await stream.message()
        conforms(complete, "ElicitationCompleteNotification", "2025-11-25")
        assert complete["params"]["elicitationId"] == asked["params"]["elicitationId"]
        await actor.end(task_id, result=1)
        assert "result" in await stream.message()


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18"])
async def test_older_revisions_are_asked_what_they_know(pair: list[Gateway], version: str) -> None:
    """Elicitation came with 2025-06-18, URLs with 2025-11-25; the events of older streams are no priming ones."""
    client, actor = await connect(*pair, version=version), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME, "summary": SUMMARY, "sign_in": CONSENT_AT}})
        methods = ["elicitation/create"] if version >= "2025-06-18" else []
        asked = []
        for _ in (*methods, "sampling"):
            event = await stream.next()
            assert event is not None
            assert event.data is not None
            assert (event.id is not None) is (version >= "2025-03-26")
            asked.append(event.data)
        assert [each["method"] for each in asked] == [*methods, "sampling/createMessage"]
        for each in asked:
            given = SAMPLED if each["method"].startswith("sampling") else {"action": "accept", "content": {"name": "A"}}
            await client.respond(each["id"], given, pair[1])
        assert task_id in (await stream.message())["result"]["content"][0]["text"]


@pytest.mark.parametrize("id", ["0" * 24, "unknown", "", 7, None, "\x00", "é", "x" * 255], ids=range(8))
async def test_a_response_to_no_request_of_ours_is_dropped(pair: list[Gateway], id: Any) -> None:
    client = await connect(*pair)
    assert await client.send({"jsonrpc": "2.0", "id": id, "result": {}}) == (202, None)


async def test_a_response_of_another_session_changes_nothing(pair: list[Gateway]) -> None:
    client, other, actor = await connect(*pair), await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME}})
        asked = await stream.message()
        await other.respond(asked["id"], {"action": "accept", "content": {"name": "Eve"}})
        assert await actor.status(task_id) == "paused"
        await client.respond(asked["id"], {"action": "accept", "content": {"name": "Ada"}})
        await client.respond(asked["id"], {"action": "accept", "content": {"name": "twice"}})
        await goes_on(pair)


@pytest.mark.parametrize(
    "result", [None, 7, [], {}, {"action": "maybe"}, {"action": "accept"}, {"action": "accept", "content": {"name": 7}}]
)
async def test_an_answer_of_the_wrong_form_is_none(pair: list[Gateway], result: Any) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0]) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME}})
        await client.respond((await stream.message())["id"], result)
        assert f"/tasks/{task_id}/resume" in (await stream.message())["result"]["content"][0]["text"]
    assert await actor.status(task_id) == "paused"


async def test_open_requests_of_a_session_are_few(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    most = {f"k{n}": FOLDERS for n in range(16)}
    async with client.call("anything", at=pair[0]) as stream:
        await paused(actor, {"inputs": most})
        for _ in most:
            assert (await stream.message())["method"] == "roots/list"
        async with client.call("anything", at=pair[1]) as another:
            task_id = await paused(Actor(pair[1]), {"inputs": {"one": FOLDERS}})
            answer = (await another.message())["result"]
    assert f"/tasks/{task_id}/resume" in answer["content"][0]["text"]


async def test_a_client_that_takes_json_only_is_not_asked(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    client.headers["Accept"] = "application/json"

    async def ask() -> None:
        await paused(actor, {"inputs": {"name": NAME}})

    asking = asyncio.create_task(ask())
    status, answer = await client.send(message("tools/call", {"name": "anything"}, 1), pair[0])
    await asking
    assert status == 200
    assert "/resume" in answer["result"]["content"][0]["text"]


# Streams that go on


async def test_a_stream_begins_with_an_event_by_which_its_client_comes_back(pair: list[Gateway]) -> None:
    """transports: "The server SHOULD immediately send an SSE event consisting of an event ID and an empty data field in
    order to prime the client to reconnect"."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], token="t") as stream:
        first = await stream.next()
        assert first is not None
        assert (first.data, first.id is not None, stream.retry) == (None, True, 1000)
        await actor.serve({})
        rest = [event async for event in events(stream)]
    ids = [event.id for event in rest[:-1]]
    assert len({first.id, *ids}) == len(ids) + 1


async def test_a_call_goes_on_at_another_replica_without_a_gap_or_a_repetition(pair: list[Gateway]) -> None:
    """transports, "Resumability and Redelivery": "The server MAY use this header to replay messages that would have
    been sent after the last event ID, on the stream that was disconnected, and to resume the stream from that
    point"."""
    client, actor = await connect(*pair), Actor(pair[0])
    seen: list[Any] = []
    async with client.call("anything", at=pair[0], token="t", id=9) as stream:
        task_id, _ = await actor.take()
        await actor.report(task_id, "received")
        seen += [await stream.message(), await stream.message()]
        last = stream.last_id
    await actor.report(task_id, "processing")
    async with client.listen(pair[1], last=last) as stream:
        await actor.report(task_id, "completed")
        await actor.end(task_id, result={"n": 1})
        seen += [event.data async for event in events(stream) if event.data is not None]
    progress = [each["params"]["progress"] for each in seen[:-1]]
    assert progress == sorted(set(progress))
    assert [each["params"].get("message") for each in seen[:-1]][1:4] == [
        "first: received",
        "first: processing",
        "first: completed",
    ]
    assert (seen[-1]["id"], seen[-1]["result"]["structuredContent"]) == (9, {"n": 1})


async def test_a_stream_that_goes_on_elsewhere_before_it_is_open_ends_at_once(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """transports, "Listening for Messages from the Server": "The server MUST either return Content-Type:
    text/event-stream in response to this HTTP GET, or else return HTTP 405 Method Not Allowed"."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], token="t") as stream:
        await actor.take()
        await stream.next()
        last = stream.last_id
    adopt = SessionCall.adopt

    def adopted_by_two(call: SessionCall, row: OpenCall) -> None:
        adopt(call, row)
        call.resumed(call.request, "another holder")

    monkeypatch.setattr(SessionCall, "adopt", adopted_by_two)
    async with client.listen(pair[1], last=last) as stream:
        assert [event async for event in events(stream) if event.data is not None] == []


async def test_a_client_that_comes_back_late_gets_the_result(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=9) as stream:
        task_id, _ = await actor.take()
        await stream.next()
        last = stream.last_id
        await actor.end(task_id, result=1)
        assert (await stream.message())["id"] == 9
    for gateway in pair:
        async with client.listen(gateway, last=last) as stream:
            assert (await stream.message())["id"] == 9


@pytest.mark.parametrize("without_room", [False, True], ids=["small pages", "no room at first"])
async def test_a_client_that_comes_back_late_hears_the_whole_log_and_its_progress_ends_at_100(
    pair: list[Gateway], monkeypatch: pytest.MonkeyPatch, without_room: bool
) -> None:
    """A log is read page by page, and has ended only with its last entry."""
    monkeypatch.setattr(page_room, "LOG_PAGE", 1_000)
    monkeypatch.setattr(page_room, "SMALL_PAGE", 500)
    client, actor = await connect(*pair), Actor(pair[0])
    said = [f"report {n}" for n in range(20)]
    async with client.call("anything", at=pair[0], token="t", id=9) as stream:
        task_id, _ = await actor.take()
        await stream.next()
        last = stream.last_id
    for text in said:
        await actor.report(task_id, "processing", message=text)
    await actor.end(task_id, result=1)
    if without_room:
        at_once, refusals = PageRoom.at_once, iter([0])
        monkeypatch.setattr(PageRoom, "at_once", lambda room: (next(refusals, None) is None and at_once(room)) or 0)
    async with client.listen(pair[1], last=last) as stream:
        seen = [event.data async for event in events(stream) if event.data is not None]
    told = [each["params"] for each in seen[:-1]]
    assert [each["message"] for each in told if each.get("message") in said] == said
    assert told[-1]["progress"] == 100
    assert (seen[-1]["id"], "result" in seen[-1]) == (9, True)


async def test_an_open_question_goes_on_at_another_replica(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=9) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME, "folders": FOLDERS}})
        primed = stream.last_id
        first = await stream.message()
        seen = stream.last_id
        second = await stream.message()
    # One that had seen the first request gets the other one again, one that had seen none gets both.
    async with client.listen(pair[1], last=seen) as stream:
        assert await stream.message() == second
    async with client.listen(pair[1], last=primed or seen) as stream:
        if primed is not None:
            assert [await stream.message(), await stream.message()] == [first, second]
        await client.respond(second["id"], LISTED if second["method"] == "roots/list" else ACCEPTED, pair[0])
        await client.respond(first["id"], LISTED if first["method"] == "roots/list" else ACCEPTED, pair[0])

        async def running() -> bool:
            return await actor.status(task_id) == "running"

        await until(running)
        await actor.end(task_id, result="done")
        assert (await stream.message())["result"]["content"][0]["text"] == "done"


ACCEPTED = {"action": "accept", "content": {"name": "Ada"}}


async def test_an_answer_while_nobody_holds_the_call_is_kept(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=9) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME}})
        asked = await stream.message()
        last = stream.last_id
    await client.respond(asked["id"], ACCEPTED, pair[1])
    await goes_on(pair)
    await actor.end(task_id, result="done")
    async with client.listen(pair[0], last=last) as stream:
        assert (await stream.message())["id"] == 9


async def test_who_comes_back_is_told_what_was_answered_elsewhere_meanwhile(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=9) as stream:
        task_id = await paused(actor, {"inputs": {"name": NAME, "folders": FOLDERS}})
        asked = {(each := await stream.message())["method"]: each["id"] for _ in range(2)}
        last = stream.last_id
    await until(lambda: len(pair[0].app[STREAMS]) == 0, what="the end of the stream")
    status, _ = await pair[1].post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
    assert status == 200
    async with client.listen(pair[1], last=last) as stream:
        withdrawn = await stream.message()
        conforms(withdrawn, "CancelledNotification", "2025-11-25")
        assert withdrawn["params"]["requestId"] == asked["elicitation/create"]
        # The other one is open as before.
        await client.respond(asked["roots/list"], LISTED, pair[0])
        await goes_on(pair)
        await actor.end(task_id, result="done")
        assert (await stream.message())["id"] == 9


async def test_the_newest_stream_of_a_call_ends_the_older(pair: list[Gateway]) -> None:
    """transports: "The server MUST send each of its JSON-RPC messages on only one of the connected streams"."""
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=9) as first:
        task_id, _ = await actor.take()
        await first.next()
        async with client.listen(pair[1], last=first.last_id) as second:
            assert [event async for event in events(first)] == []
            await actor.end(task_id, result=1)
            assert (await second.message())["id"] == 9


async def unknown(client: Client, gateway: Gateway, last: str) -> None:
    async with client.listen(gateway, last=last, status=400):
        pass


async def test_an_event_id_is_good_in_its_session_only(pair: list[Gateway]) -> None:
    client, other, actor = await connect(*pair), await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=9) as stream:
        await actor.take()
        await stream.next()
        last = stream.last_id
        assert last is not None
        for wrong in (last[:-1] + "x", "0" * 32 + last[32:], last + "0" * 100, "get-x-0", "-", "7"):
            await unknown(client, pair[1], wrong)
        await unknown(other, pair[1], last)


async def test_an_event_id_of_another_session_is_unknown_to_one_with_a_call_of_the_same_id(pair: list[Gateway]) -> None:
    """SDKs count their requests from 0 on, so that calls of two sessions often have one id."""
    one, other = await connect(*pair), await connect(*pair)
    async with one.call("anything", at=pair[0], id=9) as its, other.call("anything", at=pair[0], id=9) as theirs:
        await its.next()
        await theirs.next()
        for gateway in pair:
            await unknown(one, gateway, theirs.last_id or "")
            await unknown(other, gateway, its.last_id or "")
    async with one.listen(pair[0]) as standing:
        await standing.next()
        for gateway in pair:
            await unknown(other, gateway, standing.last_id or "")


async def test_no_two_events_of_a_session_have_one_id(pair: list[Gateway]) -> None:
    """transports, "Resumability and Redelivery": "the ID MUST be globally unique across all streams within that
    session"."""
    client, actor = await connect(*pair), Actor(pair[0])
    await client.ask("logging/setLevel", {"level": "debug"})
    seen: list[str | None] = []
    for _ in range(2):
        async with client.listen(pair[0]) as standing:
            await standing.next()
            seen.append(standing.last_id)
    async with client.call("anything", at=pair[0], token="t") as stream:
        task_id, _ = await actor.take()
        first = await stream.next()
        assert first is not None
        seen.append(first.id)
        for n in range(3):
            await actor.fly(task_id, {"log": {"level": "info", "data": n}})
        await pair[0].post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": {"a": NAME, "b": FOLDERS}}))
        asked = 0
        while asked < 2:
            event = await stream.next()
            assert event is not None
            seen.append(event.id)
            asked += "id" in event.data
        # Both requests are withdrawn at once, at one place of every log.
        await pair[1].post(f"/tasks/{task_id}/cancel", {})
        seen += [event.id async for event in events(stream)][:-1]
    for _ in range(2):
        async with client.listen(pair[1], last=first.id) as again:
            await again.next()
            seen.append(again.last_id)
    assert None not in seen
    assert len(seen) > 10
    assert len(set(seen)) == len(seen)


async def test_a_canceled_call_does_not_go_on(pair: list[Gateway]) -> None:
    client, actor = await connect(*pair), Actor(pair[0])
    async with client.call("anything", at=pair[0], id=9) as stream:
        await actor.take()
        await stream.next()
        await client.notify("cancelled", {"requestId": 9}, pair[1])
        assert [event async for event in events(stream)] == []
    assert stream.last_id is not None
    await unknown(client, pair[1], stream.last_id)
