"""A world for each test: databases and brokers of its own, since the tests stop and kill them."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.world import World
from tests.servers.databases import execute
from tests.servers.postgres import PostgresServer
from tests.servers.processes import ServerUnavailable
from tests.servers.rabbitmq import RabbitNode


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    server = PostgresServer(os.environ.get("ASYA_TEST_POSTGRES", "18"))
    try:
        server.start()
        execute(server.url, "CREATE DATABASE faults")
        yield server
    finally:
        server.close()


@pytest.fixture
def own_rabbit() -> Iterator[RabbitNode]:
    try:
        node = RabbitNode()
    except ServerUnavailable as reason:
        if os.environ.get("ASYA_TEST_REQUIRE_ALL") == "1":
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    try:
        node.start()
        yield node
    finally:
        node.close()


@pytest.fixture
async def world(tmp_path: Path, own_postgres: PostgresServer, own_rabbit: RabbitNode) -> AsyncIterator[World]:
    """Everything over RabbitMQ."""
    made = World(tmp_path, own_postgres, own_rabbit)
    try:
        await made.up()
        yield made
    finally:
        await made.close()
        print(made.logs())


@pytest.fixture
async def embedded(tmp_path: Path, own_postgres: PostgresServer) -> AsyncIterator[World]:
    """Everything over the postgres transport."""
    made = World(tmp_path, own_postgres, None)
    try:
        await made.up()
        yield made
    finally:
        await made.close()
        print(made.logs())
