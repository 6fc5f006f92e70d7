"""Somebody else's task looks like one that does not exist, in every method and dialect (specification 1.0, 13.1)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.protocols.a2a.dialects.known import METHODS, Operation
from tests.support.a2a import SKILLS, envelope, open_post, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.identity import store_key
from tests.support.mcp import serve_tools
from tests.support.principals import bearer

OF_A_TASK = [
    name
    for name, (_, operation) in METHODS.items()
    if operation in (Operation.GET, Operation.CANCEL, Operation.SUBSCRIBE, Operation.SEND, Operation.STREAM)
    and not name.startswith("tasks/send")
]


@pytest.fixture
async def keys(database_url: str) -> dict[str, dict[str, str]]:
    scopes = frozenset({"mcp:read", "mcp:invoke"})
    made = {name: await store_key(database_url, name, scopes=scopes) for name in ("alice", "bob")}
    reader = await store_key(database_url, "reader", scopes=frozenset({"mcp:read"}))
    return {name: bearer(key.text) for name, key in {**made, "reader": reader}.items()}


@pytest.fixture
async def closed(database_url: str, tmp_path: Path, keys: dict[str, dict[str, str]]) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, auth="required") as made:
        serve_tools(made, SKILLS)
        yield made


async def asked(
    gateway: Gateway, method: str, params: Any, headers: dict[str, str], path: str = "/a2a/"
) -> tuple[int, Any, dict[str, str]]:
    async with open_post(gateway, envelope(method, params), path=path, version=None, **headers) as response:
        kept = {name: value for name, value in response.headers.items() if name not in ("Date", "Content-Length")}
        return response.status, jsontext.loads(await response.text()), kept


def params_for(method: str, task_id: str) -> dict[str, Any]:
    dialect, operation = METHODS[method]
    if operation not in (Operation.SEND, Operation.STREAM):
        return {"id": task_id}
    if dialect.newest:
        return {"message": text_message("x", taskId=task_id)}
    kind = "type" if dialect.name == "0.1" else "kind"
    message = {"messageId": "m", "role": "user", "parts": [{kind: "text", "text": "x"}], "taskId": task_id}
    return {"id": "own", "message": message, "metadata": {"skill": "echo"}}


@pytest.mark.parametrize("method", OF_A_TASK)
async def test_a_foreign_task_is_answered_as_an_unknown_one(
    closed: Gateway, keys: dict[str, dict[str, str]], method: str
) -> None:
    sent = {"message": text_message("hi"), "tenant": "echo", "configuration": {"returnImmediately": True}}
    _, answer, _ = await asked(closed, "SendMessage", sent, keys["alice"])
    theirs = answer["result"]["task"]["id"]
    none = theirs[:-1] + ("0" if theirs[-1] != "0" else "1")
    seen = []
    for task_id in (theirs, none):
        status, answer, headers = await asked(closed, method, params_for(method, task_id), keys["bob"])
        seen.append((status, jsontext.dumps(answer).replace(task_id, "ID"), headers))
    assert seen[0] == seen[1]
    assert "-32001" in seen[0][1]


@pytest.mark.parametrize("method", METHODS)
async def test_a_method_admits_whom_its_need_names_and_nobody_else(
    closed: Gateway, keys: dict[str, dict[str, str]], method: str
) -> None:
    # Nothing is begun: what a message of these methods needs is missing.
    params = {"id": "none"}
    for headers in ({}, bearer("unknown")):
        status, answer, seen = await asked(closed, method, params, headers)
        assert (status, "error" in answer) == (401, True)
        assert "WWW-Authenticate" in seen
    status, _, _ = await asked(closed, method, params, keys["reader"])
    changes = METHODS[method][1] in (Operation.CANCEL, Operation.SET_PUSH, Operation.DELETE_PUSH)
    assert status == (403 if changes else status)
    assert (await asked(closed, method, params, keys["alice"]))[0] == 200


async def test_the_extended_card_shows_what_its_caller_sees(closed: Gateway, keys: dict[str, dict[str, str]]) -> None:
    serve_tools(closed, [*SKILLS, {**SKILLS[0], "name": "ledger", "scopes": ["finance"]}], generation=2)
    _, public = await closed.get("/.well-known/agent-card.json")
    assert "ledger" not in [skill["id"] for skill in public["skills"]]
    assert public["capabilities"]["extendedAgentCard"] is True
    _, answer, headers = await asked(closed, "GetExtendedAgentCard", {}, keys["alice"])
    assert [skill["id"] for skill in answer["result"]["skills"]] == ["echo", "ledger", "numbers", "texts"]
    assert headers["Cache-Control"] == "private, no-store"
    assert {"Authorization", "X-API-Key"} <= {name.strip() for name in headers["Vary"].split(",")}
    _, one, _ = await asked(closed, "GetExtendedAgentCard", {}, keys["alice"], path="/a2a/ledger")
    assert [skill["id"] for skill in one["result"]["skills"]] == ["ledger"]
    _, none, _ = await asked(closed, "GetExtendedAgentCard", {}, keys["reader"], path="/a2a/nothing")
    assert none["error"]["code"] == -32004


@pytest.mark.parametrize("method", [name for name, (_, operation) in METHODS.items() if operation is Operation.LIST])
async def test_a_list_shows_and_counts_its_callers_tasks_only(
    closed: Gateway, keys: dict[str, dict[str, str]], method: str
) -> None:
    """3.1.4: 'The operation MUST return only tasks visible to the authenticated client'; 13.1: 'Even when contextId or
    other filter parameters are not specified'."""
    sent = {
        "message": text_message("hi", contextId="shared"),
        "tenant": "echo",
        "configuration": {"returnImmediately": True},
    }
    made = {}
    for name in ("alice", "bob"):
        _, answer, _ = await asked(closed, "SendMessage", sent, keys[name])
        made[name] = answer["result"]["task"]["id"]
    for params in ({}, {"contextId": "shared"}):
        for name, task_id in made.items():
            _, answer, _ = await asked(closed, method, params, keys[name])
            page = answer["result"]
            assert ([task["id"] for task in page["tasks"]], page["totalSize"]) == ([task_id], 1)
    _, answer, _ = await asked(closed, method, {}, keys["reader"])
    assert (answer["result"]["tasks"], answer["result"]["totalSize"]) == ([], 0)
