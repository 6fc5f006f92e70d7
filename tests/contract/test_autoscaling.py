"""What KEDA sees of a queue while a worker is busy, with exactly the queries of its scalers."""

import asyncio
import json
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import boto3
import pytest

from asya_crds.naming import queue_name
from asya_transports.known import describe
from asya_transports.port import Transport
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.rabbitmq.settings import RabbitSettings
from servers.rabbitmq import RabbitNode
from servers.sqs import CREDENTIALS, SqsServer
from tests.contract.brokers import STAND_INS, Moto
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


def by_queue_attributes(metadata: Mapping[str, str], keys: Mapping[str, str]) -> int:
    """As KEDA's aws-sqs-queue scaler: the sum of the attributes that the metadata asks for."""
    names = ["ApproximateNumberOfMessages"]
    names += ["ApproximateNumberOfMessagesNotVisible"] if metadata["scaleOnInFlight"] == "true" else []
    names += ["ApproximateNumberOfMessagesDelayed"] if metadata["scaleOnDelayed"] == "true" else []
    client = boto3.client(
        "sqs",
        region_name=metadata["awsRegion"],
        endpoint_url=metadata["awsEndpoint"],
        aws_access_key_id=keys["awsAccessKeyID"],
        aws_secret_access_key=keys["awsSecretAccessKey"],
    )
    found = client.get_queue_attributes(QueueUrl=metadata["queueURL"], AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


async def one_is_in_work(transport: Transport) -> None:
    """Wait until the queue has no waiting messages."""

    async def none_waits() -> bool:
        return await transport.depth("worker") == 0

    await until(none_waits, 10, "the message in work")


async def busy_and_idle(harness: Harness, asked: Callable[[], Awaitable[int]]) -> None:
    """Ask while a worker holds the only message, and when it is done."""

    async def is_told(expected: int) -> bool:
        return await asked() == expected

    transport = await harness.declared()
    await publish(transport, "in work")
    async with transport.receive("worker") as stream:
        delivery = await next_of(stream)
        await one_is_in_work(transport)
        await until(lambda: is_told(1), 30, "one message in work")  # the broker's figures are five seconds old
        await delivery.ack()
        await until(lambda: is_told(0), 30, "none")


async def test_keda_sees_a_busy_worker_by_its_question_to_the_broker(rabbitmq_node: RabbitNode) -> None:
    vhost = "counted"
    rabbitmq_node.create_vhost(vhost)
    harness = Harness(RabbitSettings(rabbitmq_node.vhost_url(vhost)))
    queue = queue_name(harness.namespace, "worker")
    trigger = describe("rabbitmq").trigger(queue, 5, {"ASYA_RABBITMQ_MANAGEMENT_URL": "(set)"})
    assert (trigger.metadata["protocol"], trigger.metadata["excludeUnacknowledged"]) == ("http", "false")
    host = f"http://guest:guest@127.0.0.1:{rabbitmq_node.management_port}/{vhost}"
    name = trigger.metadata["queueName"]
    try:
        await busy_and_idle(harness, lambda: asyncio.to_thread(by_management_api, host, name))
    finally:
        await harness.close()
        rabbitmq_node.delete_vhost(vhost)


async def test_keda_sees_a_busy_worker_by_its_query_of_postgres(database_url: str) -> None:
    harness = Harness(PostgresSettings(database_url, poll_interval=0.5))
    trigger = describe("postgres").trigger(queue_name(harness.namespace, "worker"), 5, {})
    assert [(each.parameter, each.key) for each in trigger.secrets] == [("connection", "ASYA_DATABASE_URL")]

    async def query() -> int:
        connection = await asyncpg.connect(database_url)
        try:
            return int(await connection.fetchval(trigger.metadata["query"]))
        finally:
            await connection.close()

    try:
        await busy_and_idle(harness, query)
    finally:
        await harness.close()


@pytest.mark.parametrize("kind", [Moto, *STAND_INS], ids=lambda kind: kind.name)
async def test_keda_sees_a_busy_worker_by_its_question_to_sqs_and_no_delayed_message(
    request: pytest.FixtureRequest, kind: type[Moto]
) -> None:
    harness = Harness(kind(request).settings())
    server: SqsServer = request.getfixturevalue(kind.server)
    transport = await harness.declared()
    visible = {"ASYA_SQS_ENDPOINT": server.url, "ASYA_KEDA_SQS_POD_IDENTITY": "none"}
    trigger = describe("sqs").trigger(await transport.address("worker"), 5, visible)
    keys = {each.parameter: CREDENTIALS[each.key] for each in trigger.secrets}

    async def asked() -> int:
        return await asyncio.to_thread(by_queue_attributes, trigger.metadata, keys)

    try:
        await busy_and_idle(harness, asked)
        await publish(transport, "later")
        async with transport.receive("worker") as stream:
            await (await next_of(stream)).requeue(b"later", delay=60)
            assert await asked() == 0
    finally:
        await harness.close()
