"""The tasks extension of 2026-07-28 (ext-tasks, "Tasks"): from tools/call to the last poll."""

import base64
from typing import Any

import pytest

from tests.support.a2a import data_message, rpc
from tests.support.gateway import Gateway, Reader
from tests.support.inputs import FOLDERS, LISTED, NAME, SAMPLED, SUMMARY, pause_body
from tests.support.mcp import (
    EXT_TASKS,
    LATEST,
    TASKS_DECLARED,
    Actor,
    ask,
    calling,
    conforms,
    open_post,
    serve_tools,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.mcp_tasks import (
    CAPABILITIES,
    FORMS,
    ask_with,
    becomes,
    call_with,
    in_background,
    pause,
    seen,
    started,
)
from tests.support.standing import AT_REST
from tests.support.waiting import until

METHODS = ["tasks/get", "tasks/update", "tasks/cancel"]
NEVER_FLAT = {"task", "result", "error", "inputRequests", "requestState", "ttl", "pollInterval"}


@pytest.fixture
async def hasty(database_url: str) -> Any:
    """A gateway that waits for no result."""
    async with start_mcp(database_url, mcp_task_grace=0) as made:
        yield made


async def test_the_extension_is_declared_and_the_older_capability_is_not(gateway: Gateway) -> None:
    """ext-tasks, Capability Negotiation: 'an empty object indicates support'."""
    _, answer = await ask(gateway, "server/discover")
    conforms(answer, "DiscoverResultResponse")
    capabilities = answer["result"]["capabilities"]
    assert capabilities["extensions"] == {"io.modelcontextprotocol/tasks": {}}
    assert "tasks" not in capabilities


async def test_a_fast_call_is_answered_with_its_result(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Capability Negotiation: 'The server is the sole decider'."""
    async with in_background(call_with(gateway, "anything")) as call:
        await actor.serve({"n": 1})
        result = await call
    assert (result["resultType"], result["structuredContent"]) == ("complete", {"n": 1})
    assert "taskId" not in result


async def test_a_slow_call_is_answered_with_a_flat_task_that_can_be_read_at_once(hasty: Gateway) -> None:
    """ext-tasks, Task Creation: 'A server MUST NOT return CreateTaskResult until the task is durably created'."""
    result = await call_with(hasty, "anything")
    conforms(result, "CreateTaskResult", EXT_TASKS)
    conforms(result, "Result", LATEST)
    assert (result["resultType"], result["status"], result["ttlMs"]) == ("task", "working", None)
    assert result["pollIntervalMs"] > 0
    assert not NEVER_FLAT & set(result)
    again = await seen(hasty, result["taskId"])
    assert {**again, "resultType": "task"} == result


@pytest.mark.parametrize("capabilities", [{}, {"extensions": {}}, {"extensions": {"io.modelcontextprotocol/tasks": 1}}])
async def test_a_client_without_the_extension_gets_the_result(hasty: Gateway, capabilities: dict[str, Any]) -> None:
    """ext-tasks, Capability Negotiation: 'A server MUST NOT return CreateTaskResult to a client that did not include
    the extension capability on its request, regardless of prior declarations'."""
    actor = Actor(hasty)
    await call_with(hasty, "anything")
    first, _ = await actor.take()
    async with in_background(call_with(hasty, "anything", capabilities)) as call:
        await actor.serve({"n": 2})
        assert (await call)["structuredContent"] == {"n": 2}
    assert await actor.status(first) == "pending"


async def test_a_flow_may_never_be_a_task(hasty: Gateway) -> None:
    async with in_background(call_with(hasty, "inline")) as call:
        await Actor(hasty).serve({"n": 3})
        assert (await call)["resultType"] == "complete"


async def test_a_flow_may_require_tasks(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Capability Negotiation: 'the server MUST return an error with the code -32021'; the row
    stands already."""
    status, answer = await ask(gateway, "tools/call", {"name": "tasked", "arguments": {}})
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"]["requiredCapabilities"] == TASKS_DECLARED
    assert await gateway.stored() == 0
    task_id = await started(gateway)
    assert (await actor.take())[0] == task_id


async def test_the_older_parameter_for_tasks_is_ignored(gateway: Gateway, actor: Actor) -> None:
    """Notes on the older design: `params.task` has no meaning in the extension."""
    params = {"name": "anything", "arguments": {}, "task": {"ttl": 1000}}
    async with in_background(ask_with(gateway, "tools/call", params, {})) as call:
        await actor.serve({})
        assert (await call)[1]["result"]["resultType"] == "complete"


@pytest.mark.parametrize("name", ["tasks/result", "tasks/list"])
async def test_the_older_methods_do_not_exist(gateway: Gateway, name: str) -> None:
    status, answer = await ask_with(gateway, name, {"taskId": "t"})
    assert (status, answer["error"]["code"]) == (404, -32601)


async def test_a_task_is_seen_working_and_then_with_its_result(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Task Polling: 'If the status is completed, the server MUST return … a result field'; ttlMs counts from
    createdAt."""
    task_id = await started(gateway)
    assert (await seen(gateway, task_id))["statusMessage"] == "Queued"
    await actor.take()
    await actor.report(task_id, "processing", message="half way")
    working = await seen(gateway, task_id)
    assert (working["status"], working["statusMessage"], working["ttlMs"]) == ("working", "half way", None)
    await actor.end(task_id, result={"n": 2**60})
    done = await seen(gateway, task_id)
    assert (done["status"], done["resultType"]) == ("completed", "complete")
    assert (done["result"]["resultType"], done["result"]["structuredContent"]) == ("complete", {"n": 2**60})
    assert done["ttlMs"] >= 90 * 86_400_000
    assert done["lastUpdatedAt"] > working["lastUpdatedAt"] >= working["createdAt"]
    assert "io.modelcontextprotocol/related-task" not in done["result"]["_meta"]


async def test_the_tools_own_error_completes_its_task(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Task Execution Errors: 'Errors within the context of a protocol method result MUST use the completed
    status'."""
    task_id = await started(gateway)
    error = {"message": "no, thank you", "type": "Refusal"}
    await actor.end(task_id, "failed", error="no, thank you", error_details=error, error_class="business")
    done = await seen(gateway, task_id)
    assert (done["status"], done["result"]["isError"]) == ("completed", True)
    assert "error" not in done


async def test_a_fault_of_the_gateway_or_the_mesh_fails_its_task(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Task Execution Errors: 'MUST include the error field with the JSON-RPC error', 'SHOULD include a
    statusMessage'."""
    task_id = await started(gateway)
    await actor.end(task_id, "failed", error="worker lost", error_class="runtime")
    failed = await seen(gateway, task_id)
    assert (failed["status"], failed["error"]["code"], failed["statusMessage"]) == ("failed", -32603, "worker lost")
    assert failed["error"]["data"]["task_id"] == task_id
    assert "result" not in failed


async def test_a_canceled_task_is_cancelled_at_once_and_stays_so(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Task Cancellation: 'the server MUST acknowledge the request with an empty result'; idempotent."""
    task_id = await started(gateway)
    for _ in range(2):
        status, answer = await ask_with(gateway, "tasks/cancel", {"taskId": task_id})
        assert status == 200
        conforms(answer["result"], "CancelTaskResult", EXT_TASKS)
        assert set(answer["result"]) == {"resultType", "_meta"}
    await actor.end(task_id, result={"late": True})
    canceled = await seen(gateway, task_id)
    assert (canceled["status"], "result" in canceled, "error" in canceled) == ("cancelled", False, False)
    assert await actor.status(task_id) == "canceled"


@pytest.mark.parametrize("method", ["tasks/cancel", "tasks/update"])
async def test_a_task_that_has_ended_is_acknowledged_and_not_changed(
    gateway: Gateway, actor: Actor, method: str
) -> None:
    task_id = await started(gateway)
    await actor.end(task_id, result={"n": 1})
    status, answer = await ask_with(gateway, method, {"taskId": task_id, "inputResponses": {"x": 1}})
    assert (status, answer["result"]["resultType"]) == (200, "complete")
    assert (await seen(gateway, task_id))["status"] == "completed"


@pytest.mark.parametrize("method", METHODS)
async def test_a_request_without_the_extension_is_refused_before_its_task_is_looked_up(
    gateway: Gateway, actor: Actor, method: str
) -> None:
    """ext-tasks, Protocol Errors: 'Servers MUST return this error for non-declaring clients issuing tasks/get,
    tasks/update, and tasks/cancel requests'."""
    task_id = await started(gateway)
    answers = [
        await ask_with(gateway, method, {"taskId": each, "inputResponses": {}}, {}) for each in (task_id, "none")
    ]
    assert answers[0] == answers[1]
    status, answer = answers[0]
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"] == {"requiredCapabilities": TASKS_DECLARED}
    assert await actor.status(task_id) == "pending"


@pytest.mark.parametrize("task_id", [None, 7, "", "x" * 256, "a\x00b", "..", ["t"]])
@pytest.mark.parametrize("method", METHODS)
@AT_REST
async def test_an_invalid_id_is_invalid_params(idle: Gateway, method: str, task_id: Any) -> None:
    """ext-tasks, Protocol Errors: 'Invalid or nonexistent taskId: -32602'."""
    body = stateless_body(method, {"taskId": task_id, "inputResponses": {}}, **{CAPABILITIES: TASKS_DECLARED})
    headers = stateless_headers(body, Mcp_Name=None)
    if isinstance(task_id, str):
        headers["Mcp-Name"] = f"=?base64?{base64.b64encode(task_id.encode()).decode()}?="
    async with open_post(idle, body, headers) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["code"]) == (400, -32602)


@pytest.mark.parametrize("method", METHODS)
async def test_the_name_header_is_the_tasks_id(gateway: Gateway, method: str) -> None:
    """ext-tasks, Routing Headers: 'the client MUST set the Mcp-Name header to the value of params.taskId'. Clients
    that do not send it are served; one that sends another id is refused."""
    task_id = await started(gateway)
    body = stateless_body(method, {"taskId": task_id, "inputResponses": {}}, **{CAPABILITIES: TASKS_DECLARED})
    async with open_post(gateway, body, stateless_headers(body, Mcp_Name="another")) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, -32020)
    async with open_post(gateway, body, stateless_headers(body, Mcp_Name=None)) as response:
        assert response.status == 200, await response.text()


@pytest.mark.parametrize("responses", [None, 7, [], "x"])
async def test_responses_that_are_no_object_are_invalid(gateway: Gateway, responses: Any) -> None:
    task_id = await started(gateway)
    status, answer = await ask_with(gateway, "tasks/update", {"taskId": task_id, "inputResponses": responses})
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert "inputResponses" in answer["error"]["message"]


async def test_leaving_before_the_handle_cancels_and_leaving_later_does_not(gateway: Gateway, actor: Actor) -> None:
    """transports/streamable-http, "Cancellation": closing the response stream cancels its request; a task whose
    handle was sent has no request any more."""
    body = stateless_body("tools/call", {"name": "anything", "arguments": {}}, **{CAPABILITIES: TASKS_DECLARED})
    async with open_post(gateway, body, stateless_headers(body)) as response:
        await Reader(response).comment()
        left, _ = await actor.take()

    async def ended() -> bool:
        return await actor.status(left) == "canceled"

    await until(ended, what="the end of the task without a handle")
    async with open_post(gateway, body, stateless_headers(body)) as response:
        kept, _ = await actor.take()
        events = await Reader(response).all()
    assert events[-1].data["result"]["taskId"] == kept
    assert await actor.status(kept) == "pending"


async def test_a_repeated_call_gets_the_same_task(gateway: Gateway, actor: Actor) -> None:
    """Also after its end: the handle does not say how it ended, since a tool's own error is no failure here."""
    key = {"Idempotency-Key": "once"}
    task_id = await started(gateway, **key)
    assert await started(gateway, **key) == task_id
    await actor.end(task_id, "failed", error="no, thank you", error_class="business")
    again = await call_with(gateway, "tasked", TASKS_DECLARED, **key)
    assert (again["taskId"], again["status"], "statusMessage" in again) == (task_id, "working", False)
    assert (await seen(gateway, task_id))["status"] == "completed"
    assert await gateway.stored() == 1


async def test_the_same_task_is_seen_by_every_surface(gateway: Gateway, actor: Actor) -> None:
    """A task that REST created is polled here, and one that was created here is read there."""
    posted = await gateway.submit()
    assert (await seen(gateway, posted))["status"] == "working"
    task_id = await started(gateway)
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["flow"] == "tasked"
    await gateway.post(f"/tasks/{task_id}/cancel")
    assert (await seen(gateway, task_id))["status"] == "cancelled"


async def test_one_task_is_seen_and_answered_by_each_surface(gateway: Gateway, actor: Actor) -> None:
    everywhere = {"name": "everywhere", "entrypoint": "first", "mcp": {"task": "required"}, "a2a": {}}
    serve_tools(gateway, [everywhere])

    async def statuses() -> tuple[str, str, str]:
        """In MCP, A2A and REST."""
        in_a2a = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]["status"]["state"]
        in_mcp = (await seen(gateway, task_id, ALL))["status"]
        return in_mcp, in_a2a, (await gateway.get(f"/tasks/{task_id}"))[1]["status"]

    task_id = await started(gateway, "everywhere")
    await actor.take()
    assert await statuses() == ("working", "TASK_STATE_SUBMITTED", "pending")
    question = pause_body(task_id, {"inputs": {"name": NAME, "summary": SUMMARY, "folders": FOLDERS}})
    assert (await gateway.post(f"/mesh/{task_id}/progress", question))[0] == 200
    waiting = ("input_required", "TASK_STATE_INPUT_REQUIRED", "paused")
    assert await statuses() == waiting
    message = data_message({"inputs": {"name": {"name": "Ada"}}}, taskId=task_id)
    sent = await rpc(gateway, "SendMessage", {"message": message, "configuration": {"returnImmediately": True}})
    assert sent["result"]["task"]["id"] == task_id
    assert await statuses() == waiting
    assert (await gateway.post(f"/tasks/{task_id}/resume", {"key": "summary", "answer": SAMPLED}))[0] == 200
    assert list((await seen(gateway, task_id, ALL))["inputRequests"]) == ["folders"]
    assert await statuses() == waiting
    assert (await respond(gateway, task_id, ALL, folders=LISTED))[0] == 200
    assert await statuses() == ("working", "TASK_STATE_WORKING", "running")
    _, envelope = await actor.take()
    assert all(said in str(envelope) for said in ("Ada", "short", "file:///home/ada"))
    await actor.end(task_id, result={"n": 3})
    assert await statuses() == ("completed", "TASK_STATE_COMPLETED", "succeeded")
    assert (await seen(gateway, task_id, ALL))["result"]["structuredContent"] == {"n": 3}
    in_a2a = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]["artifacts"][0]["parts"]
    assert in_a2a == [{"data": {"n": 3}}]
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["result"] == {"n": 3}


async def test_progress_is_told_until_the_handle(gateway: Gateway, actor: Actor) -> None:
    params = {"name": "anything", "arguments": {}, "_meta": {"progressToken": 1}}
    body = stateless_body("tools/call", params, **{CAPABILITIES: TASKS_DECLARED})
    async with open_post(gateway, body, stateless_headers(body)) as response:
        events = await Reader(response).all()
    assert {event.data["method"] for event in events[:-1]} == {"notifications/progress"}
    assert events[-1].data["result"]["resultType"] == "task"


async def test_a_question_is_asked_of_a_client_with_forms_and_answered_by_it(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Task Polling: 'The inputRequests field MUST contain all outstanding requests'; Task Update Requests:
    'the server MUST acknowledge the request with an empty result'."""
    task_id = await started(gateway)
    await actor.take()
    await actor.report(task_id, "processing")
    await pause(actor, task_id)
    asked = await becomes(gateway, task_id, "input_required", elicitation={})
    ((key, request),) = asked["inputRequests"].items()
    conforms(request, "ElicitRequest", LATEST)
    assert request["params"]["message"] == "Go on?"
    for responses in ({}, {"unknown": {"action": "accept", "content": {"yes": True}}}):
        status, _ = await ask_with(gateway, "tasks/update", {"taskId": task_id, "inputResponses": responses}, FORMS)
        assert status == 200
        assert (await seen(gateway, task_id, FORMS))["status"] == "input_required"
    responses = {key: {"action": "accept", "content": {"yes": True}}}
    status, answer = await ask_with(gateway, "tasks/update", {"taskId": task_id, "inputResponses": responses}, FORMS)
    assert status == 200
    conforms(answer["result"], "UpdateTaskResult", EXT_TASKS)
    assert set(answer["result"]) == {"resultType", "_meta"}
    assert (await seen(gateway, task_id, FORMS))["status"] == "working"


@pytest.mark.parametrize(
    "response",
    [
        7,
        None,
        [],
        "accept",
        {},
        {"action": "yes"},
        {"action": ["accept"]},
        {"action": "accept"},
        {"action": "accept", "content": []},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"yes": "true"}},
    ],
)
async def test_a_response_of_the_wrong_type_is_never_accepted(gateway: Gateway, actor: Actor, response: Any) -> None:
    """patterns/mrtr: responses are checked against what was asked."""
    task_id = await started(gateway)
    await actor.take()
    await actor.report(task_id, "processing")
    await pause(actor, task_id)
    key = next(iter((await seen(gateway, task_id, FORMS))["inputRequests"]))
    params = {"taskId": task_id, "inputResponses": {key: response}}
    status, answer = await ask_with(gateway, "tasks/update", params, FORMS)
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert f"inputResponses.{key}" in answer["error"]["message"]
    assert (await seen(gateway, task_id, FORMS))["status"] == "input_required"


async def test_a_client_without_forms_is_told_where_the_answer_goes(gateway: Gateway, actor: Actor) -> None:
    """basic/patterns/mrtr: servers only ask what the client declared on this request."""
    task_id = await started(gateway)
    await actor.take()
    await actor.report(task_id, "processing")
    await pause(actor, task_id)
    told = await seen(gateway, task_id)
    assert (told["status"], "inputRequests" in told) == ("working", False)
    assert f"/tasks/{task_id}/resume" in told["statusMessage"]
    assert "Go on?" in told["statusMessage"]


async def test_a_decline_leaves_the_question_open_for_others(gateway: Gateway, actor: Actor) -> None:
    task_id = await started(gateway)
    await actor.take()
    await actor.report(task_id, "processing")
    await pause(actor, task_id)
    key = next(iter((await seen(gateway, task_id, FORMS))["inputRequests"]))
    params = {"taskId": task_id, "inputResponses": {key: {"action": "decline"}}}
    assert (await ask_with(gateway, "tasks/update", params, FORMS))[0] == 200
    assert await actor.status(task_id) == "paused"
    told = await seen(gateway, task_id, FORMS)
    assert (told["status"], "inputRequests" in told) == ("working", False)
    assert f"/tasks/{task_id}/resume" in told["statusMessage"]
    assert (await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"yes": True}}))[0] == 200


ALL = {**FORMS, "sampling": {}, "roots": {}}
ANSWERS = {"name": {"action": "accept", "content": {"name": "Ada"}}, "summary": SAMPLED, "folders": LISTED}


async def asking(gateway: Gateway, actor: Actor, question: dict[str, Any]) -> str:
    """A task that asks this."""
    task_id = await started(gateway)
    await actor.take()
    await actor.report(task_id, "processing")
    status, answer = await gateway.post(f"/mesh/{task_id}/progress", pause_body(task_id, question))
    assert status == 200, answer
    return task_id


async def respond(gateway: Gateway, task_id: str, capabilities: Any, **responses: Any) -> tuple[int, Any]:
    return await ask_with(gateway, "tasks/update", {"taskId": task_id, "inputResponses": responses}, capabilities)


async def test_inputs_are_answered_in_parts_and_vanish_at_once(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Task Update Requests: 'A server MAY accept a partial set of responses …; in that case the task remains
    in input_required until the remaining responses arrive'."""
    task_id = await asking(gateway, actor, {"inputs": {"name": NAME, "summary": SUMMARY, "folders": FOLDERS}})
    left = ["name", "summary", "folders"]
    for key in ("summary", "name", "folders"):
        asked = await seen(gateway, task_id, ALL)
        assert (asked["status"], list(asked["inputRequests"])) == ("input_required", left)
        conforms(asked["inputRequests"][left[0]], "InputRequest", LATEST)
        status, _ = await respond(gateway, task_id, ALL, **{key: ANSWERS[key]})
        assert status == 200
        left.remove(key)
    assert (await seen(gateway, task_id, ALL))["status"] == "working"
    _, envelope = await actor.take()
    assert envelope["payload"] != {}


async def test_only_what_the_polling_client_declares_is_asked(gateway: Gateway, actor: Actor) -> None:
    """ext-tasks, Capability Negotiation: capabilities are per request, so each poll is asked what it can answer."""
    task_id = await asking(gateway, actor, {"inputs": {"name": NAME, "summary": SUMMARY, "folders": FOLDERS}})
    for declared, keys in (
        (["elicitation"], ["name"]),
        (["sampling"], ["summary"]),
        (["roots"], ["folders"]),
        (["sampling", "roots"], ["summary", "folders"]),
    ):
        asked = await seen(gateway, task_id, {**TASKS_DECLARED, **{key: {} for key in declared}})
        assert (asked["status"], list(asked["inputRequests"])) == ("input_required", keys)
        assert f"/tasks/{task_id}/resume" in asked["statusMessage"]
    told = await seen(gateway, task_id)
    assert (told["status"], "inputRequests" in told) == ("working", False)


@pytest.mark.parametrize(
    ("key", "response"),
    [
        ("summary", {"action": "accept", "content": {}}),
        ("summary", {"role": "user"}),
        ("folders", {"roots": "/"}),
        ("folders", {"roots": [{"uri": "http://x"}]}),
        ("name", SAMPLED),
        ("name", {"action": "accept", "content": {"name": {"first": "Ada"}}}),
    ],
)
async def test_one_wrong_response_keeps_the_others_open(
    gateway: Gateway, actor: Actor, key: str, response: Any
) -> None:
    task_id = await asking(gateway, actor, {"inputs": {"name": NAME, "summary": SUMMARY, "folders": FOLDERS}})
    status, answer = await respond(gateway, task_id, ALL, **{**ANSWERS, key: response})
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert f"inputResponses.{key}: " in answer["error"]["message"]
    assert list((await seen(gateway, task_id, ALL))["inputRequests"]) == ["name", "summary", "folders"]


async def test_what_no_form_can_carry_is_asked_by_url_or_named_in_the_text(database_url: str) -> None:
    """A client with forms alone keeps `input_required`, and its person the link."""
    question = {
        "prompt": "Draw",
        "schema": {"type": "array", "items": {"type": "object"}},
        "url": "https://draw.example",
    }
    async with start_mcp(database_url, public_url="https://asya.example") as gateway:
        task_id = await asking(gateway, Actor(gateway), question)
        by_url = await seen(gateway, task_id, {**TASKS_DECLARED, "elicitation": {"url": {}}})
        ((key, request),) = by_url["inputRequests"].items()
        conforms(request, "ElicitRequest", LATEST)
        assert (request["params"]["mode"], request["params"]["url"]) == ("url", "https://draw.example")
        by_form = await seen(gateway, task_id, FORMS)
        assert (by_form["status"], by_form["inputRequests"]) == ("input_required", {})
        assert "https://draw.example" in by_form["statusMessage"]
        without = await seen(gateway, task_id)
        assert (without["status"], "https://draw.example" in without["statusMessage"]) == ("working", True)
        capabilities = {**TASKS_DECLARED, "elicitation": {"url": {}}}
        assert (await respond(gateway, task_id, capabilities, **{key: {"action": "accept"}}))[0] == 200
        assert (await gateway.get(f"/tasks/{task_id}"))[1]["status"] == "paused"


async def test_answers_of_two_surfaces_make_one_task_go_on(gateway: Gateway, actor: Actor) -> None:
    task_id = await asking(gateway, actor, {"inputs": {"name": NAME, "folders": FOLDERS}})
    body = {"key": "name", "answer": {"name": "Ada"}}
    assert (await gateway.post(f"/tasks/{task_id}/resume", body))[0] == 200
    assert list((await seen(gateway, task_id, ALL))["inputRequests"]) == ["folders"]
    assert (await respond(gateway, task_id, ALL, **ANSWERS))[0] == 200
    assert (await seen(gateway, task_id, ALL))["status"] == "working"


async def test_a_call_that_asks_within_the_grace_is_a_task_at_once(database_url: str) -> None:
    async with start_mcp(database_url, mcp_task_grace=30) as gateway:
        actor = Actor(gateway)
        async with in_background(call_with(gateway, "anything", FORMS)) as call:
            task_id, _ = await actor.take()
            await actor.report(task_id, "processing")
            await pause(actor, task_id)
            result = await call
        assert (result["taskId"], result["status"]) == (task_id, "input_required")
        assert not NEVER_FLAT & set(result)


async def test_the_extension_enables_nothing_after_a_handshake(gateway: Gateway, actor: Actor) -> None:
    """Under 2025-11-25 the extension's name has no meaning; the result is one."""
    async with calling(gateway, "anything", version="2025-11-25") as call:
        await actor.serve({})
        assert "taskId" not in (await call)[1][-1].data["result"]
