"""A world for each test, with separate databases and brokers, because the tests stop and kill them."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from asya_crds.naming import CREW, DEAD_LETTERS
from servers.databases import execute
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitNode
from servers.sqs import SqsServer, sqs_stand_in
from tests.faults.proxied import ProxiedWorld
from tests.faults.queues import PubSubQueues, Queues, SqsQueues, in_database
from tests.faults.world import World, over, over_rabbitmq
from tests.support.servers import running


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with running(lambda: PostgresServer(os.environ.get("ASYA_TEST_POSTGRES", "18"))) as server:
        execute(server.url, "CREATE DATABASE faults")
        yield server


@pytest.fixture(scope="session")
def own_rabbit() -> Iterator[RabbitNode]:
    """One broker for all tests, with a virtual host for each. A test that stops it starts it again."""
    with running(RabbitNode) as node:
        yield node


@pytest.fixture
async def world(tmp_path: Path, own_postgres: PostgresServer, own_rabbit: RabbitNode) -> AsyncIterator[World]:
    """Everything over RabbitMQ."""
    async with over_rabbitmq(World, tmp_path, own_postgres, own_rabbit) as made:
        yield made


@pytest.fixture
async def embedded(tmp_path: Path, own_postgres: PostgresServer) -> AsyncIterator[World]:
    """Everything over the postgres transport."""
    async with over(World, tmp_path, own_postgres, in_database()) as made:
        yield made


@pytest.fixture(params=["postgres", "rabbitmq"])
async def proxied(
    request: pytest.FixtureRequest, tmp_path: Path, own_postgres: PostgresServer
) -> AsyncIterator[ProxiedWorld]:
    """Everything over each transport, with a proxy that sees the reports."""
    rabbit: RabbitNode | None = None
    vhost, url = f"faults-{uuid.uuid4().hex[:8]}", ""
    if request.param == "rabbitmq":
        rabbit = request.getfixturevalue("own_rabbit")
        assert rabbit is not None
        url = rabbit.create_vhost(vhost)
    made = ProxiedWorld(tmp_path, own_postgres, rabbit, url)
    try:
        await made.up()
        yield made
    finally:
        await made.close()
        if rabbit is not None:
            rabbit.delete_vhost(vhost)
        print(made.logs())


@pytest.fixture(scope="session")
def own_sqs() -> Iterator[SqsServer]:
    """ElasticMQ, which keeps time itself and takes the load of a world, or else moto."""
    with running(sqs_stand_in) as server:
        yield server


@pytest.fixture(params=["sqs", "pubsub"])
def cloud(request: pytest.FixtureRequest) -> Queues:
    """The queues of a cloud, on its stand-in."""
    if request.param == "sqs":
        return SqsQueues(request.getfixturevalue("own_sqs"))
    return PubSubQueues(request.getfixturevalue("pubsub_server"), (*World.workers, *CREW, DEAD_LETTERS))
