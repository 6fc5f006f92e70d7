"""notifications/tasks on subscriptions/listen (ext-tasks, Task Status Notifications)."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from asya_gateway.domain.clock import own_time
from asya_gateway.domain.identity.scopes import rights_of
from asya_gateway.identity.authenticating import Authenticating
from asya_gateway.protocols.http.admission import Admission
from tests.support.gateway import Gateway, Reader
from tests.support.inputs import FOLDERS, LISTED, NAME, pause_body
from tests.support.mcp import (
    EXT_TASKS,
    LATEST,
    TASKS_DECLARED,
    TOOLS,
    Actor,
    conforms,
    open_post,
    serve_tools,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.mcp_tasks import CAPABILITIES, FORMS, ask_with, pause, seen, started
from tests.support.principals import Tokens, bearer, closed
from tests.support.standing import AT_REST

EVERYTHING = "mcp:read mcp:invoke"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@contextlib.asynccontextmanager
async def listening(
    gateway: Gateway, *task_ids: str, capabilities: Any = TASKS_DECLARED, more: Any = None, **headers: str
) -> AsyncIterator[Reader]:
    """A subscription; its acknowledgement is to be read."""
    wanted = {"taskIds": list(task_ids), **(more or {})}
    body = stateless_body("subscriptions/listen", {"notifications": wanted}, id="sub", **{CAPABILITIES: capabilities})
    async with open_post(gateway, body, {**stateless_headers(body), **headers}) as response:
        assert response.status == 200, await response.text()
        yield Reader(response)


async def acknowledged(reader: Reader) -> Any:
    event = await reader.next()
    assert event is not None
    conforms(event.data, "SubscriptionsAcknowledgedNotification", LATEST)
    assert event.data["params"]["_meta"][SUBSCRIPTION] == "sub"
    return event.data["params"]["notifications"]


async def told(reader: Reader) -> dict[str, Any]:
    """The params of the next message, a notification about a task."""
    event = await reader.next()
    assert event is not None
    assert event.data["method"] == "notifications/tasks", event.data
    conforms(event.data, "TaskStatusNotification", EXT_TASKS)
    params: dict[str, Any] = event.data["params"]
    conforms(params, "DetailedTask", EXT_TASKS)
    assert params["_meta"][SUBSCRIPTION] == "sub"
    return params


async def test_each_notification_is_what_a_poll_would_have_answered(gateway: Gateway, actor: Actor) -> None:
    """'Each notification carries a complete DetailedTask for the current status, identical to what tasks/get would have
    returned at that moment.'"""
    task_id = await started(gateway)
    async with listening(gateway, task_id, capabilities=FORMS) as reader:
        assert await acknowledged(reader) == {"taskIds": [task_id]}
        await actor.report(task_id, "processing", message="at work")
        assert (await told(reader))["statusMessage"] == "at work"
        await pause(actor, task_id)
        asked = await told(reader)
        polled = await seen(gateway, task_id, FORMS)
        ((key, _),) = asked["inputRequests"].items()
        responses = {key: {"action": "accept", "content": {"yes": True}}}
        await ask_with(gateway, "tasks/update", {"taskId": task_id, "inputResponses": responses}, FORMS)
        assert (await told(reader))["status"] == "working"
        await actor.end(task_id, result={"n": 1})
        done = await told(reader)
        again = await seen(gateway, task_id)
    assert {**polled, "_meta": 0, "resultType": 0} == {**asked, "_meta": 0, "resultType": 0}
    assert (done["status"], done["result"]["structuredContent"]) == ("completed", {"n": 1})
    assert {**again, "_meta": 0, "resultType": 0} == {**done, "_meta": 0, "resultType": 0}


async def test_nothing_is_lost_before_the_subscription_began(gateway: Gateway, actor: Actor) -> None:
    """A task may end between its handle and the subscription; then its end is told at once."""
    ended, canceled, working = [await started(gateway) for _ in range(3)]
    await actor.end(ended, result={})
    await gateway.post(f"/tasks/{canceled}/cancel")
    async with listening(gateway, working, ended, canceled) as reader:
        assert await acknowledged(reader) == {"taskIds": [working, ended, canceled]}
        assert {(each := await told(reader))["taskId"]: each["status"] for _ in range(2)} == {
            ended: "completed",
            canceled: "cancelled",
        }
        await actor.end(working, "failed", error="worker lost", error_class="runtime")
        assert (await told(reader))["error"]["code"] == -32603


async def test_a_task_is_told_from_any_replica(database_url: str) -> None:
    async with start_mcp(database_url) as one, start_mcp(database_url) as other:
        task_id = await started(one)
        async with listening(other, task_id) as reader:
            assert await acknowledged(reader) == {"taskIds": [task_id]}
            await Actor(one).end(task_id, result={"n": 1})
            assert (await told(reader))["status"] == "completed"


async def test_unknown_tasks_are_left_out_of_the_acknowledgement(gateway: Gateway) -> None:
    """'the server includes the list of task IDs it has agreed to send task status notifications for'."""
    task_id = await started(gateway)
    async with listening(gateway, "none", task_id, "a\x00", "", "x" * 300, task_id) as reader:
        assert await acknowledged(reader) == {"taskIds": [task_id]}


async def test_tasks_of_others_are_left_out_like_unknown_ones(database_url: str) -> None:
    tokens = Tokens(alice=EVERYTHING, bob=EVERYTHING)
    async with start_mcp(database_url, doors=closed(tokens)) as gateway:
        actor = Actor(gateway)
        theirs = await started(gateway, **bearer("alice"))
        own = await started(gateway, **bearer("bob"))
        async with listening(gateway, theirs, own, **bearer("bob")) as reader:
            assert await acknowledged(reader) == {"taskIds": [own]}
            await actor.end(theirs, result={"secret": 1})
            await actor.end(own, result={})
            assert (await told(reader))["taskId"] == own


async def test_a_client_without_the_extension_is_refused(gateway: Gateway) -> None:
    """'If a client requests task status notifications but does not declare the … capability, the server MUST return a
    JSON-RPC error specifying the missing capabilities'."""
    params: dict[str, Any] = {"notifications": {"taskIds": []}}
    status, answer = await ask_with(gateway, "subscriptions/listen", params, {})
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"] == {"requiredCapabilities": TASKS_DECLARED}


@pytest.mark.parametrize("ids", ["t", 7, {}, [7], [None], ["t"] * 101])
@AT_REST
async def test_anything_but_a_short_list_of_ids_is_invalid(idle: Gateway, ids: Any) -> None:
    status, answer = await ask_with(idle, "subscriptions/listen", {"notifications": {"taskIds": ids}})
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert "notifications.taskIds" in answer["error"]["message"]


async def test_a_hundred_tasks_are_followed_beside_the_tools(gateway: Gateway, actor: Actor) -> None:
    ids = [await gateway.submit() for _ in range(100)]
    async with listening(gateway, *ids, more={"toolsListChanged": True}) as reader:
        assert await acknowledged(reader) == {"taskIds": ids, "toolsListChanged": True}
        for task_id in ids:
            await actor.end(task_id, result={})
        assert {(await told(reader))["taskId"] for _ in ids} == set(ids)
        serve_tools(gateway, TOOLS[:2], 2)
        event = await reader.next()
    assert event is not None
    assert event.data["method"] == "notifications/tools/list_changed"


async def test_progress_never_travels_with_a_subscription(gateway: Gateway, actor: Actor) -> None:
    """'notifications/progress and notifications/message notifications MUST NOT be sent on the subscriptions/listen
    stream for a task'."""
    task_id = await started(gateway)
    async with listening(gateway, task_id) as reader:
        await acknowledged(reader)
        for state in ("received", "processing", "completed"):
            await actor.report(task_id, state)
        await actor.fly(task_id, {"text": "live"})
        await actor.end(task_id, result={})
        statuses = [(await told(reader))["status"]]
        while statuses[-1] != "completed":
            statuses.append((await told(reader))["status"])
    assert set(statuses[:-1]) <= {"working"}


async def test_a_large_result_is_told_whole(gateway: Gateway, actor: Actor) -> None:
    task_id = await started(gateway)
    async with listening(gateway, task_id) as reader:
        await acknowledged(reader)
        await actor.end(task_id, result={"numbers": list(range(20_000))})
        done = await told(reader)
    assert len(done["result"]["structuredContent"]["numbers"]) == 20_000


async def test_an_answer_at_another_surface_is_told_with_the_questions_that_are_left(
    gateway: Gateway, actor: Actor
) -> None:
    task_id = await started(gateway)
    await actor.take()
    await actor.report(task_id, "processing")
    async with listening(gateway, task_id, capabilities={**FORMS, "roots": {}}) as reader:
        await acknowledged(reader)
        question = {"inputs": {"name": NAME, "folders": FOLDERS}}
        await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question))
        assert list((await told(reader))["inputRequests"]) == ["name", "folders"]
        await gateway.post(f"/tasks/{task_id}/resume", {"key": "name", "answer": {"name": "Ada"}})
        assert list((await told(reader))["inputRequests"]) == ["folders"]
        await gateway.post(f"/tasks/{task_id}/resume", {"key": "folders", "answer": LISTED})
        assert (await told(reader))["status"] == "working"


async def test_a_lost_right_ends_what_is_told(database_url: str) -> None:
    """A role that is taken away counts for subscriptions that are open."""
    tokens = Tokens(alice=EVERYTHING)
    authenticating = Authenticating([tokens], clock=own_time)
    async with start_mcp(database_url, doors=Admission(authenticating)) as gateway:
        actor = Actor(gateway)
        lost, kept = await started(gateway, **bearer("alice")), await started(gateway, "anything", **bearer("alice"))
        async with listening(gateway, lost, kept, more={"toolsListChanged": True}, **bearer("alice")) as reader:
            assert (await acknowledged(reader))["taskIds"] == [lost, kept]
            rights = rights_of(frozenset({"flow:anything:invoke"}))
            tokens.principals["alice"] = replace(tokens.principals["alice"], rights=rights)
            authenticating.forget()
            event = await reader.next()
            assert event is not None
            assert event.data["method"] == "notifications/tools/list_changed"
            await actor.end(lost, result={"secret": 1})
            await actor.end(kept, result={})
            assert (await told(reader))["taskId"] == kept
