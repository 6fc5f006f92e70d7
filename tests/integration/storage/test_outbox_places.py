"""Polls of the outbox look from where the last one came to, past what vacuum cannot clear."""

import math
import random
from collections import Counter

import asyncpg
import pytest

from asya_gateway.domain.ports import OutboxEntry, Refused
from asya_gateway.storage.health import VitalsReader
from asya_gateway.storage.queues import outbox as polling
from asya_gateway.storage.queues.outbox import PostgresOutbox
from tests.support.blocks import counted_blocks
from tests.support.storage import Running

FILL = """
INSERT INTO outbox (task_id, actor, body, not_before, created_at)
SELECT 'old-' || n, 'actor-' || n % 3, 'x', now() - interval '1 hour', now() - interval '1 hour'
FROM generate_series(1, $1) n
"""
DUE = "INSERT INTO outbox (task_id, actor, body, not_before, created_at) VALUES ($1, $2, 'x', now(), now())"


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
        outbox, vitals = PostgresOutbox(database), VitalsReader(database, None)
        await vitals.read()
        monkeypatch.setattr(polling, "BLOCKS", 100)
        await database.execute(DUE, "a", "actor-1")
        await database.execute(DUE, "b", "never-seen")
        with counted_blocks(monkeypatch) as blocks:
            found = await vitals.read()
            assert (found.outbox_rows, found.outbox_age < 60) == (2, True)
            assert {entry.task_id for entry in await outbox.take(2_000, 200)} == {"a", "b"}
            while outbox._all_over_at == 0:
                assert await outbox.take(2_000, 200) == []
        blocks.check(200)
        assert len(blocks.statements) > 10
        await snapshot.rollback()
    finally:
        await old.close()


async def test_a_backlog_is_taken_to_its_end_and_what_comes_later_is_found(still: Running) -> None:
    await still.storage.database.execute(FILL, 1_000)
    for number in range(8):
        await still.storage.database.execute(DUE, "alone", f"quiet-{number}")
    outbox = PostgresOutbox(still.storage.database)
    taken: list[OutboxEntry] = []
    while entries := await outbox.take(300, 70):
        taken += entries
    assert len(taken) == len({entry.id for entry in taken}) == 1_008
    await outbox.failed([Refused(taken[0], "no")])
    await still.storage.database.execute("UPDATE outbox SET not_before = now() WHERE id = $1", taken[0].id)
    assert await outbox.take(300, 70) == [taken[0]]


async def test_a_row_that_its_taker_left_behind_is_found_when_all_is_looked_through(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = PostgresOutbox(still.storage.database)
    assert await outbox.take(300, 70) == []
    await still.storage.database.execute(FILL, 1)
    assert await outbox.take(300, 70) == []
    monkeypatch.setattr(outbox, "_all_over_at", 0.0)
    assert len(await outbox.take(300, 70)) == 1


async def test_rows_of_before_a_process_began_are_found_part_by_part(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "BLOCKS", 2)
    monkeypatch.setattr(polling, "NEWEST", 1)
    await still.storage.database.execute(FILL, 1_000)
    outbox = PostgresOutbox(still.storage.database)
    taken: set[int] = set()
    while len(taken) < 1_000:
        entries = {entry.id for entry in await outbox.take(100, 50)}
        assert entries
        assert not taken & entries
        taken |= entries


async def test_an_actor_without_rows_is_forgotten_and_learned_of_again(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "NEWEST", 0)
    monkeypatch.setattr(polling, "ALL_OVER_EVERY", 0.0)
    outbox = PostgresOutbox(still.storage.database)
    for name in ("first", "again"):
        await still.storage.database.execute(DUE, name, "actor-1")
        assert [entry.task_id for entry in await outbox.take(300, 70)] == [name]
        outbox._used["actor-1"] = -math.inf
        await still.storage.database.execute("DELETE FROM outbox")
        assert await outbox.take(300, 70) == []
        assert outbox._places == {}


async def test_a_take_that_is_cut_by_its_bytes_leaves_no_row_behind_and_no_actor_out(still: Running) -> None:
    """Two processes take in turn, of actors with many rows and few, small ones and some too large for a take."""
    database, chance, sizes = still.storage.database, random.Random(7), {}
    for number in range(150):
        sizes[f"t{number}"] = size = chance.choice([1, 50, 400, 1_500, 5_000])
        await database.execute(
            "INSERT INTO outbox (task_id, actor, body, not_before, created_at)"
            " VALUES ($1, $2, repeat('x', $3), now() - $4 * interval '1 s', now())",
            f"t{number}",
            f"actor-{min(chance.randrange(12), 5)}",
            size,
            chance.randrange(40),
        )
    actor_of = {row["task_id"]: row["actor"] for row in await database.fetch("SELECT task_id, actor FROM outbox")}
    outboxes = (PostgresOutbox(database), PostgresOutbox(database))
    taken: list[str] = []
    for turn in range(300):
        left = {actor_of[task_id] for task_id in sizes.keys() - set(taken)}
        entries = await outboxes[turn % 2].take(20, 10, most_bytes=2_000)
        taken += [entry.task_id for entry in entries]
        assert len(entries) == 1 or sum(len(entry.body) for entry in entries) <= 2_000
        per_actor = Counter(entry.actor for entry in entries)
        if max(per_actor.values(), default=0) > 1:
            # Nobody has a second one while somebody has none, of those who had any.
            assert set(per_actor) == left
        if len(taken) == len(sizes):
            break
    assert sorted(taken) == sorted(sizes)


async def test_where_all_cannot_be_looked_through_in_time_new_rows_go_out(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        polling, "_PASSED", "SELECT pg_sleep(60)::text AS actor, $1::tid, $2::tid, $3::text[], $4::timestamptz[]"
    )
    database = still.storage.database
    await database.execute(DUE, "a", "actor-1")
    async with database.connection() as connection:
        await connection.execute("SET statement_timeout = '200ms'")
    assert [entry.task_id for entry in await PostgresOutbox(database).take(300, 70)] == ["a"]
