"""What KEDA is told of a queue while a worker is busy: the very question that its scalers ask."""

import asyncio
import json
import urllib.parse
import urllib.request
from base64 import b64encode

import asyncpg
import pytest

from asya_transports.known import describe
from asya_transports.names import queue_name
from asya_transports.port import Transport
from servers.rabbitmq import RabbitNode
from tests.contract.test_transports import harness as harness
from tests.contract.transport_harness import Harness, next_of, publish
from tests.support.waiting import until


def by_management_api(host: str, queue: str) -> int:
    """As KEDA's rabbitmq scaler with `protocol: http`: the host's last part of the path is the virtual host, the rest
    stays before `/api/queues`; `messages` is what it scales by where unacknowledged ones are not excluded."""
    parts = urllib.parse.urlsplit(host)
    path, _, vhost = parts.path.rpartition("/")
    base = f"{parts.scheme}://{parts.hostname}:{parts.port}{path}"
    request = urllib.request.Request(f"{base}/api/queues/{vhost or '%2F'}/{urllib.parse.quote_plus(queue)}")
    credentials = f"{parts.username}:{parts.password}".encode()
    request.add_header("Authorization", "Basic " + b64encode(credentials).decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(json.load(answer).get("messages", 0))  # a fresh queue has no figures yet


async def one_is_in_work(transport: Transport, harness: Harness) -> None:
    """The queue looks empty to whoever counts waiting messages."""
    async with asyncio.timeout(10):
        while await transport.depth("worker"):
            await asyncio.sleep(0.02)


async def test_a_busy_worker_is_seen_by_the_question_that_keda_asks(
    harness: Harness, request: pytest.FixtureRequest
) -> None:
    transport = await harness.declared()
    queue = queue_name(harness.namespace, "worker")
    trigger = describe(harness.settings.name).trigger(queue, 5, {"ASYA_RABBITMQ_MANAGEMENT_URL": "(set)"})

    async def asked() -> int:
        if trigger.type == "postgresql":
            connection = await asyncpg.connect(harness.settings.url)
            try:
                return int(await connection.fetchval(trigger.metadata["query"]))
            finally:
                await connection.close()
        assert (trigger.metadata["protocol"], trigger.metadata["excludeUnacknowledged"]) == ("http", "false")
        node: RabbitNode = request.getfixturevalue("rabbitmq_node")
        vhost = urllib.parse.urlsplit(harness.settings.url).path.removeprefix("/")
        host = f"http://guest:guest@127.0.0.1:{node.management_port}/{vhost}"
        return await asyncio.to_thread(by_management_api, host, trigger.metadata["queueName"])

    async def is_asked(expected: int) -> bool:
        return await asked() == expected

    await publish(transport, "in work")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        await one_is_in_work(transport, harness)
        await until(lambda: is_asked(1), 20, "one message in work")  # the broker's figures are five seconds old
        await delivery.ack()
        await until(lambda: is_asked(0), 20, "none")
