"""Migrations: each file once, beside whoever writes, and again where one was interrupted."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from asya_cli.errors import CliError
from asya_cli.migrate import apply_and_hand_over
from asya_crds.status import TaskStatus
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.storage import migrate as migrating
from asya_gateway.storage.database import SESSION
from asya_gateway.storage.migrate import LATEST, migrate, migrations, schema_version
from tests.support.storage import make_storage
from tests.support.waiting import until

BEFORE_LISTS = 3
"""The schema in which the indexes of lists are missing."""
INSERT = """
INSERT INTO tasks (id, owner, flow, surface, status, route, created_at, updated_at, finished_at)
VALUES ($1, '', 'shout', 'rest', $2, '{"prev":[],"curr":"a","next":[]}', now(), now(),
        CASE WHEN $2 <> 'running' THEN now() END)
"""


@pytest.fixture
async def older(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database whose schema is an older version's."""
    connection = await asyncpg.connect(empty_database_url)
    with monkeypatch.context() as patch:
        old = [migration for migration in migrations() if migration.number <= BEFORE_LISTS]
        patch.setattr(migrating, "migrations", lambda: old)
        await migrate(connection)
    yield connection
    await connection.close()


async def test_concurrent_migrations_apply_each_file_once(empty_database_url: str) -> None:
    connections = [await asyncpg.connect(empty_database_url) for _ in range(4)]
    try:
        applied = await asyncio.gather(*(migrate(connection) for connection in connections))
        assert sorted(name for names in applied for name in names) == [
            f"{migration.number:04d}_{migration.name}" for migration in migrations()
        ]
        assert await schema_version(connections[0]) == LATEST
    finally:
        for connection in connections:
            await connection.close()


def test_migration_numbers_have_no_gaps() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, LATEST + 1))


async def test_indexes_are_built_concurrently_with_writes(older: asyncpg.Connection, empty_database_url: str) -> None:
    writer, other = [await asyncpg.connect(empty_database_url) for _ in range(2)]
    try:
        await migrate_one(older, 4)
        slow = writer.transaction()
        await slow.start()
        await writer.execute(INSERT, "slow", "running")
        building = asyncio.create_task(migrate(older))
        await until(lambda: is_waiting(other), what="the index that waits for the open transaction")
        await other.execute("SET lock_timeout = '1s'")
        await other.execute(INSERT, "quick", "running")
        assert not building.done()
        await slow.commit()
        async with asyncio.timeout(20):
            assert (await building)[0] == "0005_lists"
        assert await other.fetchval("SELECT count(*) FROM tasks") == 2
    finally:
        await writer.close()
        await other.close()


@pytest.fixture
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that steps back begins again soon."""
    monkeypatch.setattr(migrating, "RESTS", (0.1,))


@pytest.mark.usefixtures("short_rests")
async def test_a_migration_steps_back_from_a_table_that_a_reader_holds_and_fails_no_write_behind_it(
    older: asyncpg.Connection, empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = [await asyncpg.connect(empty_database_url) for _ in range(2)]
    try:
        await writer.execute(f"SET lock_timeout = '{SESSION['lock_timeout']}'")
        reading = reader.transaction()
        await reading.start()
        await reader.fetchval("SELECT count(*) FROM tasks")
        running, written = asyncio.create_task(migrate_one(older, 4)), 0
        stepped_back = "ended_as: a table is in use by an open transaction"
        while caplog.text.count(stepped_back) < 4:
            async with asyncio.timeout(20):
                await writer.execute(INSERT, f"w{written}", "running")
            written += 1
        assert not running.done()
        await reading.commit()
        async with asyncio.timeout(20):
            await running
        assert await writer.fetchval("SELECT count(ended_as) + 1 FROM tasks") == 1
        assert written > 4
    finally:
        await reader.close()
        await writer.close()


@pytest.mark.usefixtures("short_rests")
async def test_a_statement_of_a_concurrent_file_that_alters_a_table_steps_back_too(
    older: asyncpg.Connection, empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader = await asyncpg.connect(empty_database_url)
    try:
        reading = reader.transaction()
        await reading.start()
        await reader.fetchval("SELECT count(*) FROM tasks")
        running = asyncio.create_task(migrate_one(older, 21))
        await until(lambda: caplog.text.count("status_times: a table is in use") >= 2)
        await reading.commit()
        async with asyncio.timeout(20):
            await running
        assert await older.fetchval("SHOW lock_timeout") == "0"
    finally:
        await reader.close()


async def test_a_migration_gives_up_in_the_end_and_leaves_nothing_behind(
    older: asyncpg.Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "PATIENCE", 0.1)
    reader = await asyncpg.connect(empty_database_url)
    try:
        async with reader.transaction():
            await reader.fetchval("SELECT count(*) FROM tasks")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await migrate(older)
        assert await schema_version(older) == BEFORE_LISTS
        assert len(await migrate(older)) == len(migrations()) - BEFORE_LISTS
    finally:
        await reader.close()


async def migrate_one(connection: asyncpg.Connection, number: int) -> None:
    """Apply one file alone."""
    [migration] = [migration for migration in migrations() if migration.number == number]
    assert await migrating._apply(connection, migration)


async def is_waiting(connection: asyncpg.Connection) -> bool:
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%'"
        " AND wait_event_type = 'Lock' AND datname = current_database())"
    )
    return found


async def test_a_migration_whose_connection_is_cut_says_so_in_a_line_and_can_be_run_again(
    older: asyncpg.Connection, empty_database_url: str
) -> None:
    async with older.transaction():
        await older.execute("LOCK TABLE tasks")
        running = asyncio.create_task(apply_and_hand_over(empty_database_url, ""))
        waiting = "SELECT max(pid) FROM pg_locks WHERE NOT granted AND relation = 'tasks'::regclass"
        pid = await until(lambda: older.fetchval(waiting))
        await older.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(CliError, match="could not be updated"):
            await running
    await apply_and_hand_over(empty_database_url, "")
    assert await schema_version(older) == LATEST


async def test_an_index_that_was_left_half_built_is_built_anew(older: asyncpg.Connection) -> None:
    await migrate_one(older, 4)
    await older.execute("CREATE INDEX tasks_ended_by_owner ON tasks (owner)")
    await older.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tasks_ended_by_owner'::regclass")
    await migrate(older)
    assert await schema_version(older) == LATEST
    broken = await older.fetchval("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
    columns = await older.fetchval("SELECT pg_get_indexdef('tasks_ended_by_owner'::regclass)")
    assert broken == 0
    assert "(owner, ended_as, created_at DESC, id DESC)" in columns


async def test_tasks_that_ended_before_and_during_the_migration_are_in_the_lists(
    older: asyncpg.Connection, empty_database_url: str
) -> None:
    await older.execute(INSERT, "before", "failed")
    await older.execute(INSERT, "open", "running")
    await migrate(older)
    marked = await older.fetch("SELECT id, ended_as FROM tasks ORDER BY id")
    assert [tuple(row) for row in marked] == [("before", "failed"), ("open", None)]
    # As a pod of the version before ends it, which does not know the column.
    await older.execute(INSERT, "during", "failed")
    made = make_storage(empty_database_url)
    await made.storage.start()
    try:
        for query, expected in (
            (TaskFilter(owner=OwnedBy(""), status=TaskStatus.FAILED), ["during", "before"]),
            (TaskFilter(owner=OwnedBy("")), ["during", "open", "before"]),
            (TaskFilter(owner=EVERY_OWNER, flow="shout"), ["during", "open", "before"]),
        ):
            assert [task.id for task in await made.list(query)] == expected
    finally:
        await made.storage.stop()
