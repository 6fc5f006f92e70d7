"""Somebody else's task looks like one that does not exist, in every method and dialect of JSON-RPC and on every route
of the HTTP+JSON binding (specification 1.0, 13.1)."""

from collections.abc import AsyncIterator
from itertools import chain
from typing import Any

import pytest
import pytest_asyncio

from asya_crds import jsontext
from asya_gateway.protocols.a2a.dialects.known import METHODS, Operation
from asya_gateway.protocols.a2a.http_json.routes import ROUTES, ROUTES_0_3, OperationRoute
from asya_gateway.protocols.a2a.operations import NEEDS
from asya_gateway.protocols.http.policies import Need
from servers.databases import Databases
from tests.support.a2a import SKILLS, Answer, envelope, open_post, rest, text_message
from tests.support.gateway import Gateway, Reader, start_gateway
from tests.support.identity import store_key
from tests.support.mcp import serve_tools
from tests.support.principals import bearer

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_A_TASK = [
    name
    for name, (_, operation) in METHODS.items()
    if operation in (Operation.GET, Operation.CANCEL, Operation.SUBSCRIBE, Operation.SEND, Operation.STREAM)
    and not name.startswith("tasks/send")
]

NOW = {"returnImmediately": True}
LISTERS = {"ListTasks": ("ann", "ben"), "tasks/list": ("cat", "dan")}
"""Two callers for each method that lists, who do nothing else."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_database(databases: Databases, template_database: str) -> AsyncIterator[str]:
    with databases.one(template_database) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(one_database: str) -> dict[str, dict[str, str]]:
    scopes = frozenset({"mcp:read", "mcp:invoke"})
    names = ("alice", "bob", *chain.from_iterable(LISTERS.values()))
    made = {name: await store_key(one_database, name, scopes=scopes) for name in names}
    less = {"reader": frozenset({"mcp:read"}), "auditor": frozenset({"mcp:read", "task:any:read"})}
    made |= {name: await store_key(one_database, name, scopes=scopes) for name, scopes in less.items()}
    return {name: bearer(key.text) for name, key in made.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(one_database: str, keys: dict[str, dict[str, str]]) -> AsyncIterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch:
        # Each of hundreds of bad credentials from one address would be delayed.
        patch.setattr("asya_gateway.protocols.http.bad_credentials.FREE", 1_000_000)
        async with start_gateway(one_database, auth="required") as made:
            yield made


@pytest.fixture
def closed(shared: Gateway) -> Gateway:
    """The gateway with its own flows again."""
    serve_tools(shared, SKILLS)
    return shared


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


async def begun_by(gateway: Gateway, headers: dict[str, str], **message: Any) -> str:
    """A task of this caller."""
    sent = {"message": text_message("hi", **message), "tenant": "echo", "configuration": {"returnImmediately": True}}
    _, answer, _ = await asked(gateway, "SendMessage", sent, headers)
    task_id: str = answer["result"]["task"]["id"]
    return task_id


def unknown_like(task_id: str) -> str:
    return task_id[:-1] + ("0" if task_id[-1] != "0" else "1")


@pytest.mark.parametrize("method", OF_A_TASK)
async def test_a_foreign_task_is_answered_as_an_unknown_one(
    closed: Gateway, keys: dict[str, dict[str, str]], method: str
) -> None:
    theirs = await begun_by(closed, keys["alice"])
    seen = []
    for task_id in (theirs, unknown_like(theirs)):
        status, answer, headers = await asked(closed, method, params_for(method, task_id), keys["bob"])
        seen.append((status, jsontext.dumps(answer).replace(task_id, "ID"), headers))
    assert seen[0] == seen[1]
    assert "-32001" in seen[0][1]


@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage", "message/send"])
async def test_a_reference_to_a_foreign_task_is_answered_as_one_to_an_unknown_task(
    closed: Gateway, keys: dict[str, dict[str, str]], method: str
) -> None:
    theirs = await begun_by(closed, keys["alice"])
    stored, seen = await closed.stored(), []
    for task_id in (theirs, unknown_like(theirs)):
        refers = {"referenceTaskIds": [await begun_by(closed, keys["bob"]), task_id]}
        message = {**text_message("x", **refers)}
        if method == "message/send":
            parts = [{"kind": "text", "text": "x"}]
            message = {"messageId": "m", "role": "user", "parts": parts, **refers}
        params = {"message": message, "metadata": {"skill": "echo"}}
        status, answer, headers = await asked(closed, method, params, keys["bob"])
        seen.append((status, jsontext.dumps(answer).replace(task_id, "ID"), headers))
    assert seen[0] == seen[1]
    assert "-32001" in seen[0][1]
    assert await closed.stored() == stored + 2


async def test_the_name_of_a_foreign_context_and_anothers_key_say_nothing(
    closed: Gateway, keys: dict[str, dict[str, str]]
) -> None:
    """Two callers may use the same names for contexts and requests; each has its own."""
    said = {"message": text_message("hi", contextId="ours"), "tenant": "echo", "configuration": NOW}
    made: dict[str, str] = {}
    for name in ("alice", "bob", "alice"):
        _, answer, _ = await asked(closed, "SendMessage", said, {**keys[name], "Idempotency-Key": "same"})
        task = answer["result"]["task"]
        assert made.setdefault(name, task["id"]) == task["id"]
        assert task["contextId"] == "ours"
    assert made["alice"] != made["bob"]
    other = {**said, "message": text_message("other", contextId="ours")}
    _, answer, _ = await asked(closed, "SendMessage", other, {**keys["bob"], "Idempotency-Key": "same"})
    assert made["alice"] not in jsontext.dumps(answer)
    assert made["bob"] not in jsontext.dumps(answer)
    assert answer["error"]["code"] == -32602


async def test_who_may_read_the_task_of_another_finds_it_by_the_name_it_is_shown(
    closed: Gateway, keys: dict[str, dict[str, str]]
) -> None:
    """A client of the oldest dialect names its task itself, which is the name of nothing to anybody else."""
    message = {"role": "user", "parts": [{"type": "text", "text": "x"}]}
    sent = {"id": "my own", "sessionId": "s", "message": message, "metadata": {"skill": "echo"}}
    async with open_post(closed, envelope("tasks/sendSubscribe", sent), version=None, **keys["alice"]) as response:
        assert await Reader(response).next() is not None
    database = closed.running.storage.database
    task_id = await database.fetchval("SELECT task_id FROM a2a_tasks WHERE client_task_id = 'my own'")
    for method in ("GetTask", "tasks/get"):
        for _ in range(2):
            _, answer, _ = await asked(closed, method, {"id": task_id}, keys["auditor"])
            assert answer["result"]["id"] == task_id
    async with open_post(closed, envelope("SubscribeToTask", {"id": task_id}), **keys["auditor"]) as response:
        first = await Reader(response).next()
        assert first is not None
        assert first.data["result"]["task"]["id"] == task_id


OF_VERSION = {"1.0": ("", ROUTES), "0.3": ("/v1", ROUTES_0_3)}
EVERY_ROUTE = [(version, route) for version, (_, routes) in OF_VERSION.items() for route in routes]
OF_A_TASK_OVER_HTTP = [
    (version, route)
    for version, route in EVERY_ROUTE
    if route.ids or route.operation in (Operation.SEND, Operation.STREAM)
]


def named(value: Any) -> str:
    return f"{value.method} {value.path}" if isinstance(value, OperationRoute) else str(value)


async def requested(
    gateway: Gateway, prefix: str, version: str, route: OperationRoute, task_id: str, headers: dict[str, str]
) -> Answer:
    """The answer of a route for this task; a message is one for the task."""
    path = route.path.replace("{task}", task_id).replace("{config}", "c")
    url = "https://receiver.example/"
    older = {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "x"}], "taskId": task_id}
    message = {"message": text_message("x", taskId=task_id) if version == "1.0" else older}
    push = {"url": url} if version == "1.0" else {"config": {"pushNotificationConfig": {"url": url}}}
    bodies: dict[Operation, Any] = {Operation.SEND: message, Operation.STREAM: message, Operation.SET_PUSH: push}
    below, _ = OF_VERSION[version]
    body = bodies.get(route.operation)
    return await rest(gateway, route.method, prefix + below + path, body, version=version, **headers)


@pytest.mark.parametrize("prefix", ["", "/echo"])
@pytest.mark.parametrize(("version", "route"), OF_A_TASK_OVER_HTTP, ids=named)
async def test_a_foreign_task_is_answered_as_an_unknown_one_on_every_route(
    closed: Gateway, keys: dict[str, dict[str, str]], version: str, route: OperationRoute, prefix: str
) -> None:
    theirs = await begun_by(closed, keys["alice"])
    seen = []
    for task_id in (theirs, unknown_like(theirs)):
        answer = await requested(closed, prefix, version, route, task_id, keys["bob"])
        kept = {name: value for name, value in answer.headers.items() if name not in ("Date", "Content-Length")}
        seen.append((answer.status, jsontext.dumps(answer.body).replace(task_id, "ID"), kept))
        assert answer.reason == "TASK_NOT_FOUND"
    assert seen[0] == seen[1]


@pytest.mark.parametrize("prefix", ["", "/echo"])
async def test_a_list_over_http_shows_and_counts_its_callers_tasks_only(
    closed: Gateway, keys: dict[str, dict[str, str]], prefix: str
) -> None:
    context = f"theirs{prefix}"
    for _ in range(2):
        await begun_by(closed, keys["alice"], contextId=context)
    page = (await rest(closed, "GET", f"{prefix}/tasks?contextId={context}&pageSize=1", **keys["alice"])).body
    assert (len(page["tasks"]), page["totalSize"]) == (1, 2)
    # Neither the name of another's context nor another's token opens its tasks.
    for query in (f"contextId={context}", f"contextId={context}&pageToken={page['nextPageToken']}"):
        foreign = await rest(closed, "GET", f"{prefix}/tasks?{query}", **keys["bob"])
        assert (foreign.body["tasks"], foreign.body["totalSize"], foreign.body["nextPageToken"]) == ([], 0, "")


@pytest.mark.parametrize("prefix", ["", "/echo"])
async def test_a_list_of_0_3_over_http_shows_its_callers_tasks_only(
    closed: Gateway, keys: dict[str, dict[str, str]], prefix: str
) -> None:
    context = f"older{prefix}"
    theirs = await begun_by(closed, keys["alice"], contextId=context)
    path = f"{prefix}/v1/tasks?contextId={context}"
    for name, expected in (("alice", [theirs]), ("bob", [])):
        found = await rest(closed, "GET", path, version="0.3", **keys[name])
        assert [task["id"] for task in found.body] == expected


async def test_a_clients_own_name_of_a_task_is_its_owners(closed: Gateway, keys: dict[str, dict[str, str]]) -> None:
    """In the oldest dialect clients choose the ids, so that two of them may choose the same."""
    message = {"role": "user", "parts": [{"type": "text", "text": "x"}]}
    sent = {"id": "mine", "sessionId": "s", "message": message, "metadata": {"skill": "echo"}}
    tasks = {}
    for name in ("alice", "bob"):
        async with open_post(closed, envelope("tasks/sendSubscribe", sent), version=None, **keys[name]) as response:
            first = await Reader(response).next()
            assert first is not None
            assert (first.data["result"]["id"], first.data["result"]["status"]["state"]) == ("mine", "submitted")
        _, answer, _ = await asked(closed, "tasks/get", {"id": "mine"}, keys[name])
        tasks[name] = answer["result"]
    _, answer, _ = await asked(closed, "tasks/cancel", {"id": "mine"}, keys["bob"])
    assert answer["result"]["status"]["state"] == "canceled"
    _, answer, _ = await asked(closed, "tasks/get", {"id": "mine"}, keys["alice"])
    assert answer["result"] == tasks["alice"]


@pytest.mark.parametrize(("version", "route"), EVERY_ROUTE, ids=named)
async def test_a_route_admits_whom_its_need_names_and_nobody_else(
    closed: Gateway, keys: dict[str, dict[str, str]], version: str, route: OperationRoute
) -> None:
    for headers in ({}, bearer("unknown")):
        answer = await requested(closed, "", version, route, "none", headers)
        assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED")
        assert "WWW-Authenticate" in answer.headers
    changes = NEEDS[route.operation] is Need.INVOKE
    assert ((await requested(closed, "", version, route, "none", keys["reader"])).status == 403) is changes
    assert (await requested(closed, "", version, route, "none", keys["alice"])).status not in (401, 403)


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


async def test_every_method_that_lists_has_its_callers() -> None:
    assert LISTERS.keys() == {name for name, (_, operation) in METHODS.items() if operation is Operation.LIST}


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


@pytest.mark.parametrize("method", LISTERS)
async def test_a_list_shows_and_counts_its_callers_tasks_only(
    closed: Gateway, keys: dict[str, dict[str, str]], method: str
) -> None:
    """3.1.4: 'The operation MUST return only tasks visible to the authenticated client'; 13.1: 'Even when contextId or
    other filter parameters are not specified'."""
    made = {name: await begun_by(closed, keys[name], contextId="shared") for name in LISTERS[method]}
    for params in ({}, {"contextId": "shared"}):
        for name, task_id in made.items():
            _, answer, _ = await asked(closed, method, params, keys[name])
            page = answer["result"]
            assert ([task["id"] for task in page["tasks"]], page["totalSize"]) == ([task_id], 1)
    _, answer, _ = await asked(closed, method, {}, keys["reader"])
    assert (answer["result"]["tasks"], answer["result"]["totalSize"]) == ([], 0)
