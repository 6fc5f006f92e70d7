"""The same worker and crew on RabbitMQ."""

import json
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from asya_transports.port import MAX_DELIVERIES
from servers.rabbitmq import RabbitNode
from tests.support.actors import Mesh, envelope_of, start_mesh
from tests.support.handlers import CALLS, FAILURES, GATE
from tests.support.lives import EITHER
from tests.support.waiting import until


@pytest.fixture
async def mesh(request: pytest.FixtureRequest, database_url: str, rabbitmq_vhost_url: str) -> AsyncIterator[Mesh]:
    life = getattr(request, "param", "usual")
    async with start_mesh(database_url, transport="rabbitmq", rabbitmq_url=rabbitmq_vhost_url, life=life) as made:
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


@EITHER
async def test_a_failure_is_retried_after_its_delay(mesh: Mesh) -> None:
    FAILURES["left"] = 2
    policies = json.dumps({"default": {"maxAttempts": 3, "initialDelay": "100ms", "backoff": "constant"}})
    await mesh.run(mesh.worker("flaky", "flaky", resiliency_policies=policies))
    assert (await mesh.ended(await mesh.submit(["flaky"], {"a": 1})))["result"] == {"a": 1}
    assert len(CALLS) == 3


@EITHER
async def test_a_pause_and_its_answer(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("asks", "asks"))
    task_id = await mesh.submit(["asks"], {"order": {}})
    await mesh.status_is(task_id, "paused")
    assert (await mesh.post(f"/tasks/{task_id}/resume", {"answer": {"approved": True}}))[0] == 200
    assert (await mesh.ended(task_id))["result"] == {"order": {"approved": True}}


@EITHER
async def test_stops_of_its_workers_are_no_deaths(mesh: Mesh) -> None:
    task_id = await mesh.submit(["gated"], {"a": 1})
    for number in range(MAX_DELIVERIES + 1):
        await mesh.run(mesh.worker("gated", "gated_async", actor_shutdown_timeout=0.05), crew=number == 0)
        await until(lambda: len(CALLS) == number + 1)  # noqa: B023 # waited for in this turn
        await mesh.stop()
    GATE.set()
    await mesh.run(mesh.worker("gated", "gated_async"))
    assert (await mesh.ended(task_id))["result"] == {"a": 1}


@pytest.mark.timeout(150)
async def test_after_every_queue_vanished_calls_go_through_again(
    mesh: Mesh, rabbitmq_node: RabbitNode, rabbitmq_vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a broker that came back without its data: gateway, worker and crew go on without a restart."""
    monkeypatch.setattr("asya_transports.rabbitmq.receiver.QUEUE_PAUSE", 0.2)
    monkeypatch.setattr("asya_transports.rabbitmq.receiver.VERIFY_SECONDS", 1.0)
    await mesh.run(mesh.worker("echo", "echo"), mesh.worker("upper", "upper"))
    assert (await mesh.ended(await mesh.submit(["echo", "upper"], {"text": "a"})))["status"] == "succeeded"
    vhost = urllib.parse.urlsplit(rabbitmq_vhost_url).path.removeprefix("/")
    for queue in rabbitmq_node.request("GET", f"/queues/{vhost}"):
        rabbitmq_node.request("DELETE", f"/queues/{vhost}/{queue['name']}")
    rabbitmq_node.request("DELETE", f"/exchanges/{vhost}/asya")
    task_id = await mesh.submit(["echo", "upper"], {"text": "b"})
    assert (await mesh.ended(task_id, 40))["result"] == {"text": "B"}


@EITHER
async def test_a_message_delivered_twice_runs_once(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo"), mesh.worker("upper", "upper"))
    task_id = await mesh.submit(["echo", "upper"], {"text": "a"})
    await mesh.ended(task_id)
    await mesh.publish(envelope_of(task_id, ["echo", "upper"], {"text": "b"}))
    other = await mesh.submit(["echo", "upper"], {"text": "c"})
    assert (await mesh.ended(other))["result"] == {"text": "C"}
    assert [payload["text"] for _, payload in CALLS] == ["a", "a", "c", "c"]


async def test_a_hook_whose_queue_is_full_holds_no_end_up(mesh: Mesh, rabbitmq_vhost_url: str) -> None:
    async with await aio_pika.connect(rabbitmq_vhost_url) as connection, connection.channel() as channel:
        limits: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
        full = await channel.declare_queue("asya-default-archive", durable=True, arguments=limits)
        await full.bind(await channel.declare_exchange("asya", "topic", durable=True), "archive")
    await mesh.run(mesh.worker("echo", "echo"), crew=mesh.crew(sink_hooks="archive", crew_concurrency=1))
    tasks = [await mesh.submit(["echo"], number) for number in range(4)]
    for number, task_id in enumerate(tasks):
        assert (await mesh.ended(task_id, 10))["result"] == number
    assert await mesh.transport.depth("archive") == 1


@EITHER
async def test_an_actor_without_a_queue_fails_the_task_after_a_while(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("echo", "echo", unroutable_timeout="300ms"))
    task = await mesh.ended(await mesh.submit(["echo", "nobody"], {}))
    assert (task["error"]["class"], task["error"]["details"]["type"]) == ("runtime", "Unroutable")
    assert "nobody" in task["error"]["message"]
