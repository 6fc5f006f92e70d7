"""Tasks of others: what operators and approvers reach, and what a caller with few rights reaches of its own."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.http.keys import FLOWS
from servers.forking import run
from tests.support.gateway import Gateway, make_flows, start_gateway
from tests.support.principals import Tokens, bearer, closed

JSON = {"Accept": "application/json"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    tokens = Tokens(
        alice="mcp:read mcp:invoke",
        few="flow:anything:read flow:shout:invoke",
        auditor="task:any:read",
        operator="task:any:cancel",
        approver="task:anything:answer",
        watcher="mcp:read task:anything:read",
    )
    async with start_gateway(database_url, doors=closed(tokens)) as made:
        yield made


async def submitted(gateway: Gateway, token: str, name: str = "anything") -> str:
    arguments = {"text": "x"} if name == "shout" else {}
    status, answer = await gateway.post(
        "/tools/call", {"name": name, "arguments": arguments}, headers=bearer(token) | JSON
    )
    assert status == 200, answer
    return str(jsontext.loads(answer["content"][0]["text"])["task_id"])


async def asked(gateway: Gateway, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    return await gateway.call(method, path, body, headers=bearer(token) | JSON)


async def listed(gateway: Gateway, token: str, query: str = "") -> list[str]:
    status, page = await asked(gateway, token, "GET", f"/tasks{query}")
    assert status == 200, page
    return [each["id"] for each in page["tasks"]]


async def test_an_auditor_reads_everybodys_tasks_and_changes_none(gateway: Gateway) -> None:
    task_id = await submitted(gateway, "alice")
    assert (await asked(gateway, "auditor", "GET", f"/tasks/{task_id}"))[0] == 200
    status, answer = await asked(gateway, "auditor", "POST", f"/tasks/{task_id}/cancel")
    assert (status, answer["error"]["data"]["required_scopes"]) == (403, ["task:anything:cancel"])
    assert await listed(gateway, "auditor") == []
    assert await listed(gateway, "auditor", "?owner=*") == [task_id]
    assert await listed(gateway, "auditor", "?owner=key:alice") == [task_id]
    assert await listed(gateway, "auditor", "?owner=key:bob") == []


async def test_a_task_of_somebody_else_names_its_owner_and_an_own_one_does_not(gateway: Gateway) -> None:
    task_id = await submitted(gateway, "alice")
    for query, token, owner in ((f"/{task_id}", "auditor", "key:alice"), (f"/{task_id}", "alice", None)):
        _, task = await asked(gateway, token, "GET", f"/tasks{query}")
        assert task.get("owner") == owner
    for query, token, owner in (("?owner=*", "auditor", "key:alice"), ("", "alice", None)):
        _, page = await asked(gateway, token, "GET", f"/tasks{query}")
        assert [each.get("owner") for each in page["tasks"]] == [owner]
    _, task = await asked(gateway, "operator", "POST", f"/tasks/{task_id}/cancel")
    assert task["owner"] == "key:alice"


async def asya(gateway: Gateway, token: str, *words: str) -> tuple[int, str]:
    """The command with a token: its exit code and what it prints."""
    environment = os.environ | {"ASYA_URL": gateway.url, "ASYA_TOKEN": token}
    done = await asyncio.to_thread(run, "asya_cli", *words, env=environment, timeout=30)
    return done.returncode, done.stdout + done.stderr


async def test_the_command_line_lists_tasks_of_others_with_their_owners(gateway: Gateway) -> None:
    task_id = await submitted(gateway, "alice")
    code, shown = await asya(gateway, "auditor", "task", "list", "--all")
    assert (code, shown.split()[6], shown.split()[-1]) == (0, "OWNER", "key:alice")
    assert task_id in shown
    assert await asya(gateway, "auditor", "task", "list", "--owner", "key:bob") == (0, "no tasks\n")
    assert "OWNER" not in (await asya(gateway, "alice", "task", "list"))[1]
    code, told = await asya(gateway, "auditor", "task", "list", "--all", "--owner", "key:bob")
    assert (code, told) == (2, "error: expected either --owner or --all\n")


async def test_tasks_from_before_callers_were_told_apart_are_seen_by_operators_alone(gateway: Gateway) -> None:
    task_id = await submitted(gateway, "alice")
    await gateway.running.storage.database.execute("UPDATE tasks SET owner = '' WHERE id = $1", task_id)
    for query in ("", "?owner="):
        status, page = await asked(gateway, "alice", "GET", f"/tasks{query}")
        assert status in (200, 400, 403), page
        assert task_id not in str(page)
    for method, path in (
        ("GET", f"/tasks/{task_id}"),
        ("GET", f"/stream/{task_id}"),
        ("POST", f"/tasks/{task_id}/cancel"),
    ):
        assert (await asked(gateway, "alice", method, path))[0] == 404
    assert (await asked(gateway, "auditor", "GET", f"/tasks/{task_id}"))[0] == 200
    assert await listed(gateway, "auditor", "?owner=*") == [task_id]


async def test_an_operator_cancels_what_is_not_its_own(gateway: Gateway) -> None:
    task_id = await submitted(gateway, "alice")
    status, task = await asked(gateway, "operator", "POST", f"/tasks/{task_id}/cancel")
    assert (status, task["status"]) == (200, "canceled")
    status, answer = await asked(gateway, "operator", "POST", f"/tasks/{task_id}/resume", {"answer": 1})
    assert (status, answer["error"]["data"]["required_scopes"]) == (403, ["task:anything:answer"])


async def test_an_approver_of_one_flow_answers_its_tasks_and_sees_no_others(gateway: Gateway) -> None:
    theirs, other = await submitted(gateway, "alice"), await submitted(gateway, "alice", "shout")
    pause = {"id": "p", "prompt": "?", "fields": []}
    status, _ = await gateway.post(
        f"/mesh/{theirs}/progress", {"id": theirs, "status": "paused", "pause_metadata": pause}
    )
    assert status == 200
    assert await listed(gateway, "approver", "?owner=*") == [theirs]
    assert (await asked(gateway, "approver", "GET", f"/tasks/{other}"))[0] == 404
    assert (await asked(gateway, "approver", "POST", f"/tasks/{other}/resume", {"answer": {}}))[0] == 404
    status, task = await asked(gateway, "approver", "POST", f"/tasks/{theirs}/resume", {"answer": {}})
    assert (status, task.get("status")) == (200, "running"), task


async def test_lists_of_others_tasks_name_the_scope_that_they_need(gateway: Gateway) -> None:
    for query in ("?owner=*", "?owner=key:few"):
        status, answer = await asked(gateway, "alice", "GET", f"/tasks{query}")
        assert (status, answer["error"]["data"]["required_scopes"]) == (403, ["task:any:read"])
    assert await listed(gateway, "alice", "?owner=key:alice") == []


async def test_a_caller_of_some_flows_reaches_its_own_tasks_of_those_only(gateway: Gateway) -> None:
    own = await submitted(gateway, "few", "shout")
    await gateway.running.storage.database.execute("UPDATE tasks SET owner = 'key:few' WHERE id = $1", own)
    former = await submitted(gateway, "alice")
    await gateway.running.storage.database.execute("UPDATE tasks SET owner = 'key:few' WHERE id = $1", former)
    assert sorted(await listed(gateway, "few")) == sorted([own, former])
    # It reads tasks of `anything`, but does not call it.
    status, answer = await asked(gateway, "few", "POST", f"/tasks/{former}/cancel")
    assert (status, answer["error"]["data"]["required_scopes"]) == (403, ["mcp:invoke"])
    await gateway.running.storage.database.execute("UPDATE tasks SET flow = 'gone' WHERE id = $1", former)
    assert await listed(gateway, "few") == [own]
    assert (await asked(gateway, "few", "GET", f"/tasks/{former}"))[0] == 404
    async with gateway.session.get(f"{gateway.url}/stream/{former}", headers=bearer("few")) as response:
        assert response.status == 404
    assert (await asked(gateway, "few", "POST", f"/tasks/{own}/cancel"))[0] == 200
    async with gateway.stream(f"/stream/{own}", **bearer("few")) as reader:
        assert (await reader.all())[-1].data["status"] == "canceled"


async def test_a_watcher_follows_tasks_of_one_flow_beside_its_own(gateway: Gateway) -> None:
    theirs, other = await submitted(gateway, "alice"), await submitted(gateway, "alice", "shout")
    for task_id in (theirs, other):
        assert (await asked(gateway, "alice", "POST", f"/tasks/{task_id}/cancel"))[0] == 200
    async with gateway.stream(f"/stream/{theirs}", **bearer("watcher")) as reader:
        assert (await reader.all())[-1].data["status"] == "canceled"
    assert (await asked(gateway, "watcher", "GET", f"/tasks/{other}"))[0] == 404


async def test_an_answer_needs_what_a_call_of_the_flow_needs(database_url: str) -> None:
    """Two keys of one name, or two tokens of one client, are one owner with different scopes."""
    tokens = Tokens(wide="mcp:read mcp:invoke finance", narrow="mcp:read mcp:invoke", approver="task:payroll:answer")
    tokens.principals["narrow"] = replace(tokens.principals["narrow"], owner=tokens.principals["wide"].owner)
    served = [{"name": "payroll", "entrypoint": "first", "mcp": {}, "scopes": ["finance"]}]
    async with start_gateway(database_url, doors=closed(tokens)) as made:
        made.app[FLOWS].swap(make_flows(served).table)
        for answering in ("wide", "approver"):
            task_id = await submitted(made, "wide", "payroll")
            paused = {"id": task_id, "status": "paused", "pause_metadata": {"id": "p", "prompt": "?", "fields": []}}
            assert (await made.post(f"/mesh/{task_id}/progress", paused))[0] == 200
            path, body = f"/tasks/{task_id}/resume", dict[str, Any](answer={})
            status, answer = await asked(made, "narrow", "POST", path, body)
            assert (status, answer["error"]["data"]["required_scopes"]) == (403, ["finance", "mcp:invoke"])
            assert (await asked(made, "narrow", "GET", f"/tasks/{task_id}"))[1]["status"] == "paused"
            assert (await asked(made, answering, "POST", path, body))[0] == 200


async def test_nobody_runs_again_what_another_has_sent(database_url: str) -> None:
    tokens = Tokens(alice="mcp:read mcp:invoke", auditor="task:any:read mcp:invoke")
    async with start_gateway(database_url, doors=closed(tokens)) as made:
        task_id = await submitted(made, "alice")
        await made.finish(task_id)
        status, answer = await asked(made, "auditor", "POST", f"/tasks/{task_id}/retry")
        assert (status, answer["error"]["field"]) == (409, "owner")
        assert (await asked(made, "alice", "POST", f"/tasks/{task_id}/retry"))[0] == 201
