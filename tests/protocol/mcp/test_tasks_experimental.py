"""The experimental tasks of 2025-11-25 (basic/utilities/tasks)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.protocols.mcp.tasks import experimental
from tests.support.gateway import Gateway, Reader
from tests.support.inputs import AT_A_URL, FOLDERS, LISTED, NAME, SAMPLED, SUMMARY, pause_body
from tests.support.mcp import BOTH, Actor, ask_old, conforms, message, open_post, start_mcp
from tests.support.mcp_sessions import Stream, connect, replicas
from tests.support.mcp_tasks import in_background, pause
from tests.support.principals import Tokens, bearer, closed
from tests.support.standing import AT_REST
from tests.support.waiting import until

VERSION = "2025-11-25"
OLDER = ["2025-03-26", "2025-06-18"]
CLIENT = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
RELATED = "io.modelcontextprotocol/related-task"
EVERYTHING = "mcp:read mcp:invoke"


@pytest.fixture
async def told_apart(database_url: str) -> AsyncIterator[Gateway]:
    tokens = Tokens(alice=EVERYTHING, bob=EVERYTHING, auditor="mcp:read task:any:read")
    async with start_mcp(database_url, doors=closed(tokens)) as made:
        yield made


async def augmented(gateway: Gateway, name: str = "anything", task: Any = None, **headers: str) -> Any:
    """The answer to a task-augmented call."""
    params = {"name": name, "arguments": {}, "task": {"ttl": 60_000} if task is None else task}
    return await old(gateway, "tools/call", params, **headers)


async def old(gateway: Gateway, method: str, params: Any, **headers: str) -> Any:
    all_headers = {"Accept": BOTH, "MCP-Protocol-Version": VERSION, "Content-Type": "application/json", **headers}
    async with open_post(gateway, message(method, params), all_headers) as response:
        if response.content_type == "text/event-stream":
            return (await Reader(response).all())[-1].data
        return await response.json()


async def started(gateway: Gateway, **headers: str) -> str:
    answer = await augmented(gateway, **headers)
    conforms(answer["result"], "CreateTaskResult", VERSION)
    return str(answer["result"]["task"]["taskId"])


async def seen(gateway: Gateway, task_id: str) -> dict[str, Any]:
    answer = await old(gateway, "tasks/get", {"taskId": task_id})
    conforms(answer["result"], "GetTaskResult", VERSION)
    assert RELATED not in answer["result"].get("_meta", {})
    result: dict[str, Any] = answer["result"]
    return result


async def test_tasks_are_declared_in_the_one_revision_that_has_them(gateway: Gateway) -> None:
    """Capabilities: 'Servers … MUST declare a tasks capability during initialization'."""
    answer = await old(gateway, "initialize", CLIENT)
    conforms(answer["result"], "InitializeResult", VERSION)
    assert answer["result"]["capabilities"]["tasks"] == {"cancel": {}, "requests": {"tools": {"call": {}}}}
    for version in OLDER:
        answer = await old(gateway, "initialize", {**CLIENT, "protocolVersion": version})
        assert "tasks" not in answer["result"]["capabilities"]


async def test_tools_say_whether_they_are_called_as_tasks(gateway: Gateway) -> None:
    """Tool-Level Negotiation: 'tools declare support for tasks via execution.taskSupport'."""
    _, answer = await ask_old(gateway, "tools/list", {}, VERSION)
    conforms(answer["result"], "ListToolsResult", VERSION)
    support = {tool["name"]: tool.get("execution") for tool in answer["result"]["tools"]}
    assert (support["anything"], support["tasked"]) == ({"taskSupport": "optional"}, {"taskSupport": "required"})
    assert support["inline"] is None
    for version in OLDER:
        _, answer = await ask_old(gateway, "tools/list", {}, version)
        assert not any("execution" in tool for tool in answer["result"]["tools"])


async def test_an_augmented_call_is_answered_with_a_nested_task_at_once(gateway: Gateway, actor: Actor) -> None:
    """Result Retrieval: 'Receivers that accept a task-augmented request MUST return a CreateTaskResult'; TTL: 'MUST
    include the actual ttl duration (or null for unlimited)'."""
    answer = await augmented(gateway)
    conforms(answer["result"], "CreateTaskResult", VERSION)
    assert set(answer["result"]) == {"task"}
    task = answer["result"]["task"]
    assert (task["status"], task["ttl"], task["pollInterval"] > 0) == ("working", None, True)
    task_id, _ = await actor.take()
    assert await seen(gateway, task_id) == task
    await actor.end(task_id, result={"n": 1})
    done = await seen(gateway, task_id)
    assert (done["status"], done["ttl"] >= 90 * 86_400_000) == ("completed", True)


@pytest.mark.parametrize("task", [7, [], "yes", {"ttl": "long"}, {"ttl": -1}, {"ttl": True}])
@AT_REST
async def test_a_malformed_augmentation_is_invalid(idle: Gateway, task: Any) -> None:
    answer = await augmented(idle, task=task)
    assert answer["error"]["code"] == -32602
    assert "task" in answer["error"]["message"]
    assert await idle.stored() == 0


async def test_a_tool_is_called_as_it_says(gateway: Gateway) -> None:
    """Tool-Level Negotiation: 'Servers MUST return a -32601 (Method not found) error if a client does not attempt to do
    so', and SHOULD if it does where it must not."""
    for answer in (
        await old(gateway, "tools/call", {"name": "tasked", "arguments": {}}),
        await augmented(gateway, "inline"),
    ):
        assert answer["error"]["code"] == -32601
    assert await gateway.stored() == 0


@pytest.mark.parametrize("version", OLDER)
async def test_older_revisions_ignore_augmentation_and_get_the_result(
    gateway: Gateway, actor: Actor, version: str
) -> None:
    """Task Support and Handling: 'Receivers that do not declare the task capability … MUST process requests of that
    type normally'."""
    for name in ("anything", "tasked"):
        params = {"name": name, "arguments": {}, "task": {"ttl": 1}}
        async with in_background(ask_old(gateway, "tools/call", params, version)) as call:
            await actor.serve({"n": 1})
            _, answer = await call
        assert answer["result"]["isError"] is False


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel"])
@pytest.mark.parametrize("version", OLDER)
@AT_REST
async def test_older_revisions_have_no_such_methods(idle: Gateway, method: str, version: str) -> None:
    _, answer = await ask_old(idle, method, {"taskId": "t"}, version)
    assert answer["error"]["code"] == -32601


async def test_the_result_is_waited_for_and_says_whose_it_is(gateway: Gateway, actor: Actor) -> None:
    """Result Retrieval: 'it MUST block the response until the task reaches a terminal status', 'MUST return … exactly
    what the underlying request would have returned'; Related Task Metadata: 'MUST include this metadata'."""
    task_id = await started(gateway)
    async with in_background(old(gateway, "tasks/result", {"taskId": task_id})) as waiting:
        await actor.report(task_id, "processing")
        await pause(actor, task_id)
        asked = await seen(gateway, task_id)
        assert asked["status"] == "input_required"
        assert asked["statusMessage"].startswith("Go on? ")
        assert f"/tasks/{task_id}/resume" in asked["statusMessage"]
        await gateway.post(f"/tasks/{task_id}/resume", {"answer": {"yes": True}})
        assert (await seen(gateway, task_id))["status"] == "working"
        assert not waiting.done()
        await actor.end(task_id, result={"n": 1})
        result = (await waiting)["result"]
    conforms(result, "CallToolResult", VERSION)
    assert (result["structuredContent"], result["_meta"][RELATED]) == ({"n": 1}, {"taskId": task_id})
    again = await old(gateway, "tasks/result", {"taskId": task_id})
    assert again["result"] == result


async def test_a_large_result_says_whose_it_is_too(gateway: Gateway, actor: Actor) -> None:
    task_id = await started(gateway)
    await actor.end(task_id, result={"numbers": list(range(20_000))})
    result = (await old(gateway, "tasks/result", {"taskId": task_id}))["result"]
    assert (len(result["structuredContent"]["numbers"]), result["_meta"][RELATED]["taskId"]) == (20_000, task_id)


async def test_waiting_for_a_result_goes_on_with_progress(database_url: str) -> None:
    """Associating Task-Related Messages: 'All requests, notifications, and responses related to a task MUST include the
    io.modelcontextprotocol/related-task key in their _meta field'."""
    async with start_mcp(database_url, mcp_progress_interval=0.02) as gateway:
        actor = Actor(gateway)
        task_id = await started(gateway)
        body = message("tasks/result", {"taskId": task_id, "_meta": {"progressToken": 7}})
        async with open_post(gateway, body, {"Accept": BOTH, "MCP-Protocol-Version": VERSION}) as response:
            reader = Reader(response)
            async with in_background(report_often(actor, task_id)):
                # Also while the task reports more often than a quiet one is looked at.
                for _ in range(3):
                    event = await reader.next()
                    assert event is not None
                    conforms(event.data, "ProgressNotification", VERSION)
                    assert event.data["params"]["_meta"] == {RELATED: {"taskId": task_id}}
            await actor.end(task_id, result={})
            assert "result" in (await reader.all())[-1].data


async def report_often(actor: Actor, task_id: str) -> None:
    while True:
        await actor.report(task_id, "processing")


async def test_what_its_task_waits_for_is_asked_for_it_in_a_session(database_url: str) -> None:
    """Input Required Status: 'The receiver MUST include the io.modelcontextprotocol/related-task metadata in the
    request to associate it with the task'."""
    async with replicas(database_url) as pair:
        client, actor = await connect(*pair), Actor(pair[0])
        created = await client.ask("tools/call", {"name": "anything", "arguments": {}, "task": {}}, at=pair[0])
        task_id = created["task"]["taskId"]
        await actor.take()
        body = message("tasks/result", {"taskId": task_id}, 7)
        async with client.post(body, pair[1]) as response:
            stream = Stream(response)
            await pause(actor, task_id)
            asked = await stream.message()
            conforms(asked, "ElicitRequest", VERSION)
            assert asked["params"]["_meta"] == {RELATED: {"taskId": task_id}}
            await client.respond(asked["id"], {"action": "accept", "content": {"yes": True}}, pair[0])
            await until(lambda: sum(len(each.running.handed) for each in pair) == 2, what="the task to go on")
            await actor.end(task_id, result="done")
            last = await stream.message()
            assert (last["id"], last["result"]["_meta"][RELATED]) == (7, {"taskId": task_id})


async def asks(gateway: Gateway, task_id: str, question: Any, prev: list[str], curr: str) -> None:
    body = pause_body(task_id, {"inputs": {curr: question}}, prev=prev, curr=curr)
    assert (await gateway.post(f"/mesh/{task_id}/progress", body))[0] == 200


async def test_a_question_that_others_answer_is_not_the_last_one_that_is_asked(database_url: str) -> None:
    """Who waits with tasks/result is asked whatever it can answer."""
    async with replicas(database_url) as pair:
        client, actor = await connect(*pair, capabilities={"elicitation": {}}), Actor(pair[0])
        created = await client.ask("tools/call", {"name": "anything", "arguments": {}, "task": {}}, at=pair[0])
        task_id = created["task"]["taskId"]
        await actor.take()
        async with client.post(message("tasks/result", {"taskId": task_id}, 7), pair[1]) as response:
            stream = Stream(response)
            hops = ["first", "second", "third"]
            for done, (question, answer) in enumerate(((SUMMARY, SAMPLED), (FOLDERS, LISTED))):
                await asks(pair[0], task_id, question, hops[:done], hops[done])
                assert (await old(pair[0], "tasks/get", {"taskId": task_id}))["result"]["status"] == "input_required"
                status, _ = await pair[0].post(f"/tasks/{task_id}/resume", {"key": hops[done], "answer": answer})
                assert status == 200
            await asks(pair[0], task_id, NAME, hops[:2], hops[2])
            asked = await stream.message()
            assert asked["method"] == "elicitation/create"
            await client.respond(asked["id"], {"action": "accept", "content": {"name": "Ada"}}, pair[0])
            handed = [each.running.handed for each in pair]
            await until(lambda: sum(map(len, handed)) == 4, what="the task to go on")
            await actor.end(task_id, result="done")
            assert (await stream.message())["id"] == 7


async def test_what_ends_a_question_of_a_task_says_whose_it_is(database_url: str) -> None:
    """Associating Task-Related Messages: 'All requests, notifications, and responses related to a task MUST include the
    io.modelcontextprotocol/related-task key in their _meta field'."""
    async with replicas(database_url, public_url="https://gateway.example") as pair:
        client, actor = await connect(*pair), Actor(pair[0])
        created = await client.ask("tools/call", {"name": "anything", "arguments": {}, "task": {}}, at=pair[0])
        task_id = created["task"]["taskId"]
        await actor.take()
        async with client.post(message("tasks/result", {"taskId": task_id}, 7), pair[1]) as response:
            stream = Stream(response)
            status, _ = await pair[0].post(f"/mesh/{task_id}/progress", pause_body(task_id, AT_A_URL))
            assert status == 200
            asked = await stream.message()
            assert asked["params"]["url"] == AT_A_URL["url"]
            status, _ = await pair[0].post(f"/tasks/{task_id}/resume", {"answer": {"lines": []}})
            assert status == 200
            told = [await stream.message() for _ in range(2)]
        conforms(told[0], "CancelledNotification", VERSION)
        conforms(told[1], "ElicitationCompleteNotification", VERSION)
        assert told[1]["params"]["elicitationId"] == asked["params"]["elicitationId"]
        for each in (asked, *told):
            assert each["params"]["_meta"] == {RELATED: {"taskId": task_id}}


async def test_the_tools_own_error_fails_its_task_with_its_text(gateway: Gateway, actor: Actor) -> None:
    """Task Status: failed 'includes cases where the tool call result has isError set to true'."""
    raised, returned = await started(gateway), await started(gateway)
    await actor.end(raised, "failed", error="no, thank you", error_class="business")
    await actor.end(returned, result={"content": [{"type": "text", "text": "no, thank you"}], "isError": True})
    for task_id in (raised, returned):
        failed = await seen(gateway, task_id)
        assert (failed["status"], failed["statusMessage"]) == ("failed", "no, thank you")
        answer = await old(gateway, "tasks/result", {"taskId": task_id})
        assert answer["result"]["isError"] is True


async def test_a_fault_fails_its_task_and_is_the_error_of_the_result(gateway: Gateway, actor: Actor) -> None:
    task_id = await started(gateway)
    await actor.end(task_id, "failed", error="worker lost", error_class="runtime")
    assert (await seen(gateway, task_id))["status"] == "failed"
    answer = await old(gateway, "tasks/result", {"taskId": task_id})
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32603, "worker lost")


async def test_a_task_is_cancelled_before_the_answer_and_once(gateway: Gateway, actor: Actor) -> None:
    """Task Cancellation: 'MUST transition the task to cancelled status before sending the response', and 'MUST reject
    cancellation requests for tasks already in a terminal status'."""
    task_id = await started(gateway)
    answer = await old(gateway, "tasks/cancel", {"taskId": task_id})
    conforms(answer["result"], "CancelTaskResult", VERSION)
    assert (answer["result"]["status"], await actor.status(task_id)) == ("cancelled", "canceled")
    again = await old(gateway, "tasks/cancel", {"taskId": task_id})
    assert again["error"]["code"] == -32602
    await actor.end(task_id, result={"late": True})
    assert (await seen(gateway, task_id))["status"] == "cancelled"


async def test_what_is_said_about_a_task_does_not_say_again_whose_it_is(told_apart: Gateway) -> None:
    """Related Task Metadata: 'receivers SHOULD NOT include this metadata in their messages'; Getting Tasks: 'servers
    SHOULD NOT upgrade to an SSE stream in response to a tasks/get request'."""
    alice = bearer("alice")
    task_id = await started(told_apart, **alice)
    headers = {"Accept": BOTH, "MCP-Protocol-Version": VERSION, **alice}
    for method, params in (
        ("tasks/get", {"taskId": task_id}),
        ("tasks/list", {}),
        ("tasks/cancel", {"taskId": task_id}),
    ):
        async with open_post(told_apart, message(method, params), headers) as response:
            assert response.content_type == "application/json"
            answer = await response.json()
        assert RELATED not in str(answer["result"])


async def test_the_task_of_a_request_is_that_of_its_parameter(gateway: Gateway, actor: Actor) -> None:
    """Associating Task-Related Messages: 'receivers MUST ignore such metadata if present in favor of the RPC method
    parameter'."""
    one, other = [await started(gateway) for _ in range(2)]
    await actor.end(one, result="mine")
    meta = {"_meta": {RELATED: {"taskId": other}}}
    assert (await old(gateway, "tasks/get", {"taskId": one, **meta}))["result"]["taskId"] == one
    answer = await old(gateway, "tasks/result", {"taskId": one, **meta})
    assert answer["result"]["_meta"][RELATED] == {"taskId": one}
    await old(gateway, "tasks/cancel", {"taskId": other, "_meta": {RELATED: {"taskId": one}}})
    assert [(await seen(gateway, each))["status"] for each in (one, other)] == ["completed", "cancelled"]


@pytest.mark.parametrize("task_id", [None, 7, "none", "", "a\x00"])
@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
@AT_REST
async def test_an_unknown_task_is_invalid_params(idle: Gateway, method: str, task_id: Any) -> None:
    """Protocol Errors: 'Invalid or nonexistent taskId in tasks/get, tasks/result, or tasks/cancel: -32602'."""
    answer = await old(idle, method, {"taskId": task_id})
    assert answer["error"]["code"] == -32602


async def test_leaving_does_not_cancel(gateway: Gateway, actor: Actor) -> None:
    """'clients MAY disconnect from an SSE stream opened by the server in response to a tasks/result request at any
    time'."""
    task_id = await started(gateway)
    async with in_background(old(gateway, "tasks/result", {"taskId": task_id})):
        assert (await seen(gateway, task_id))["status"] == "working"
    assert await actor.status(task_id) == "pending"


async def test_tasks_are_not_listed_where_callers_are_not_told_apart(gateway: Gateway) -> None:
    answer = await old(gateway, "tasks/list", {})
    assert answer["error"]["code"] == -32601


async def test_a_caller_lists_its_own_tasks_in_pages(told_apart: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Task Listing: 'MUST include a nextCursor in the response if more tasks are available'; what tasks/get shows a
    caller, tasks/list shows, too."""
    monkeypatch.setattr("asya_gateway.protocols.mcp.tasks.experimental.PAGE", 2)
    alice, bob = bearer("alice"), bearer("bob")
    initialized = await old(told_apart, "initialize", CLIENT, **alice)
    assert initialized["result"]["capabilities"]["tasks"]["list"] == {}
    theirs = [await started(told_apart, **alice) for _ in range(5)]
    await started(told_apart, **bob)
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while cursor != {"cursor": None}:
        answer = await old(told_apart, "tasks/list", cursor, **alice)
        conforms(answer["result"], "ListTasksResult", VERSION)
        found += [task["taskId"] for task in answer["result"]["tasks"]]
        cursor = {"cursor": answer["result"].get("nextCursor")}
    assert found == theirs[::-1]
    listed = await old(told_apart, "tasks/list", {}, **bearer("auditor"))
    assert "nextCursor" in listed["result"]


async def test_a_list_shows_tasks_as_they_are_shown_one_by_one(
    told_apart: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Task Status Lifecycle: 'Tasks with a completed, failed, or cancelled status are in a terminal state and MUST NOT
    transition to any other status', whichever method tells of it."""
    actor, alice = Actor(told_apart), bearer("alice")
    refused = {"content": [{"type": "text", "text": "no, thank you"}], "isError": True}
    ends: list[tuple[str, dict[str, Any]]] = [
        ("anything", {"result": {"n": 1}}),
        ("anything", {"result": refused}),
        ("anything", {"result": "x" * 5_000}),
        ("typed", {"result": {"n": "no number"}}),
        ("typed", {"result": {"n": 1}}),
        ("anything", {"status": "failed", "error": "no, thank you", "error_class": "business"}),
        ("anything", {"status": "failed", "error": "worker lost", "error_class": "runtime"}),
    ]
    tasks = []
    for name, end in ends:
        answer = await augmented(told_apart, name, **alice)
        tasks.append(answer["result"]["task"]["taskId"])
        await actor.end(tasks[-1], **end)
    tasks.append(await started(told_apart, **alice))
    one_by_one = [(await old(told_apart, "tasks/get", {"taskId": each}, **alice))["result"] for each in tasks]
    assert [each["status"] for each in one_by_one] == [
        "completed", "failed", "completed", "failed", "completed", "failed", "failed", "working",
    ]  # fmt: skip
    # The page ends where enough was read.
    monkeypatch.setattr(experimental, "MOST_READ", 4_000)
    first = (await old(told_apart, "tasks/list", {}, **alice))["result"]
    second = (await old(told_apart, "tasks/list", {"cursor": first["nextCursor"]}, **alice))["result"]
    assert "nextCursor" not in second
    assert (first["tasks"] + second["tasks"])[::-1] == one_by_one


@pytest.mark.parametrize("cursor", [7, "%%%", "x" * 3000, "W10="])
async def test_a_foreign_cursor_is_invalid(told_apart: Gateway, cursor: Any) -> None:
    """Protocol Errors: 'Invalid or nonexistent cursor in tasks/list: -32602'."""
    answer = await old(told_apart, "tasks/list", {"cursor": cursor}, **bearer("alice"))
    assert answer["error"]["code"] == -32602


async def test_who_may_read_the_tasks_of_others_gets_their_results(told_apart: Gateway) -> None:
    """What tasks/get shows a caller, tasks/result waits for."""
    task_id = await started(told_apart, **bearer("alice"))
    actor = Actor(told_apart)
    await actor.take()
    params = {"taskId": task_id}
    async with in_background(old(told_apart, "tasks/result", params, **bearer("auditor"))) as waiting:
        await actor.end(task_id, result={"n": 1})
        assert (await waiting)["result"]["structuredContent"] == {"n": 1}
    answer = await old(told_apart, "tasks/result", params, **bearer("bob"))
    assert answer["error"]["code"] == -32602
