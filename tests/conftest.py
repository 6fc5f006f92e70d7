"""Fixtures that every kind of test shares: real servers, a database or a virtual host for each test.

`ASYA_TEST_POSTGRES_URL` (a database whose user may create databases) and `ASYA_TEST_RABBITMQ_URL` select running
servers; otherwise private ones are started, one of each for every pytest process that needs them.
`ASYA_TEST_POSTGRES=15` selects the distribution's PostgreSQL of that version. If a server is not available, its tests
are skipped with the reason, or fail with `ASYA_TEST_REQUIRE_ALL=1`.
"""

import gc
import os
import uuid
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from servers.certificates import Authority
from servers.databases import Databases, create_template, execute
from servers.postgres import PostgresServer
from servers.pubsub import PubSubServer
from servers.rabbitmq import RabbitNode
from servers.sqs import CREDENTIALS, ElasticMqServer, MotoServer, SqsServer
from tests.balance import GroupScheduling, sort
from tests.support.servers import running

# Examples are the same in each run and have no deadline, because the machine may be busy.
hypothesis.settings.register_profile("asya", deadline=None, derandomize=True)
hypothesis.settings.load_profile("asya")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The private server of this pytest process. Tests that stop or kill one start their own instead."""
    with running(lambda: PostgresServer(os.environ.get("ASYA_TEST_POSTGRES", "18"))) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database whose user may create others."""
    given = os.environ.get("ASYA_TEST_POSTGRES_URL")
    if given:
        return given
    server: PostgresServer = request.getfixturevalue("postgres_server")
    # It has no certificate. Asking for one first costs a client half of what connecting costs it.
    return f"{server.url}?sslmode=disable"


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> Iterator[str]:
    """The name of a database with the whole schema (servers/databases.py)."""
    name = f"asya_template_{uuid.uuid4().hex[:12]}"
    create_template(postgres_url, name)
    yield name
    execute(postgres_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def databases(postgres_url: str) -> Iterator[Databases]:
    """Creates a database for each test."""
    found = Databases(postgres_url)
    yield found
    found.close()


@pytest.fixture
def database_url(databases: Databases, template_database: str) -> Iterator[str]:
    """A separate database with the schema, dropped after the test."""
    with databases.one(template_database) as url:
        yield url


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """A separate database without tables, dropped after the test."""
    with databases.one() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signed the certificate of `rabbitmq_node`, and signs those of its clients."""
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="session")
def rabbitmq_node(rabbitmq_authority: Authority) -> Iterator[RabbitNode]:
    """The private node of this pytest process, with TLS and statistics, since starting another one takes seconds of a
    core. A test that stops it starts it again before it ends."""
    shown = rabbitmq_authority.issue("broker")
    with running(lambda: RabbitNode((rabbitmq_authority, shown), statistics=True)) as node:
        yield node


@pytest.fixture(scope="session")
def rabbitmq_url(request: pytest.FixtureRequest) -> str:
    """The URL of a virtual host of a running broker."""
    given = os.environ.get("ASYA_TEST_RABBITMQ_URL")
    if given:
        return given
    node: RabbitNode = request.getfixturevalue("rabbitmq_node")
    return node.url


@pytest.fixture
def rabbitmq_vhost_url(request: pytest.FixtureRequest, rabbitmq_url: str) -> Iterator[str]:
    """A separate virtual host, removed after the test; with a given broker, its virtual host, shared."""
    if os.environ.get("ASYA_TEST_RABBITMQ_URL"):
        yield rabbitmq_url
        return
    node: RabbitNode = request.getfixturevalue("rabbitmq_node")
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield node.create_vhost(name)
    node.delete_vhost(name)


@pytest.fixture(scope="session")
def pubsub_server() -> Iterator[PubSubServer]:
    """The stand-in of Pub/Sub of this pytest process."""
    with running(PubSubServer) as server:
        yield server


@pytest.fixture
def sqs_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for a stand-in, in this process and those that it starts."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[SqsServer]:
    """The private stand-in for SQS of this pytest process."""
    with running(MotoServer) as server:
        yield server


@pytest.fixture(scope="session")
def elasticmq_server() -> Iterator[SqsServer]:
    """The same with ElasticMQ."""
    with running(ElasticMqServer) as server:
        yield server


YOUNG_OBJECTS = 10_000
"""So many more objects than were freed begin a collection. At the usual 700, a test that starts a gateway has seventy
of them, which take a tenth of the time that its process computes, and find next to nothing."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What was imported and collected, half a million objects, stays to the end. The garbage collector would go through
    all of it again and again, while it grows and in every full collection of a test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """Distributes the tests with `--dist loadscope` (tests/balance.py)."""
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort only with several workers; otherwise the order is that of the files."""
    if hasattr(config, "workerinput"):
        sort(items)
