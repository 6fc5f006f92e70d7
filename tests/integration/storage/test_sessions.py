"""Sessions with the database: behind a pooler, after a fail-over, at several hosts, whatever the user's shell says."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from typing_extensions import override

from asya_gateway.domain.errors import Unavailable
from asya_gateway.storage.database import Database
from asya_gateway.storage.health import VitalsReader
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.migrate import migrate
from asya_transports.port import OutboundMessage, Queue, TransportUnavailable
from asya_transports.postgres.lease_keeper import LeaseKeeper
from asya_transports.postgres.pool import QUEUE_SESSION, ConnectionPool
from asya_transports.postgres.sessions import Sessions
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.postgres.standbys import WatchedConnection
from asya_transports.postgres.transport import PostgresTransport
from servers.databases import execute
from servers.pgbouncer import PgBouncer
from servers.postgres import PostgresServer
from servers.processes import ServerUnavailable
from servers.proxy import TcpProxy
from tests.support.gateway import start_gateway
from tests.support.missing import missing
from tests.support.waiting import until

IN_FORCE = (
    "SELECT current_setting('statement_timeout'), current_setting('plan_cache_mode'), current_setting('lock_timeout')"
)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, min_size=1, max_size=5, statement_timeout=7)
    hot = database.hot
    await database.open()
    assert hot.usage().largest == 2
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def pooler(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[PgBouncer]:
    """In front of the tests' server; the parameter is the way it pools."""
    try:
        found = PgBouncer(urlsplit(postgres_url).port or 5432, request.param)
    except ServerUnavailable as reason:
        missing(reason)
    try:
        found.start()
        yield found
    finally:
        found.close()


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
async def test_behind_pgbouncer_that_pools_sessions_all_settings_are_in_force(
    pooler: PgBouncer, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = pooler.url(urlsplit(database_url).path[1:])
    async with opened(url) as database:
        row = await database.fetchrow(IN_FORCE)
        assert row is not None
        assert tuple(row) == ("7s", "force_custom_plan", "1s")
        row = await database.hot.fetchrow(IN_FORCE)
        assert row is not None
        assert tuple(row) == ("7s", "force_generic_plan", "1s")
        bell, heard = Bell(database), list[str]()
        bell.subscribe("asya_test", heard.append)
        await bell.start()
        await until(lambda: bell.connected)
        assert await bell.attended("asya_test")
        bell.ring("asya_test", ["a"])
        await until(lambda: heard)
        await bell.stop()
    assert "not in force" not in caplog.text
    transport = PostgresTransport(PostgresSettings(url), "ns")
    try:
        await transport.declare(Queue("echo"))
        assert await transport.publish([OutboundMessage("echo", b"{}")]) == [None]
    finally:
        await transport.close()
    async with start_gateway(url) as gateway:
        task_id = await gateway.submit()
        assert (await gateway.get(f"/tasks/{task_id}"))[0] == 200


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
async def test_pgbouncer_that_pools_transactions_is_reported_at_start(
    pooler: PgBouncer, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While little goes on every statement comes to the same session of the server, where all settings are found."""
    with caplog.at_level(logging.WARNING):
        async with opened(pooler.url(urlsplit(database_url).path[1:])):
            pass
    assert "pools transactions or statements" in caplog.text


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
async def test_pgbouncer_whose_sessions_are_all_taken_does_not_keep_the_gateway_from_starting(
    pooler: PgBouncer, database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asya_transports.postgres.sessions.CONNECT_WITHIN", 0.5)
    url = pooler.url(urlsplit(database_url).path[1:])
    held = [await asyncpg.connect(url) for _ in range(19)]  # of twenty, PgBouncer's default_pool_size
    try:
        async with opened(url) as database:
            assert await database.fetchval("SELECT 1") == 1
    finally:
        for connection in held:
            await connection.close()
    assert "not in force" not in caplog.text
    assert "pools transactions" not in caplog.text


async def test_settings_that_a_pooler_forgets_are_named_at_the_start(
    database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(self: Sessions, *_: object, **options: object) -> object:
        return await asyncpg.connect(self._dsn.url(self._dsn.hosts()[0]), connection_class=WatchedConnection)

    monkeypatch.setattr(Sessions, "connect", forgetful)
    with caplog.at_level(logging.WARNING):
        async with opened(database_url):
            pass
    assert "not in force: plan_cache_mode, jit, lock_timeout, idle_in_transaction_session_timeout" in caplog.text
    assert "statement_timeout" in caplog.text


@pytest.mark.parametrize("name", ["o'brien", "a'; SELECT 1/0; --", "back\\slash", "100%"])
async def test_the_application_name_of_the_address_is_the_sessions_whatever_it_contains(
    database_url: str, name: str
) -> None:
    async with opened(f"{database_url}{'&' if '?' in database_url else '?'}application_name={quote(name)}") as database:
        assert await database.fetchval("SHOW application_name") == name


async def test_sessions_that_became_read_only_are_dropped_and_new_ones_write(database_url: str) -> None:
    async with opened(database_url) as database:
        pool = database.pool
        held = [await pool.acquire() for _ in range(3)]
        for connection in held:
            await connection.execute("SET default_transaction_read_only = on")
        for connection in held:
            await pool.release(connection)
        with pytest.raises(Unavailable):
            await database.execute("DELETE FROM outbox")
        for _ in range(4):
            assert await database.execute("DELETE FROM outbox") == "DELETE 0"


async def test_calls_are_stored_again_after_their_sessions_became_read_only(database_url: str) -> None:
    async with start_gateway(database_url, db_statement_timeout=2) as gateway:
        await gateway.submit()
        storage = gateway.running.storage
        for pool in (storage.database.pool, storage.database.hot.pool):
            held = [await pool.acquire() for _ in range(pool.get_max_size())]
            for connection in held:
                await connection.execute("SET default_transaction_read_only = on")
            for connection in held:
                await pool.release(connection)
        answers = [(await gateway.post("/tools/call", {"name": "anything", "arguments": {}}))[0] for _ in range(4)]
        assert answers[-1] == 200, answers


async def test_a_database_that_takes_no_writes_counts_as_away_and_is_found_again(database_url: str) -> None:
    async with opened(database_url) as database:
        vitals = VitalsReader(database, None)
        name = urlsplit(database_url).path[1:]
        await database.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await database.pool.expire_connections()
        with pytest.raises(Unavailable):
            await vitals.read()
        execute(database_url, "SET default_transaction_read_only = off", f'ALTER DATABASE "{name}" RESET ALL')
        assert (await vitals.read()).outbox_rows == 0


@pytest.fixture
async def behind(database_url: str) -> AsyncIterator[tuple[TcpProxy, str, str]]:
    """A proxy before the test's database, the URL through it, and that of a server in recovery with the same schema."""
    former, name = PostgresServer(settings={"max_connections": "30"}), urlsplit(database_url).path[1:]
    proxy, url = await TcpProxy.before(database_url)
    try:
        former.start()
        execute(former.url, f'CREATE DATABASE "{name}"')
        connection = await asyncpg.connect(former.database(name))
        await migrate(connection)
        await connection.close()
        former.stand_by()
        yield proxy, url, former.url
    finally:
        await proxy.close()
        former.close()


async def test_a_gateway_leaves_a_server_in_recovery_once_another_takes_writes(
    behind: tuple[TcpProxy, str, str], database_url: str
) -> None:
    proxy, url, former = behind
    call = {"name": "anything", "arguments": {}}
    async with start_gateway(url, db_statement_timeout=2) as gateway:
        await gateway.submit()
        proxy.lead_to(former)
        vitals = VitalsReader(gateway.running.storage.database, None)
        await until(lambda: is_in_recovery(gateway.running.storage.database), what="sessions with the former server")
        with pytest.raises(Unavailable):
            await vitals.read()
        assert (await gateway.post("/tools/call", call))[0] == 503
        # A session that stands stays where it is: only what the server says tells that it is the wrong one.
        proxy.lead_to(database_url, cut=False)

        async def is_taken() -> bool:
            return (await gateway.post("/tools/call", call))[0] == 200

        async def is_read() -> bool:
            # Another session than the call's may be the next to find out.
            with contextlib.suppress(Unavailable):
                return (await vitals.read()).outbox_rows >= 0
            return False

        await until(is_taken, seconds=15, what="a call that is stored")
        await until(is_read, seconds=15, what="figures of the new server")


async def is_in_recovery(database: Database) -> bool:
    try:
        return await database.fetchval("SELECT pg_is_in_recovery()") is True
    except Unavailable:
        return False


async def test_a_worker_leaves_a_server_in_recovery_once_another_takes_writes(
    behind: tuple[TcpProxy, str, str], database_url: str
) -> None:
    proxy, url, former = behind
    proxy.lead_to(former)
    transport = PostgresTransport(PostgresSettings(url, pool_size=2), "ns")
    try:
        with pytest.raises(TransportUnavailable):
            await transport.declare(Queue("echo"))
        proxy.lead_to(database_url, cut=False)
        await transport.declare(Queue("echo"))
        assert await transport.publish([OutboundMessage("echo", b"{}")]) == [None]
    finally:
        await transport.close()


async def test_the_bell_leaves_a_server_that_became_read_only(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asya_gateway.storage.log.bell.PROBE_EVERY", 0.1)
    async with opened(database_url) as database:
        bell = Bell(database)
        await bell.start()
        await until(lambda: bell.connected)
        assert bell._connection is not None
        await bell._connection.execute("SET default_transaction_read_only = on")
        await until(lambda: bell.connects >= 2)  # a busy machine may take longer than a probe waits
        await bell.stop()


async def test_a_workers_sessions_that_became_read_only_are_dropped_too(database_url: str) -> None:
    link = ConnectionPool(PostgresSettings(database_url, pool_size=2))
    try:
        async with link.connection() as one, link.connection() as other:
            for connection in (one, other):
                await connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(TransportUnavailable):
            async with link.connection() as connection:
                await connection.execute("DELETE FROM queue_messages")
        for _ in range(3):
            async with link.connection() as connection:
                await connection.execute("DELETE FROM queue_messages")
    finally:
        await link.close()


async def test_the_session_that_keeps_a_workers_leases_is_left_when_it_became_read_only(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_here: list[asyncpg.Connection] = []

    class Noted(Sessions):
        @override
        async def connect(self, *_: object, timeout: float = 5, **options: object) -> asyncpg.Connection:
            connection = await super().connect(timeout=timeout, **options)
            opened_here.append(connection)
            if len(opened_here) == 1:
                await connection.execute("SET default_transaction_read_only = on")
            return connection

    monkeypatch.setattr("asya_transports.postgres.lease_keeper.Sessions", Noted)
    monkeypatch.setattr("asya_transports.postgres.lease_keeper.CHECK_INTERVAL", 0.1)
    told: list[list[str] | None] = []
    keeper = LeaseKeeper(PostgresSettings(database_url), "ns", told.append)
    keeper.start()
    try:
        await until(lambda: len(told) == 2)  # the second session listens
        assert opened_here[0].is_closed()
        assert not opened_here[1].is_closed()
    finally:
        await keeper.stop()


async def test_of_several_hosts_the_one_is_found_that_does_what_is_asked_for(postgres_server: PostgresServer) -> None:
    other = PostgresServer(settings={"default_transaction_read_only": "on", "max_connections": "20"})
    try:
        other.start()
        dead = "127.0.0.1:1"
        hosts = f"{dead},127.0.0.1:{other.port},127.0.0.1:{postgres_server.port}"
        sessions = Sessions(f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write", QUEUE_SESSION)
        connection = await sessions.connect()
        assert await connection.fetchval("SHOW port") == str(postgres_server.port)
        await connection.close()
        standby = Sessions(f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-only", {})
        connection = await standby.connect()
        assert await connection.fetchval("SHOW port") == str(other.port)
        await connection.close()
        nobody = Sessions(f"postgresql://postgres@127.0.0.1:{other.port}/postgres?target_session_attrs=read-write", {})
        with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
            await nobody.connect()
    finally:
        other.close()


async def test_a_host_that_swallows_everything_leaves_time_for_the_next(postgres_server: PostgresServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system takes connections, and nobody reads
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{postgres_server.port}"
        async with asyncio.timeout(10):
            connection = await Sessions(f"postgresql://postgres@{hosts}/postgres", {}).connect(timeout=2)
        await connection.close()


async def test_a_wrong_password_is_in_no_error_and_no_log(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = database_url.replace("postgres@", "nobody:s3cr%3At@")
    with pytest.raises(asyncpg.PostgresError) as refused:
        await Sessions(url, {}).connect()
    assert "s3cr" not in repr(refused.value) + caplog.text
