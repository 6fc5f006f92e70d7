"""The HTTP+JSON binding (specification 1.0, section 11)."""

import asyncio
from typing import Any

import pytest

from tests.support.a2a import SKILLS, Answer, conforms, rest, rest_stream, rpc, text_message
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


async def test_a_cancel_needs_no_body(gateway: Gateway, actor: Actor) -> None:
    bodies: list[Any] = [None, b"", b" ", {}, {"metadata": {"why": "x"}, "id": "another"}]
    for body in bodies:
        task_id = await begun(gateway, actor)
        typed = {"Content-Type": "application/json"}
        canceled = await rest(gateway, "POST", f"/tasks/{task_id}%3Acancel", body, **typed)
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


TYPES = [
    ("application/json", None, "application/a2a+json"),
    ("application/a2a+json; charset=utf-8", "*/*", "application/a2a+json"),
    ("application/json", "application/json, text/event-stream", "application/json"),
    ("application/json", "application/json, application/a2a+json", "application/a2a+json"),
    ("application/json", "application/json;q=0", "application/a2a+json"),
]


async def test_both_json_types_are_taken_and_the_own_one_is_answered(gateway: Gateway) -> None:
    for sent, accepted, answered in TYPES:
        headers = {"Content-Type": sent, **({} if accepted is None else {"Accept": accepted})}
        body = {"message": text_message("hi"), **NOW}
        taken = await rest(gateway, "POST", "/echo/message:send", body, **headers)
        assert (taken.status, taken.headers["Content-Type"]) == (200, answered), sent
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


async def test_a_client_of_0_3_uses_the_paths_and_the_names_of_its_version(gateway: Gateway, actor: Actor) -> None:
    """0.3, 3.5.6: the routes below /v1; its SDK speaks the JSON of the proto."""
    message = {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "hi"}]}
    body = {"message": message, "configuration": {"blocking": True}}
    sending = asyncio.create_task(rest(gateway, "POST", "/echo/v1/message:send", body, version=None))
    task_id, _ = await actor.take()
    await actor.end(task_id, result={"n": 1})
    sent = await sending
    task = sent.body["task"]
    assert (sent.headers["A2A-Version"], task["id"]) == ("0.3", task_id)
    assert task["artifacts"][0]["parts"] == [{"data": {"data": {"n": 1}}}]
    assert task["history"][0]["content"] == [{"text": "hi"}]
    for prefix in ("/v1", "/echo/v1"):
        assert (await rest(gateway, "GET", f"{prefix}/tasks/{task_id}", version="0.3")).body == task
    assert [each["id"] for each in (await rest(gateway, "GET", "/v1/tasks", version=None)).body] == [task_id]
    assert (await rest(gateway, "GET", "/v1/tasks", version="1.0")).reason == "VERSION_NOT_SUPPORTED"
    asked = {"message": message}
    async with rest_stream(gateway, "POST", "/echo/v1/message:stream", asked, **{"A2A-Version": "0.3"}) as reader:
        first = await reader.next()
        assert first is not None
        running, _ = await actor.take()
        canceled = await rest(
            gateway, "POST", f"/v1/tasks/{running}:cancel", {"name": f"tasks/{running}"}, version=None
        )
        assert canceled.body["status"]["state"] == "TASK_STATE_CANCELLED"
        last = [event.data for event in await reader.all()][-1]
    assert (first.data["task"]["id"], last["statusUpdate"]["final"]) == (running, True)


async def test_a_skills_name_may_have_dots(gateway: Gateway, actor: Actor) -> None:
    serve_tools(gateway, [{"name": "a.b", "entrypoint": "first", "a2a": {}}], generation=2)
    sent = {"message": text_message("hi"), **NOW}
    task_id = (await rest(gateway, "POST", "/a.b/message:send", sent)).body["task"]["id"]
    assert (await rpc(gateway, "GetTask", {"id": task_id}, path="/a2a/a.b"))["result"]["id"] == task_id
    assert (await rest(gateway, "GET", "/a.b/v1/tasks", version="0.3")).body[0]["id"] == task_id
