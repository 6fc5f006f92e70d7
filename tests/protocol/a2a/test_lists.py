"""ListTasks (specification 1.0, section 3.1.4), in every dialect that has it."""

from collections.abc import Mapping
from typing import Any

from tests.support.a2a import SKILLS, conforms, rpc, text_message
from tests.support.gateway import Gateway
from tests.support.mcp import Actor, serve_tools

BOTH: dict[str, Any] = {"name": "both", "entrypoint": "first", "mcp": {}, "a2a": {}}


async def begun(gateway: Gateway, actor: Actor, path: str = "/a2a/echo", **message: Any) -> str:
    params = {"message": text_message("hi", **message), "configuration": {"returnImmediately": True}}
    assert "task" in (await rpc(gateway, "SendMessage", params, path=path))["result"]
    return (await actor.take())[0]


async def listed(gateway: Gateway, params: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    answer = await rpc(gateway, "ListTasks", params, **options)
    result: dict[str, Any] = answer["result"]
    conforms(result, "ListTasksResponse")
    return result


def ids(page: Mapping[str, Any]) -> list[str]:
    return [task["id"] for task in page["tasks"]]


async def test_tasks_are_in_the_order_of_their_statuses_times_whatever_their_state(
    gateway: Gateway, actor: Actor
) -> None:
    """'Implementations MUST return tasks sorted by their status timestamp time in descending order'."""
    one, two, three, four = [await begun(gateway, actor) for _ in range(4)]
    await actor.end(three, result=1)
    await actor.report(two, "processing")
    await actor.end(one, result=1)
    # Progress that changes no status moves no task.
    await actor.report(two, "completed")
    page = await listed(gateway)
    assert ids(page) == [one, two, three, four]
    times = [task["status"]["timestamp"] for task in page["tasks"]]
    assert times == sorted(times, reverse=True)
    assert [task["status"]["timestamp"] for task in page["tasks"]] == [
        (await rpc(gateway, "GetTask", {"id": task_id}))["result"]["status"]["timestamp"] for task_id in ids(page)
    ]


async def test_pages_follow_one_another_to_the_end_and_all_members_are_present(gateway: Gateway, actor: Actor) -> None:
    """'nextPageToken' is the empty string on the last page, 'totalSize' counts before pagination."""
    assert await listed(gateway) == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
    made = [await begun(gateway, actor) for _ in range(5)]
    for task_id in made[:3]:
        await actor.end(task_id, result=1)
    seen: list[str] = []
    token = ""
    sizes: list[int] = []
    while not sizes or token:
        page = await listed(gateway, {"pageSize": 2, **({"pageToken": token} if token else {})})
        assert (page["pageSize"], page["totalSize"]) == (2, 5)
        seen, token = seen + ids(page), page["nextPageToken"]
        sizes.append(len(page["tasks"]))
    assert sizes == [2, 2, 1]
    assert seen == [*reversed(made[:3]), *reversed(made[3:])]


async def test_the_callers_tasks_of_skills_are_listed_whichever_surface_created_them(
    gateway: Gateway, actor: Actor
) -> None:
    serve_tools(gateway, [*SKILLS, BOTH], generation=2)
    for name in ("both", "tool"):
        await gateway.post("/tools/call", {"name": name, "arguments": {}})
    over_rest, (no_skill, _) = (await actor.take())[0], await actor.take()
    over_a2a = await begun(gateway, actor)
    assert ids(await listed(gateway)) == [over_a2a, over_rest]
    assert no_skill not in ids(await listed(gateway))
    for path, params in (("/a2a/both", {}), ("/a2a/", {"tenant": "both"})):
        assert ids(await listed(gateway, params, path=path)) == [over_rest]
    unknown = await rpc(gateway, "ListTasks", {"tenant": "tool"})
    assert unknown["error"]["code"] == -32602
    # A context that no client has named has the name that its task shows.
    context = (await listed(gateway, {"tenant": "both"}))["tasks"][0]["contextId"]
    assert ids(await listed(gateway, {"contextId": context})) == [over_rest]


async def test_lists_are_filtered_by_context_state_and_time(gateway: Gateway, actor: Actor) -> None:
    done, failed, rejected, working, waiting = [
        await begun(gateway, actor, contextId=name) for name in ("a", "a", "b", "b", "b")
    ]
    pending = await begun(gateway, actor)
    await actor.end(done, result=1)
    await actor.end(failed, "failed", error="it broke")
    await actor.end(rejected, "failed", error="no", error_details={"code": "rejected"}, **{"class": "business"})
    await actor.report(working, "processing")
    await actor.report(waiting, "paused", pause_metadata={"prompt": "?", "fields": [{"name": "x", "prompt": "?"}]})

    async def by(**params: Any) -> list[str]:
        page = await listed(gateway, params)
        assert page["totalSize"] == len(page["tasks"])
        return ids(page)

    assert await by(contextId="a") == [failed, done]
    assert await by(contextId="b") == [waiting, working, rejected]
    assert await by(contextId="c") == []
    states = {
        "SUBMITTED": [pending],
        "WORKING": [working],
        "INPUT_REQUIRED": [waiting],
        "COMPLETED": [done],
        "FAILED": [failed],
        "REJECTED": [rejected],
        "CANCELED": [],
    }
    for name, expected in states.items():
        assert await by(status=f"TASK_STATE_{name}") == expected, name
    assert await by(status="TASK_STATE_WORKING", contextId="b") == [working]
    assert await by(status="TASK_STATE_WORKING", contextId="a") == []
    at = (await rpc(gateway, "GetTask", {"id": rejected}))["result"]["status"]["timestamp"]
    # '>=': the task of that time is among them.
    assert await by(statusTimestampAfter=at) == [waiting, working, rejected]
    assert await by(statusTimestampAfter="2100-01-01T00:00:00+02:00") == []


async def test_messages_and_artifacts_are_shown_as_they_are_asked_for(gateway: Gateway, actor: Actor) -> None:
    task_id = await begun(gateway, actor)
    await actor.end(task_id, result={"n": 2**60 + 1})
    [task] = (await listed(gateway))["tasks"]
    assert "artifacts" not in task
    assert [message["messageId"] for message in task["history"]] == ["m-1"]
    [task] = (await listed(gateway, {"historyLength": 0, "includeArtifacts": True}))["tasks"]
    assert "history" not in task
    assert task["artifacts"][0]["parts"] == [{"data": {"n": 2**60 + 1}}]


DISABLED = """
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, disabled_reason)
VALUES ($1, 'a2a', 'c', '', 'https://gone.example/', 'gone.example', '{}', 1, 'it is gone')
"""


async def test_what_is_delivered_no_more_is_shown_as_for_one_task(gateway: Gateway, actor: Actor) -> None:
    task_id = await begun(gateway, actor)
    await gateway.running.storage.database.execute(DISABLED, task_id)
    [task] = (await listed(gateway))["tasks"]
    assert task == (await rpc(gateway, "GetTask", {"id": task_id}))["result"]
    assert task["metadata"] == {"urn:asya:a2a:push:v1": {"disabled": [{"id": "c", "reason": "it is gone"}]}}


async def test_a_question_and_the_reason_of_a_failure_are_shown_in_the_list(gateway: Gateway, actor: Actor) -> None:
    asked, failed = await begun(gateway, actor), await begun(gateway, actor)
    await actor.report(asked, "paused", pause_metadata={"prompt": "Buy?", "fields": [{"name": "x", "prompt": "?"}]})
    await actor.end(failed, "failed", error="it broke")
    page = (await listed(gateway))["tasks"]
    assert [task["status"]["message"]["parts"][0]["text"] for task in page] == ["it broke", "Buy?"]
    assert [task["status"] for task in page] == [
        (await rpc(gateway, "GetTask", {"id": task_id}))["result"]["status"] for task_id in (failed, asked)
    ]


async def test_a_page_of_large_tasks_ends_early_and_the_next_one_goes_on(gateway: Gateway, actor: Actor) -> None:
    made = [await begun(gateway, actor) for _ in range(3)]
    for task_id in made:
        await actor.end(task_id, result="x" * 300_000)
    seen: list[str] = []
    token = ""
    for _ in made:
        page = await listed(gateway, {"includeArtifacts": True, "pageToken": token})
        [task] = page["tasks"]
        assert len(task["artifacts"][0]["parts"][0]["text"]) == 300_000
        seen, token = [*seen, task["id"]], page["nextPageToken"]
    assert (seen, token) == ([*reversed(made)], "")
    assert len((await listed(gateway))["tasks"]) == 3


async def test_a_token_that_is_none_of_ours_is_refused_by_its_name(gateway: Gateway) -> None:
    for token in ("no token", "W10", "x" * 3000):
        answer = await rpc(gateway, "ListTasks", {"pageToken": token})
        [details] = answer["error"]["data"]
        assert (answer["error"]["code"], details["fieldViolations"][0]["field"]) == (-32602, "pageToken")


async def test_a_client_of_0_3_lists_tasks_with_the_states_of_its_version(gateway: Gateway, actor: Actor) -> None:
    done, working = await begun(gateway, actor), await begun(gateway, actor)
    await actor.end(done, result=1)
    params = {"status": "completed", "includeArtifacts": True, "historyLength": 0}
    page = (await rpc(gateway, "tasks/list", params, version=None))["result"]
    [task] = page["tasks"]
    conforms(task, "Task", "0.3")
    # In 0.3, a historyLength of 0 counts as unset, as in its SDK.
    assert (task["id"], task["status"]["state"], len(task["history"])) == (done, "completed", 1)
    assert (page["nextPageToken"], page["pageSize"], page["totalSize"]) == ("", 50, 1)
    assert ids((await rpc(gateway, "tasks/list", version=None))["result"]) == [done, working]
    refused = (await rpc(gateway, "tasks/list", {"status": "TASK_STATE_WORKING"}, version=None))["error"]
    assert (refused["code"], refused["data"]["fields"][0]["field"]) == (-32602, "status")
