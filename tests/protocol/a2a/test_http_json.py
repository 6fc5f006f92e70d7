"""The HTTP+JSON binding (specification 1.0, section 11)."""

import asyncio
from typing import Any

import pytest

from tests.support.a2a import SKILLS, Answer, conforms, rest, rest_stream, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.identity import store_key
from tests.support.mcp import Actor, serve_tools
from tests.support.principals import bearer

NOW = {"configuration": {"returnImmediately": True}}


async def begun(gateway: Gateway, actor: Actor) -> str:
    answer = await rest(gateway, "POST", "/echo/message:send", {"message": text_message("hi"), **NOW})
    assert answer.status == 200, answer
    return (await actor.take())[0]


@pytest.mark.parametrize("path", ["/echo/message:send", "/echo/message%3Asend", "/message%3asend", "/message:send"])
async def test_a_message_is_sent_and_its_task_looked_at_listed_and_canceled(
    gateway: Gateway, actor: Actor, path: str
) -> None:
    """11.3: the paths with and without the tenant; the colon may be encoded."""
    sending = asyncio.create_task(rest(gateway, "POST", path, {"message": text_message("hi"), "tenant": "echo"}))
    task_id, _ = await actor.take()
    await actor.end(task_id, result={"n": 2**60 + 1})
    sent = await sending
    conforms(sent.body, "SendMessageResponse")
    task = sent.body["task"]
    assert task["artifacts"][0]["parts"] == [{"data": {"n": 2**60 + 1}}]
    assert (sent.status, sent.headers["Content-Type"]) == (200, "application/a2a+json")
    query = "includeArtifacts=true&pageSize=1&status=TASK_STATE_COMPLETED"
    for prefix in ("", "/echo"):
        assert (await rest(gateway, "GET", f"{prefix}/tasks/{task_id}")).body == task
        listed = await rest(gateway, "GET", f"{prefix}/tasks?{query}")
        conforms(listed.body, "ListTasksResponse")
        assert listed.body == {"tasks": [task], "nextPageToken": "", "pageSize": 1, "totalSize": 1}
    assert (await rest(gateway, "GET", f"/numbers/tasks/{task_id}")).reason == "TASK_NOT_FOUND"
    assert "history" not in (await rest(gateway, "GET", f"/tasks/{task_id}?historyLength=0")).body
    ended = await rest(gateway, "POST", f"/tasks/{task_id}:cancel", b"")
    assert (ended.status, ended.reason) == (400, "TASK_NOT_CANCELABLE")


@pytest.mark.parametrize("body", [None, b"", b" ", {}, {"metadata": {"why": "x"}, "id": "another"}])
async def test_a_cancel_needs_no_body(gateway: Gateway, actor: Actor, body: Any) -> None:
    task_id = await begun(gateway, actor)
    canceled = await rest(gateway, "POST", f"/tasks/{task_id}%3Acancel", body, **{"Content-Type": "application/json"})
    conforms(canceled.body, "Task")
    assert (canceled.body["id"], canceled.body["status"]["state"]) == (task_id, "TASK_STATE_CANCELED")


async def test_a_stream_has_the_events_without_an_envelope(gateway: Gateway, actor: Actor) -> None:
    """11.7: 'data' is a StreamResponse."""
    async with rest_stream(gateway, "POST", "/echo/message:stream", {"message": text_message("tell")}) as reader:
        first = await reader.next()
        assert first is not None
        task_id = first.data["task"]["id"]
        await actor.take()
        await actor.fly(task_id, {"text": "one"})
        chunk = await reader.next()
        assert chunk is not None
        assert chunk.data["artifactUpdate"]["artifact"]["parts"] == [{"text": "one"}]
        await actor.end(task_id, result="one")
        rest_of = [event.data for event in await reader.all()]
    for data in (first.data, chunk.data, *rest_of):
        conforms(data, "StreamResponse")
    assert [[*data] for data in rest_of] == [["artifactUpdate"], ["statusUpdate"]]
    assert (await rest(gateway, "GET", f"/tasks/{task_id}:subscribe")).reason == "UNSUPPORTED_OPERATION"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_task_is_subscribed_to_by_get_and_by_post_and_again_after_an_event(
    gateway: Gateway, actor: Actor, method: str
) -> None:
    """The proto has GET, section 11.3.2 POST."""
    task_id = await begun(gateway, actor)
    async with rest_stream(gateway, method, f"/echo/tasks/{task_id}:subscribe") as reader:
        first = await reader.next()
        assert first is not None
        assert first.data["task"]["id"] == task_id
        await actor.report(task_id, "processing")
        second = await reader.next()
        assert second is not None
    await actor.end(task_id, result=1)
    again = {"Last-Event-ID": str(second.id)}
    async with rest_stream(gateway, method, f"/tasks/{task_id}%3Asubscribe", **again) as reader:
        assert [[*event.data] for event in await reader.all()] == [["artifactUpdate"], ["statusUpdate"]]


@pytest.mark.parametrize(
    ("sent", "accepted", "answered"),
    [
        ("application/json", None, "application/a2a+json"),
        ("application/a2a+json; charset=utf-8", "*/*", "application/a2a+json"),
        ("application/json", "application/json, text/event-stream", "application/json"),
        ("application/json", "application/json, application/a2a+json", "application/a2a+json"),
        ("application/json", "application/json;q=0", "application/a2a+json"),
    ],
)
async def test_both_json_types_are_taken_and_the_own_one_is_answered(
    gateway: Gateway, sent: str, accepted: str | None, answered: str
) -> None:
    headers = {"Content-Type": sent, **({} if accepted is None else {"Accept": accepted})}
    body = {"message": text_message("hi"), **NOW}
    assert (await rest(gateway, "POST", "/echo/message:send", body, **headers)).headers["Content-Type"] == answered
    refused = await rest(gateway, "POST", "/message:send", {}, **headers)
    assert (refused.status, refused.headers["Content-Type"]) == (400, answered)


async def test_another_type_is_refused_before_the_body_is_parsed(gateway: Gateway) -> None:
    """3.3.2, ContentTypeNotSupportedError; 400 since 1.0.1."""
    for path in ("/echo/message:send", "/echo/message:stream", "/tasks/x:cancel", "/tasks/x/pushNotificationConfigs"):
        answer = await rest(gateway, "POST", path, b"{", **{"Content-Type": "text/plain"})
        assert (answer.status, answer.reason) == (400, "CONTENT_TYPE_NOT_SUPPORTED"), path
    assert await gateway.stored() == 0


async def test_without_a_version_the_paths_of_1_0_are_served(gateway: Gateway) -> None:
    assert (await rest(gateway, "GET", "/tasks", version=None)).status == 200
    assert (await rest(gateway, "GET", "/tasks?A2A-Version=1.1", version=None)).headers["A2A-Version"] == "1.0"


async def test_who_may_not_is_told_in_the_same_form_with_a_challenge(database_url: str) -> None:
    """3.3.2: 401 and 403 with WWW-Authenticate."""
    reader = bearer((await store_key(database_url, "reader", scopes=frozenset({"mcp:read"}))).text)
    async with start_gateway(database_url, auth="required") as closed:
        serve_tools(closed, SKILLS)
        seen: list[tuple[Answer, int, str]] = [
            (await rest(closed, "GET", "/tasks"), 401, "UNAUTHENTICATED"),
            (await rest(closed, "GET", "/tasks", **bearer("unknown")), 401, "UNAUTHENTICATED"),
            (await rest(closed, "POST", "/tasks/x:cancel", b"", **reader), 403, "PERMISSION_DENIED"),
        ]
        assert (await rest(closed, "GET", "/tasks", **reader)).status == 200
    for answer, status, reason in seen:
        assert (answer.status, answer.reason, answer.body["error"]["status"]) == (status, reason, reason)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
