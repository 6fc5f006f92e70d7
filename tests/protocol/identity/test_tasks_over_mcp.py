"""Tasks of others over MCP: every method that names a task answers for them as for tasks that do not exist."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_gateway.domain.ids import new_task_id
from servers.databases import Databases
from tests.support.gateway import Gateway
from tests.support.mcp import (
    BOTH,
    TASKS_DECLARED,
    Actor,
    message,
    open_post,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.mcp_tasks import CAPABILITIES, ask_with, pause, started
from tests.support.principals import Tokens, bearer, closed

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERYTHING = "mcp:read mcp:invoke"
EXTENSION = ["tasks/get", "tasks/update", "tasks/cancel"]
EXPERIMENTAL = ["tasks/get", "tasks/result", "tasks/cancel"]


@dataclass
class World:
    """A closed gateway with tasks of alice, by their state."""

    gateway: Gateway
    tasks: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(databases: Databases, template_database: str) -> AsyncIterator[World]:
    tokens = Tokens(alice=EVERYTHING, bob=EVERYTHING, narrow="flow:anything:invoke")
    with databases.one(template_database) as url:
        async with start_mcp(url, doors=closed(tokens)) as gateway:
            actor, tasks = Actor(gateway), {}
            for state in ("queued", "working", "asking", "done", "canceled"):
                tasks[state] = await started(gateway, **bearer("alice"))
                await actor.take()
            await actor.report(tasks["working"], "processing")
            await actor.report(tasks["asking"], "processing")
            await pause(actor, tasks["asking"])
            await actor.end(tasks["done"], result={"secret": 1})
            await ask_with(gateway, "tasks/cancel", {"taskId": tasks["canceled"]}, TASKS_DECLARED, **bearer("alice"))
            yield World(gateway, tasks)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2))
RESPONSES = st.dictionaries(
    st.text(max_size=8),
    JSON | st.fixed_dictionaries({"action": st.sampled_from(["accept", "decline", "cancel"]), "content": st.just({})}),
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.sampled_from(["queued", "working", "asking", "done", "canceled"]),
    caller=st.sampled_from(["bob", "narrow"]),
    method=st.sampled_from(EXTENSION),
    responses=RESPONSES,
    capabilities=st.sampled_from([{}, TASKS_DECLARED, {**TASKS_DECLARED, "elicitation": {}}]),
)
async def test_a_foreign_task_of_the_extension_looks_like_none(
    world: World, state: str, caller: str, method: str, responses: Any, capabilities: Any
) -> None:
    seen = []
    for task_id in (world.tasks[state], new_task_id()):
        body = stateless_body(method, {"taskId": task_id, "inputResponses": responses}, **{CAPABILITIES: capabilities})
        seen.append(await answered(world, body, stateless_headers(body), caller, task_id))
    assert seen[0] == seen[1]
    assert seen[0][0] == 400


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.sampled_from(["queued", "working", "asking", "done", "canceled"]),
    caller=st.sampled_from(["bob", "narrow"]),
    method=st.sampled_from(EXPERIMENTAL),
)
async def test_a_foreign_task_of_the_handshake_era_looks_like_none(
    world: World, state: str, caller: str, method: str
) -> None:
    seen = []
    for task_id in (world.tasks[state], new_task_id()):
        headers = {"Accept": BOTH, "MCP-Protocol-Version": "2025-11-25"}
        seen.append(await answered(world, message(method, {"taskId": task_id}), headers, caller, task_id))
    assert seen[0] == seen[1]
    assert jsontext.loads(seen[0][1])["error"]["code"] == -32602


async def answered(
    world: World, body: Any, headers: dict[str, str], caller: str, task_id: str
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers without what every answer has of its own."""
    async with open_post(world.gateway, body, {**headers, **bearer(caller)}) as response:
        text = (await response.text()).replace(task_id, "ID")
        kept = {name: value for name, value in response.headers.items() if name not in ("Date", "Content-Length")}
    return response.status, text, kept


async def test_another_caller_changed_nothing(world: World) -> None:
    for state, expected in (("queued", "working"), ("working", "working"), ("done", "completed")):
        body = stateless_body("tasks/get", {"taskId": world.tasks[state]}, **{CAPABILITIES: TASKS_DECLARED})
        async with open_post(world.gateway, body, {**stateless_headers(body), **bearer("alice")}) as response:
            assert (await response.json())["result"]["status"] == expected
