"""Tasks over MCP with real queues and real workers: nothing is simulated."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support import handlers
from tests.support.actors import Mesh, start_mesh
from tests.support.gateway import Gateway, Reader
from tests.support.inputs import LISTED
from tests.support.mcp import TASKS_DECLARED, ask_old, open_post, stateless_body, stateless_headers
from tests.support.mcp_tasks import CAPABILITIES, FORMS, ask_with, becomes, call_with, started
from tests.support.waiting import until

FLOWS = """
flows:
  - {name: quick, entrypoint: echo, mcp: {}}
  - {name: slow, entrypoint: gated-async, mcp: {}}
  - {name: refuse, entrypoint: refuse, mcp: {task: required}}
  - {name: approve, entrypoint: asks, routeNext: [echo], mcp: {task: required}}
  - {name: interview, entrypoint: asks-inputs, routeNext: [echo], mcp: {task: required}}
"""
ALL = {**FORMS, "roots": {}}


@pytest.fixture(autouse=True)
def _fresh_handlers() -> Iterator[None]:
    handlers.reset()
    yield
    handlers.GATE.set()


@pytest.fixture
async def mesh(database_url: str, tmp_path: Path) -> AsyncIterator[Mesh]:
    flows = tmp_path / "flows.yaml"
    flows.write_text(FLOWS)
    async with start_mesh(database_url, config_path=str(flows), mcp_task_grace=0.5) as made:
        await until(lambda: len(made.gateway.flows.table.flows) == 5, what="the flows")
        names = ("echo", "gated_async", "refuse", "asks", "asks_inputs")
        workers = [made.worker(name.replace("_", "-"), name, resiliency_actor_retry_max_attempts=1) for name in names]
        await made.run(*workers)
        yield made


@pytest.fixture
def gateway(mesh: Mesh) -> Gateway:
    """The helpers of a served application use its address and its client only, and a mesh has both."""
    return cast(Gateway, mesh)


async def test_a_fast_flow_answers_inline_and_a_slow_one_with_a_task(gateway: Gateway) -> None:
    assert (await call_with(gateway, "quick"))["resultType"] == "complete"
    task_id = await started(gateway, "slow")
    assert (await becomes(gateway, task_id, "working"))["ttlMs"] is None
    handlers.GATE.set()
    done = await becomes(gateway, task_id, "completed")
    assert done["result"]["structuredContent"] == {}


async def test_a_canceled_task_ends_though_its_actor_works_on(gateway: Gateway) -> None:
    task_id = await started(gateway, "slow")
    await until(lambda: handlers.CALLS, what="the actor")
    assert (await ask_with(gateway, "tasks/cancel", {"taskId": task_id}))[0] == 200
    assert (await becomes(gateway, task_id, "cancelled"))["statusMessage"] == "Canceled by its client"
    handlers.GATE.set()
    assert (await call_with(gateway, "quick"))["resultType"] == "complete"
    assert (await becomes(gateway, task_id, "cancelled"))["status"] == "cancelled"


async def test_an_exception_of_a_handler_completes_the_task_with_an_error(gateway: Gateway) -> None:
    done = await becomes(gateway, await started(gateway, "refuse"), "completed")
    assert (done["result"]["isError"], done["result"]["content"][0]["text"]) == (True, "Refusal: no, thank you")


async def test_an_answered_question_lets_the_flow_go_on(gateway: Gateway) -> None:
    task_id = await started(gateway, "approve")
    ((key, request),) = (await becomes(gateway, task_id, "input_required", **FORMS))["inputRequests"].items()
    assert request["params"]["message"] == "Approve?"
    responses = {key: {"action": "accept", "content": {"approved": True}}}
    assert (await ask_with(gateway, "tasks/update", {"taskId": task_id, "inputResponses": responses}, FORMS))[0] == 200
    done = await becomes(gateway, task_id, "completed")
    assert done["result"]["structuredContent"]["order"] == {"approved": True}


async def test_several_inputs_are_answered_one_by_one_while_a_subscription_tells(gateway: Gateway) -> None:
    task_id = await started(gateway, "interview")
    await becomes(gateway, task_id, "input_required", **ALL)
    wanted = {"notifications": {"taskIds": [task_id]}}
    body = stateless_body("subscriptions/listen", wanted, **{CAPABILITIES: ALL})
    responses: list[dict[str, Any]] = [
        {"folders": LISTED},
        {"name": {"action": "accept", "content": {"name": "Ada"}}},
    ]
    told: list[dict[str, Any]] = []
    async with open_post(gateway, body, stateless_headers(body)) as response:
        reader = Reader(response)
        assert (await reader.next()) is not None
        while not told or told[-1]["status"] != "completed":
            event = await reader.next()
            assert event is not None
            told.append(event.data["params"])
            if told[-1]["status"] == "input_required":
                params = {"taskId": task_id, "inputResponses": responses.pop(0)}
                assert (await ask_with(gateway, "tasks/update", params, ALL))[0] == 200
    asked = [list(each["inputRequests"]) for each in told if each["status"] == "input_required"]
    assert asked == [["name", "folders"], ["name"]]
    assert told[-1]["result"]["structuredContent"]["name"]["content"] == {"name": "Ada"}


async def test_a_task_of_2025_11_25_is_waited_for(gateway: Gateway) -> None:
    _, made = await ask_old(gateway, "tools/call", {"name": "slow", "arguments": {"n": 1}, "task": {}})
    task_id = made["result"]["task"]["taskId"]
    _, seen = await ask_old(gateway, "tasks/get", {"taskId": task_id})
    assert seen["result"]["status"] == "working"
    handlers.GATE.set()
    _, answer = await ask_old(gateway, "tasks/result", {"taskId": task_id})
    assert answer["result"]["structuredContent"] == {"n": 1}
    # The same task in the extension's form.
    assert (await becomes(gateway, task_id, "completed", **TASKS_DECLARED))["taskId"] == task_id
