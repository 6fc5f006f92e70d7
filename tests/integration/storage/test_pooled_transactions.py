"""Behind PgBouncer that pools transactions: settings by its connect_query, no statement that outlives its transaction,
and a URL of its own for sessions that listen."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from asya_cli.main import app
from asya_gateway.storage.database import POOLED_SESSION, Database
from asya_transports.description import TransportSettingsError
from asya_transports.known import transport_settings
from asya_transports.port import OutboundMessage, Queue
from asya_transports.postgres.pool import QUEUE_SESSION
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.postgres.transport import PostgresTransport
from servers.pgbouncer import PgBouncer
from servers.processes import ServerUnavailable
from tests.support.missing import missing
from tests.support.telemetry import Watched, ready, start_watched

GATEWAYS = POOLED_SESSION | {"statement_timeout": "10000"}
SESSIONS = 3
"""Sessions of the server for everybody, so that each transaction may come to another one."""

Pooler = Callable[[dict[str, str]], PgBouncer]


@pytest.fixture
def pooler(postgres_url: str) -> Iterator[Pooler]:
    """Starts a PgBouncer that pools transactions and makes these settings in each session."""
    started: list[PgBouncer] = []

    def start(settings: dict[str, str]) -> PgBouncer:
        try:
            made = PgBouncer(
                urlsplit(postgres_url).port or 5432, "transaction", settings, default_pool_size=str(SESSIONS)
            )
        except ServerUnavailable as reason:
            missing(reason)
        started.append(made)
        made.start()
        return made

    yield start
    for each in started:
        each.close()


@pytest.fixture
async def database(pooler: Pooler, database_url: str) -> AsyncIterator[Database]:
    url = pooler(GATEWAYS).url(urlsplit(database_url).path[1:])
    made = Database(url, min_size=1, max_size=10, statement_timeout=10, pooled=True, direct_url=database_url)
    assert made.hot is not made
    await made.open()
    yield made
    await made.close()


async def test_statements_of_many_callers_in_few_sessions_never_mix(database: Database) -> None:
    async def ask(number: int) -> None:
        pool = database.hot if number % 2 else database
        async with pool.connection() as connection, connection.transaction():
            first = await connection.fetchval("SELECT pg_backend_pid()")
            assert await connection.fetchval(f"SELECT $1::int + {number}", number) == 2 * number
            assert await connection.fetchval("SELECT pg_backend_pid()") == first
        texts = await pool.fetch(f"SELECT unnest($1::text[]) AS text, {number} AS n", ["a", str(number)])
        assert [(row["text"], row["n"]) for row in texts] == [("a", number), (str(number), number)]
        with pytest.raises(asyncpg.DivisionByZeroError):
            await pool.fetchval("SELECT 1 / $1::int", 0)

    await asyncio.gather(*(ask(number) for number in range(200)))
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert 1 <= await database.fetchval(sessions) < SESSIONS
    assert await database.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0


async def test_a_whole_gateway_runs_and_its_readers_hear_by_the_direct_url(
    pooler: Pooler, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = pooler(GATEWAYS).url(urlsplit(database_url).path[1:])
    pooled: dict[str, Any] = {"database_pooling": "transaction", "database_direct_url": database_url}
    async with start_watched(url, tmp_path, **pooled) as watched:
        await ready(watched)
        assert watched.program.storage.bell.connected
        tasks = await asyncio.gather(*(watched.submit("shout", {"text": str(number)}) for number in range(60)))
        reading = asyncio.gather(*(whole_stream(watched, task_id) for task_id in tasks))
        await asyncio.gather(*(watched.finish(task_id) for task_id in tasks))
        assert all('"status":"succeeded"' in text for text in await reading)
        listens = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR application_name = 'asya bell'"
        assert await watched.program.database.fetchval(listens) >= 1
    for complaint in ("not in force", "pools transactions", "prepared statement", "Traceback"):
        assert complaint not in caplog.text


async def whole_stream(watched: Watched, task_id: str) -> str:
    """Every event of a task until its end."""
    async with asyncio.timeout(30), watched.session.get(f"{watched.url}/stream/{task_id}") as response:
        return await response.text()


async def test_the_start_says_which_settings_the_role_lacks(
    pooler: Pooler, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = pooler({"jit": "off", "lock_timeout": "1s"}).url(urlsplit(database_url).path[1:])
    with caplog.at_level(logging.WARNING):
        database = Database(url, min_size=1, max_size=2, statement_timeout=7, pooled=True, direct_url=database_url)
        await database.open()
        await database.close()
        transport = PostgresTransport(PostgresSettings(url, database_url, pooled=True), "ns")
        await transport.declare(Queue("echo"))
        await transport.close()
    gateways, queues = [each.getMessage() for each in caplog.records if "not in force" in each.message]
    for expected in (
        "plan_cache_mode = force_custom_plan",
        "statement_timeout = 7000",
        "idle_in_transaction_session_timeout = 30000",
        "enable_seqscan = off",
    ):
        assert expected in gateways
    assert "jit" not in gateways
    assert "lock_timeout" not in gateways
    assert "lock_timeout = 3000" in queues
    assert "ALTER ROLE" in gateways


async def test_queues_deliver_by_their_bell_and_count_returned_messages(pooler: Pooler, database_url: str) -> None:
    url = pooler(QUEUE_SESSION).url(urlsplit(database_url).path[1:])
    settings = PostgresSettings(url, database_url, pooled=True, poll_interval=600, visibility_timeout=1.5)
    transport = PostgresTransport(settings, "ns")
    try:
        await transport.declare(Queue("echo"))
        async with transport.receive("echo", prefetch=4) as stream:
            for number in range(20):
                body = json.dumps(number).encode()
                assert await transport.publish([OutboundMessage("echo", body)]) == [None]
                async with asyncio.timeout(20):
                    delivery = await anext(stream)
                assert (delivery.body, delivery.deliveries) == (body, 1)
                if number % 5 == 0:
                    await delivery.nack()
                    async with asyncio.timeout(20):
                        delivery = await anext(stream)
                    assert (delivery.body, delivery.deliveries) == (body, 2)
                await delivery.ack()
        assert await transport.depth("echo") == 0
    finally:
        await transport.close()


async def test_migrations_take_the_direct_url(
    pooler: Pooler, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/pooled")
    monkeypatch.setenv("ASYA_DATABASE_DIRECT_URL", database_url)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["migrate"])
    assert (result.exit_code, result.output) == (0, "the schema is up to date\n")


def test_a_pooler_of_transactions_requires_the_direct_url() -> None:
    variables = {"ASYA_DATABASE_URL": "postgresql://db/asya", "ASYA_DATABASE_POOLING": "transaction"}
    with pytest.raises(TransportSettingsError, match="ASYA_DATABASE_DIRECT_URL: required with"):
        transport_settings(variables)
    direct = {"ASYA_DATABASE_DIRECT_URL": "postgresql://direct/asya"}
    assert transport_settings(variables | direct) == PostgresSettings(
        "postgresql://db/asya", "postgresql://direct/asya", pooled=True
    )
    with pytest.raises(TransportSettingsError, match="ASYA_DATABASE_POOLING: expected one of session, transaction"):
        transport_settings(variables | {"ASYA_DATABASE_POOLING": "statement"})
    with pytest.raises(TransportSettingsError, match="ASYA_DATABASE_DIRECT_URL: expected a PostgreSQL URL"):
        transport_settings(variables | {"ASYA_DATABASE_DIRECT_URL": "mysql://x/y"})
