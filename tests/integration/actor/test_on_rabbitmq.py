"""The same worker and crew on RabbitMQ."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from tests.support.actors import Mesh, envelope_of, start_mesh
from tests.support.handlers import CALLS, FAILURES


@pytest.fixture
async def mesh(database_url: str, rabbitmq_vhost_url: str) -> AsyncIterator[Mesh]:
    async with start_mesh(database_url, transport="rabbitmq", rabbitmq_url=rabbitmq_vhost_url) as made:
        yield made


async def test_a_task_goes_through_its_actors_fans_out_and_ends(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("split", "split"), mesh.worker("echo", "echo"))
    task_id = await mesh.submit(["split", "echo"], {"parts": 3})
    assert (await mesh.ended(task_id))["result"] == {"part": 0}
    for child in await mesh.children(task_id):
        assert (await mesh.ended(child))["status"] == "succeeded"


async def test_a_failure_is_retried_after_its_delay(mesh: Mesh) -> None:
    FAILURES["left"] = 2
    policies = json.dumps({"default": {"maxAttempts": 3, "initialDelay": "100ms", "backoff": "constant"}})
    await mesh.run(mesh.worker("flaky", "flaky", resiliency_policies=policies))
    assert (await mesh.ended(await mesh.submit(["flaky"], {"a": 1})))["result"] == {"a": 1}
    assert len(CALLS) == 3


async def test_a_pause_and_its_answer(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("asks", "asks"))
    task_id = await mesh.submit(["asks"], {"order": {}})
    await mesh.status_is(task_id, "paused")
    assert (await mesh.post(f"/tasks/{task_id}/resume", {"answer": {"approved": True}}))[0] == 200
    assert (await mesh.ended(task_id))["result"] == {"order": {"approved": True}}


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
