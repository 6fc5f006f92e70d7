"""Polls of the outbox look from where the last one came to, past what vacuum cannot clear."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from asya_gateway.storage.queues import outbox as polling
from asya_gateway.storage.queues.outbox import PostgresOutbox
from tests.support.blocks import counted_blocks
from tests.support.storage import Running, make_storage

FILL = """
INSERT INTO outbox (task_id, actor, body, not_before, created_at)
SELECT 'old-' || n, 'actor-' || n % 3, 'x', now() - interval '1 hour', now() - interval '1 hour'
FROM generate_series(1, $1) n
"""
DUE = "INSERT INTO outbox (task_id, actor, body, not_before, created_at) VALUES ($1, $2, 'x', now(), now())"


@pytest.fixture
async def still(database_url: str) -> AsyncIterator[Running]:
    """A storage whose loops do not run."""
    made = make_storage(database_url)
    await made.storage.database.open()
    yield made
    await made.storage.database.close()


async def test_polls_pass_removed_rows_that_an_old_snapshot_keeps(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = still.storage.database
    await database.execute(FILL, 60_000)
    old = await asyncpg.connect(database_url)
    try:
        snapshot = old.transaction(isolation="repeatable_read")
        await snapshot.start()
        await old.fetchval("SELECT 1 FROM outbox LIMIT 1")
        await database.execute("DELETE FROM outbox")
        await database.execute("VACUUM ANALYZE outbox")
        outbox = PostgresOutbox(database)
        assert await outbox.take(2_000, 200) == []
        await database.execute(DUE, "a", "actor-1")
        await database.execute(DUE, "b", "never-seen")
        with counted_blocks(monkeypatch) as blocks:
            assert {entry.task_id for entry in await outbox.take(2_000, 200)} == {"a", "b"}
            assert await outbox.take(2_000, 200) == []
        blocks.check(200)
        await snapshot.rollback()
    finally:
        await old.close()


async def test_a_backlog_is_taken_to_its_end_and_what_comes_later_is_found(still: Running) -> None:
    await still.storage.database.execute(FILL, 1_000)
    for number in range(8):
        await still.storage.database.execute(DUE, "alone", f"quiet-{number}")
    outbox = PostgresOutbox(still.storage.database)
    taken: list[int] = []
    while entries := await outbox.take(300, 70):
        taken += [entry.id for entry in entries]
    assert len(taken) == len(set(taken)) == 1_008
    await outbox.failed([(taken[0], "no")])
    await still.storage.database.execute("UPDATE outbox SET not_before = now() WHERE id = $1", taken[0])
    assert [entry.id for entry in await outbox.take(300, 70)] == [taken[0]]


async def test_a_row_that_its_taker_left_behind_is_found_when_all_is_looked_through(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = PostgresOutbox(still.storage.database)
    assert await outbox.take(300, 70) == []
    await still.storage.database.execute(FILL, 1)
    assert await outbox.take(300, 70) == []
    monkeypatch.setattr(outbox, "_all_over_at", 0.0)
    assert len(await outbox.take(300, 70)) == 1


async def test_where_all_cannot_be_looked_through_in_time_new_rows_go_out(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "_ACTORS", "SELECT pg_sleep(60)::text AS actor")
    database = still.storage.database
    await database.execute(DUE, "a", "actor-1")
    async with database.connection() as connection:
        await connection.execute("SET statement_timeout = '200ms'")
    assert [entry.task_id for entry in await PostgresOutbox(database).take(300, 70)] == ["a"]
