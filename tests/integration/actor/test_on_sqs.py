"""The same worker, crew and gateway on SQS, with a stand-in."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_transports.sqs.settings import SMALLEST_LIMIT
from servers.sqs import SqsServer
from tests.support.actors import Mesh, start_mesh
from tests.support.handlers import CALLS, FAILURES


@pytest.fixture
async def mesh(database_url: str, moto_server: SqsServer, sqs_credentials: None) -> AsyncIterator[Mesh]:
    changes: dict[str, Any] = {
        "sqs_endpoint": moto_server.url,
        "sqs_wait_time_seconds": 1,
        "sqs_max_message_bytes": 4 * SMALLEST_LIMIT,
    }
    async with start_mesh(database_url, transport="sqs", **changes) as made:
        yield made


async def test_tasks_fan_out_are_retried_pause_and_end(mesh: Mesh) -> None:
    FAILURES["left"] = 1
    policies = json.dumps({"default": {"maxAttempts": 3, "initialDelay": "100ms", "backoff": "constant"}})
    await mesh.run(
        mesh.worker("split", "split"),
        mesh.worker("echo", "echo"),
        mesh.worker("flaky", "flaky", resiliency_policies=policies),
        mesh.worker("asks", "asks"),
        mesh.worker("grows", "grows"),
    )
    fans_out = await mesh.submit(["split", "echo"], {"parts": 3})
    retried = await mesh.submit(["flaky"], {"a": 1})
    pauses = await mesh.submit(["asks"], {"order": {}})
    too_large = await mesh.submit(["grows", "echo"], {"size": 5 * SMALLEST_LIMIT})
    assert (await mesh.ended(fans_out))["result"] == {"part": 0}
    for child in await mesh.children(fans_out):
        assert (await mesh.ended(child))["status"] == "succeeded"
    assert (await mesh.ended(retried))["result"] == {"a": 1}
    assert [name for name, _ in CALLS].count("flaky") == 2
    await mesh.status_is(pauses, "paused")
    assert (await mesh.post(f"/tasks/{pauses}/resume", {"answer": {"approved": True}}))[0] == 200
    assert (await mesh.ended(pauses))["result"] == {"order": {"approved": True}}
    error = (await mesh.ended(too_large))["error"]
    assert (error["class"], error["code"]) == ("runtime", "envelope_too_large")
