"""Gateway, worker and crew on Pub/Sub."""

import json
import uuid
from collections.abc import AsyncIterator

import pytest

from asya_transports.port import MAX_DELIVERIES
from servers.pubsub import PubSubServer
from tests.support.actors import Mesh, start_mesh
from tests.support.handlers import CALLS, FAILURES, GATE
from tests.support.lives import EITHER
from tests.support.waiting import until


@pytest.fixture
async def mesh(request: pytest.FixtureRequest, database_url: str, pubsub_server: PubSubServer) -> AsyncIterator[Mesh]:
    """In a project of its own, since the namespace is always `default`."""
    life = getattr(request, "param", "usual")
    project = f"asya-{uuid.uuid4().hex[:8]}"
    async with start_mesh(
        database_url,
        transport="pubsub",
        pubsub_project_id=project,
        pubsub_endpoint=pubsub_server.endpoint,
        life=life,
    ) as made:
        yield made
        if life == "batched":
            assert all(client.offers for client in made.clients), "a worker went back to single reports"


@EITHER
async def test_a_task_goes_through_its_actors_fans_out_and_ends(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("split", "split"), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["split", "echo"], {"parts": 3})
    assert (await mesh.ended(task_id))["result"] == {"part": 0}
    for child in await mesh.children(task_id):
        assert (await mesh.ended(child))["status"] == "succeeded"


async def test_a_failure_is_retried_after_its_delay_and_a_pause_gets_its_answer(mesh: Mesh) -> None:
    FAILURES["left"] = 2
    policies = json.dumps({"default": {"maxAttempts": 3, "initialDelay": "100ms", "backoff": "constant"}})
    await mesh.run(mesh.worker("flaky", "flaky", resiliency_policies=policies), mesh.worker("asks", "asks"))
    flaky, asks = await mesh.submit(["flaky"], {"a": 1}), await mesh.submit(["asks"], {"order": {}})
    assert (await mesh.ended(flaky))["result"] == {"a": 1}
    assert len(CALLS) == 3
    await mesh.status_is(asks, "paused")
    assert (await mesh.post(f"/tasks/{asks}/resume", {"answer": {"approved": True}}))[0] == 200
    assert (await mesh.ended(asks))["result"] == {"order": {"approved": True}}


async def test_stops_of_its_workers_are_no_deaths(mesh: Mesh) -> None:
    task_id = await mesh.submit(["gated"], {"a": 1})
    for number in range(MAX_DELIVERIES + 1):
        await mesh.run(mesh.worker("gated", "gated_async", actor_shutdown_timeout=0.05), crew=number == 0)
        await until(lambda: len(CALLS) == number + 1)  # noqa: B023 # waited for in this turn
        await mesh.stop()
    GATE.set()
    await mesh.run(mesh.worker("gated", "gated_async"))
    assert (await mesh.ended(task_id))["result"] == {"a": 1}


async def test_an_actor_without_a_queue_fails_the_task_after_a_while(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo", unroutable_timeout="300ms"))
    task = await mesh.ended(await mesh.submit(["echo", "nobody"], {}))
    assert task["status"] == "failed"
