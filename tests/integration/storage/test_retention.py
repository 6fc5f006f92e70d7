"""Old data is removed in chunks of rows and bytes, even with stale statistics."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from asya_gateway.domain.ids import new_task_id
from asya_gateway.storage import chunks, store
from asya_gateway.storage.tasks import beside, retention
from asya_gateway.storage.tasks.beside import ALL, BODIES, HOPS, UPDATES, Beside
from tests.support.blocks import counted_blocks
from tests.support.storage import Running, make_storage
from tests.support.waiting import until

ENDED = """
INSERT INTO tasks (id, owner, flow, surface, status, route, created_at, updated_at, finished_at, ended_as)
SELECT $1 || n, '', 'shout', 'rest', 'succeeded', '{}', now() - $3 * interval '1 day', now(),
       now() - $3 * interval '1 day', 'succeeded'
FROM generate_series(1, $2) n
"""


@pytest.fixture
async def still(database_url: str) -> AsyncIterator[Running]:
    """A storage whose loops do not run."""
    made = make_storage(database_url)
    await made.storage.database.open()
    yield made
    await made.storage.database.close()


async def count(running: Running, table: str) -> int:
    found: int = await running.storage.database.fetchval(f"SELECT count(*) FROM {table}")  # of this file
    return found


async def test_large_bodies_go_a_few_at_a_time(still: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    database = still.storage.database
    await database.execute(ENDED, "old-", 40, 91)
    # Hexadecimal noise is not compressed to nothing.
    await database.execute(
        "INSERT INTO task_bodies (task_id, kind, body) SELECT id, 'payload', to_json(("
        "SELECT string_agg(md5(id || n), '') FROM generate_series(1, 6250) n)) FROM tasks"
    )
    monkeypatch.setattr(beside, "BYTES_A_ROW", 200)
    with counted_blocks(monkeypatch) as blocks:
        assert await still.storage.retention.retire() == 40
    assert await count(still, "task_bodies") == 0
    deletes = [sql for _, sql in blocks.statements if "DELETE FROM task_bodies" in sql]
    assert len(deletes) >= 40 * 100_000 / (beside.ROWS * 200)
    # A fifth of what all bodies together take at once.
    blocks.check(3_500)


async def test_a_long_log_goes_in_parts(still: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    database = still.storage.database
    await database.execute(ENDED, "old-", 2, 31)
    await database.execute(
        "INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at) "
        "SELECT id, n, 'progress', 'running', 1, '{}', now() FROM tasks, generate_series(1, 4000) n"
    )
    monkeypatch.setattr(still.storage.retention._remover._chunk, "size", 500)
    with counted_blocks(monkeypatch) as blocks:
        assert await still.storage.retention.retire() == 8_000
    # Once past what went before, and five for each row that goes.
    blocks.check(8_000 + 500 * 8)


async def test_a_statement_that_takes_too_long_is_halved_until_it_does_not(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = still.storage.database
    await database.execute(ENDED, "old-", 30, 91)
    await database.execute(
        "INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at) "
        "SELECT id, n, 'progress', 'running', 1, '{}', now() FROM tasks, generate_series(1, 10) n"
    )
    # Every statement that removes more than forty rows runs into the timeout.
    await database.execute(
        """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT count(*) FROM removed) > 40 THEN PERFORM pg_sleep(60); END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER slow AFTER DELETE ON task_updates REFERENCING OLD TABLE AS removed
            FOR EACH STATEMENT EXECUTE FUNCTION slow();
        """
    )
    monkeypatch.setattr(still.storage.retention._remover._chunk, "size", 160)
    monkeypatch.setattr(chunks, "GROWS_AFTER", 1_000)  # however many tables there are
    async with database.connection() as connection:
        await connection.execute("SET statement_timeout = '300ms'")
    async with asyncio.timeout(20):
        assert await still.storage.retention.retire() == 30 * 10 + 30
    assert still.storage.retention._remover._chunk.size < 160


async def test_what_stays_is_not_walked_through_when_statistics_are_of_yesterday(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = still.storage.database
    await database.execute("ALTER TABLE tasks SET (autovacuum_enabled = off)")
    await database.execute(ENDED, "a-", 20_000, 95)
    await database.execute("ANALYZE tasks")
    await database.execute("DELETE FROM tasks")
    await database.execute(ENDED, "b-", 20_000, 1)
    await database.execute(ENDED, "z-", 5, 95)
    await database.execute("VACUUM (INDEX_CLEANUP ON) tasks")
    await database.execute("UPDATE pg_class SET reltuples = 20000 WHERE relname = 'tasks'")
    with counted_blocks(monkeypatch) as blocks:
        assert await still.storage.retention.retire() == 5
    blocks.statements = [each for each in blocks.statements if "FROM tasks" in each[1] and "task_id" not in each[1]]
    blocks.check(2_200)


@pytest.mark.parametrize("kind", [each.table for each in ALL])
async def test_rows_whose_task_is_gone_are_removed_from_each_table(
    still: Running, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    monkeypatch.setattr(retention, "PAGES_A_TURN", 2)
    living = [await still.create(f"task-{number}") for number in range(5)]
    values = {
        "task_bodies": "(task_id, kind, body) SELECT id, 'result', '1'",
        "task_updates": "(task_id, seq, kind, status, progress, detail, at) SELECT id, 7, '', '', 0, '{}', now()",
        "task_hops": "(task_id, hop, attempt, claimant, state, lease_until) SELECT id, '0', 1, '', '', now()",
        "task_pauses": "(task_id, pause_id, question, created_at) SELECT id, 'p', '{}', now()",
        "task_inputs": "(task_id, key, pause_id) SELECT id, 'k', 'p'",
        "call_keys": "(owner, key, task_id, digest) SELECT 'o', id, id, ''",
        "task_request_keys": "(task_id, action, key, digest) SELECT id, 'cancel', 'k', ''",
        "task_retries": "(task_id, retry_of) SELECT id, 'x'",
        "hop_parts": "(task_id, hop, claimant, part, number, actor, envelope_id, body)"
        " SELECT id, '0', '', 0, 0, '', id, ''",
        "incomplete_finals": "(task_id, arrived_at, due_at) SELECT id, now(), now()",
        "a2a_messages": "(task_id, number, message) SELECT id, 1, '{}'",
        "destinations": "(task_id, channel, name, owner, url, host, options, delivered_seq)"
        " SELECT id, 'a2a', 'x', '', '', '', '{}', 0",
        "a2a_tasks": "(task_id, owner, dialect, context_id) SELECT id, 'o', '', ''",
    }
    gone = [f"gone-{number}" for number in range(5)] + [f"zone-{number}" for number in range(5)]
    await still.storage.database.execute(
        f"INSERT INTO {kind} {values[kind]} FROM unnest($1::text[]) id",  # of this test
        [*living, *gone],
    )
    if kind == "hop_parts":  # a worker holds the hop to which they belong
        await still.storage.database.execute(
            "INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)"
            " SELECT id, '0', 1, '', 'claimed', now() FROM unnest($1::text[]) id",
            living,
        )
    for _ in range(4):
        await still.storage.retention.retire()
    left = await still.storage.database.fetch(f"SELECT DISTINCT task_id FROM {kind} ORDER BY 1")
    assert [row["task_id"] for row in left] == living


async def test_what_is_stored_before_its_task_is_not_left_behind_while_it_is_young(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    remover, table, young = still.storage.retention._remover, Beside("a2a_tasks"), new_task_id()
    await still.storage.database.execute("INSERT INTO a2a_tasks VALUES ($1, 'o', '', '')", young)
    assert await remover.left_behind(table, "", 10) == ("", [])
    monkeypatch.setattr(beside, "YOUNG", -60.0)
    assert await remover.left_behind(table, "", 10) == ("", [young])


async def test_of_all_processes_one_looks_through_the_tables_in_a_period(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await still.create("living")
    other = make_storage(database_url)
    await other.storage.database.open()
    try:
        walked = []
        for each in (still, other, still):
            with counted_blocks(monkeypatch) as blocks:
                await each.storage._retire()
                await each.storage._retire_sessions()
            walked.append(any("WITH RECURSIVE ids" in sql for _, sql in blocks.statements))
            assert any("FROM mcp_calls" in sql for _, sql in blocks.statements) == walked[-1]
        assert walked == [True, False, False]
        await still.storage.database.execute("UPDATE retention SET finished_at = now() WHERE kind LIKE 'turn: %'")
        assert await other.storage.turns.taken("sessions", 60.0)
        assert not await still.storage.turns.taken("sessions", 60.0)
    finally:
        await other.storage.database.close()


async def test_a_running_process_removes_what_is_old_in_all_its_rounds(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await still.storage.database.execute(ENDED, "old-", 3, 91)
    monkeypatch.setattr(store, "FIRST_TURN", 0.0)
    other = make_storage(database_url)
    await other.storage.start()
    try:

        async def removed() -> bool:
            turns = "SELECT count(*) FROM retention WHERE kind LIKE 'turn: %'"
            return await count(still, "tasks") == 0 and await still.storage.database.fetchval(turns) == 2

        await until(removed, what="the first rounds")
    finally:
        await other.storage.stop()


def test_every_table_beside_tasks_is_known_to_retention() -> None:
    assert {BODIES, UPDATES, HOPS} <= set(ALL)


async def test_a_table_with_a_task_id_is_emptied_with_its_task(still: Running) -> None:
    """A new table is one more entry of the list. The outbox is emptied by its dispatcher, and calls of sessions go with
    their sessions or an hour after their tasks' ends."""
    rows = await still.storage.database.fetch(
        "SELECT table_name::text AS name FROM information_schema.columns"
        " WHERE column_name = 'task_id' AND table_schema = 'public'"
    )
    assert {row["name"] for row in rows} - {"outbox", "retention", "mcp_calls", "mcp_session_tasks"} == {
        each.table for each in ALL
    }
