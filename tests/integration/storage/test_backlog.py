"""What waits to be delivered: counted by one process for all, and said in the logs of tasks whose queue is missing."""

from collections.abc import Iterable

import asyncpg
import pytest

from asya_crds import jsontext
from asya_crds.incarnations import resume_id
from asya_gateway.domain.backlog import Backlog, Bounds, Counted, Figures, MissingQueue
from asya_gateway.domain.log import waits_for_queue
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.ports import OutboxEntry, Refused
from asya_gateway.storage.queues import backlog as measuring
from asya_gateway.storage.queues.backlog import PostgresBacklog
from asya_gateway.storage.queues.counting import _OUTBOX, _QUEUES, OutboxCounting, QueueCounting
from asya_gateway.storage.queues.outbox import PostgresOutbox
from asya_gateway.storage.queues.undeclared import Undeclared
from tests.support.blocks import counted_blocks
from tests.support.hops import declare
from tests.support.storage import Running, succeeded
from tests.support.waiting import until

BOUNDS = Bounds(total=10, per_actor=3)
ROWS = """
INSERT INTO outbox (task_id, actor, body, not_before, created_at, unroutable)
SELECT 't-' || n, $1, 'x', now() + interval '1 hour', now(), $3 FROM generate_series(1, $2) n
"""


def process(running: Running, name: str, *, bounds: Bounds | None = BOUNDS) -> tuple[PostgresBacklog, Backlog]:
    """A process that measures the outbox, or only reads."""
    database, backlog = running.storage.database, Backlog()
    measured = OutboxCounting(database)
    return PostgresBacklog(database, running.storage.bell, backlog, measured, bounds, name=name), backlog


async def test_rows_are_counted_by_actor_and_no_further_than_the_bound(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = still.storage.database
    counting = OutboxCounting(database)
    assert await counting.count(10) == []
    for actor, rows, reason in (("a", 4, None), ("b", 2, "no queue"), ("c", 20_000, None)):
        await database.execute(ROWS, actor, rows, reason)
    with counted_blocks(monkeypatch) as blocks:
        counted = {each.actor: each for each in await counting.count(1_000)}
    assert counted["a"] == Counted("a", 4)
    assert counted["b"] == Counted("b", 2, unroutable=2, reason="no queue")
    assert counted["c"].messages == 994
    # A row of the test takes a hundredth of a block, and its entry in the index less.
    blocks.check(60)


async def test_counting_passes_removed_rows_that_an_old_snapshot_keeps(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = still.storage.database
    await database.execute(ROWS, "a", 60_000, None)
    old = await asyncpg.connect(database_url)
    try:
        snapshot = old.transaction(isolation="repeatable_read")
        await snapshot.start()
        await old.fetchval("SELECT 1 FROM outbox LIMIT 1")
        await database.execute("DELETE FROM outbox")
        counting = OutboxCounting(database)
        await counting.count(100)
        await database.execute(ROWS, "a", 5, None)
        with counted_blocks(monkeypatch) as blocks:
            assert await counting.count(100) == [Counted("a", 5)]
        # Ten thousand ids below the oldest row are read again, because a row may become visible late.
        blocks.check(400)
        await snapshot.rollback()
    finally:
        await old.close()


async def test_one_process_measures_and_the_others_learn_from_it(still: Running) -> None:
    await still.storage.database.execute(ROWS, "full", 3, "no queue")
    (first, known), (second, learned), (mesh, read) = (
        process(still, "api-1"),
        process(still, "api-2"),
        process(still, "mesh-1", bounds=None),
    )
    await first.turn()
    for other in (second, mesh):
        await other.turn()
    expected = Figures(3, frozenset({"full"}), unroutable={"full": MissingQueue(3, "no queue")})
    assert known.figures == learned.figures == read.figures == expected
    owner = "SELECT measurer FROM backlog"
    assert await still.storage.database.fetchval(owner) == "api-1"

    # Who stopped without a word is replaced when its figures are old, and its late measurement is not taken.
    await still.storage.database.execute("UPDATE backlog SET valid_until = now() - interval '1 second'")
    await mesh.turn()
    assert read.figures == Figures()
    await second.turn()
    await first.turn()
    assert await still.storage.database.fetchval(owner) == "api-2"
    assert known.figures == expected


async def test_a_process_that_stops_leaves_the_measuring_to_another_at_once(running: Running) -> None:
    (first, _), (second, _) = process(running, "api-1"), process(running, "api-2")
    database = running.storage.database

    async def measurer() -> str | None:
        name: str | None = await database.fetchval("SELECT measurer FROM backlog")
        return name

    await first.start()
    await until(measurer)
    await second.start()
    await first.stop()

    async def replaced() -> bool:
        return await measurer() == "api-2"

    await until(replaced, measuring.VALID - 1)
    await second.stop()
    assert await measurer() is None


async def test_a_bell_tells_of_full_actors_before_the_next_poll(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "POLL_EVERY", 600.0)
    (first, _), (reader, learned) = process(running, "api-1"), process(running, "mesh-1", bounds=None)
    await reader.start()
    await until(lambda: running.storage.bell.listens(measuring.CHANNEL))
    await running.storage.database.execute(ROWS, "full", 3, None)
    await first.turn()
    await until(lambda: learned.figures.full == {"full"})
    await reader.stop()


async def messages(running: Running, task_id: str) -> list[str | None]:
    found = await running.tasks.updates(task_id, 0)
    return [update.entry.message for update in found.updates]


async def test_a_missing_queue_is_said_in_the_log_once_and_again_when_the_reason_changes(still: Running) -> None:
    ids = sorted([await still.create() for _ in range(3)])
    await still.tasks.finish(succeeded(ids[2]))
    database = still.storage.database
    outbox = PostgresOutbox(database, still.tasks.note)
    rows = await database.fetch("SELECT id, task_id FROM outbox")
    entries = [OutboxEntry(row["id"], row["task_id"], "first", b"") for row in rows]

    async def refuse(reason: str, *, unroutable: bool = True) -> None:
        await outbox.failed([Refused(entry, reason, unroutable) for entry in entries])
        await database.execute("UPDATE outbox SET not_before = now()")
        entries[:] = await outbox.take(100, 100)

    for reason in ("no queue", "no queue", "no exchange", "no exchange", "no queue"):
        await refuse(reason)
        await refuse("the broker is away", unroutable=False)
    waits = [f"Waiting for the queue of first: {reason}" for reason in ("no queue", "no exchange", "no queue")]
    for task_id in ids[:2]:
        assert await messages(still, task_id) == ["Task created", *waits]
        assert await still.seqs(task_id) == [1, 2, 3, 4]
        assert await still.kinds(task_id) == ["created", "progress", "progress", "progress"]
    assert len(await messages(still, ids[2])) == 2
    task = await still.tasks.get(ids[0], owner=EVERY_OWNER)
    assert (task.status, task.progress, task.last_seq) == ("pending", 0, 4)


async def test_a_process_that_died_before_it_recorded_a_note_does_not_say_it_twice(still: Running) -> None:
    task_id = await still.create()
    note = {task_id: waits_for_queue("first", "no queue with a \x00 in its name"), "nobody": waits_for_queue("a", "b")}
    assert [await still.tasks.note(note), await still.tasks.note(note)] == [1, 0]


async def test_many_notes_are_appended_in_parts(still: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asya_gateway.storage.tasks.noting.MOST", 3)
    ids = [await still.create() for _ in range(7)]
    assert await still.tasks.note(dict.fromkeys(ids, waits_for_queue("a", "b"))) == 7


async def test_rows_of_a_queue_that_comes_back_are_due_at_once_and_oldest_first(still: Running) -> None:
    database = still.storage.database
    for _ in range(6):
        await still.create()
    ids = [row["id"] for row in await database.fetch("SELECT id FROM outbox ORDER BY id")]
    # The older an envelope is, the more often it was refused, and the longer it would wait.
    await database.execute(
        "UPDATE outbox SET attempts = 9 - id % 9, not_before = now() + (70 - id) * interval '1 second' WHERE id < $1",
        ids[-1],
    )
    outbox = PostgresOutbox(database)
    assert await outbox.take(100, 100) == []
    assert await outbox.recover("first")
    assert await outbox.recover("nobody")
    await database.fetchval("SELECT pg_sleep(0.001)")
    assert [entry.id for entry in await outbox.take(3, 100)] == ids[:3]
    # The last one was never refused: it still belongs to the process that accepted it.
    assert [entry.id for entry in await outbox.take(100, 100)] == ids[3:5]


async def age_messages(running: Running) -> None:
    await running.storage.database.execute("UPDATE queue_messages SET ready_at = ready_at - interval '1 minute'")


async def test_messages_in_undeclared_queues_count_as_unroutable_when_they_are_not_new(embedded: Running) -> None:
    counting = QueueCounting(embedded.storage.database, "default")
    assert await counting.count(10) == []
    await declare(embedded, "known")
    for actor in ("missing", "missing", "known"):
        await embedded.create(actor=actor)
    assert {each.actor: each.unroutable for each in await counting.count(10)} == {"missing": 0, "known": 0}
    await age_messages(embedded)
    reason = "queue asya-default-missing is not declared"
    assert Counted("missing", 2, 2, reason) in await counting.count(10)
    assert (await QueueCounting(embedded.storage.database, "other").count(10)) == []
    assert sum(each.messages for each in await counting.count(2)) == 2


@pytest.mark.parametrize(
    ("sql", "arguments"),
    [(_OUTBOX, "(0, 100000)"), (_QUEUES, "(0, 100000, 'asya-default-', 15)")],
    ids=["outbox", "queues"],
)
async def test_counting_sorts_nothing(still: Running, sql: str, arguments: str) -> None:
    database = still.storage.database
    await database.execute(ROWS, "a", 5_000, None)
    fill = "INSERT INTO queue_messages (queue, body) SELECT 'asya-default-a', 'x' FROM generate_series(1, 5000)"
    await database.execute(fill)
    # With the plan that the sessions have for any arguments; what is sorted in so little memory goes to disk.
    async with database.hot.connection() as session, session.transaction():
        await session.execute(f"SET LOCAL work_mem = '64kB'; PREPARE counted AS {sql}")
        found = await session.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE counted{arguments}")
        await session.execute("DEALLOCATE counted")
    [explained] = jsontext.loads(found)
    assert explained["Plan"]["Actual Rows"] == 1
    assert explained["Plan"]["Temp Written Blocks"] == 0


async def test_tasks_in_an_undeclared_queue_are_told_once_whoever_reads_it(
    embedded: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asya_gateway.storage.queues.undeclared.QUEUES", 1)
    database = embedded.storage.database
    plain, resumed = [await embedded.create(actor="missing", envelope="{}") for _ in range(2)]
    bodies = [jsontext.dumps({"id": name, "payload": "x" * 9_000}) for name in (plain, resume_id(resumed, 1))]
    await database.execute("DELETE FROM queue_messages")
    insert = "INSERT INTO queue_messages (queue, body) SELECT 'asya-default-missing', convert_to(b, 'UTF8') FROM unnest"
    await database.execute(f"{insert}($1::text[]) b", [*bodies, '{"payload": 1}', '{"id": "a\\u0000b"}', "no json"])
    undeclared = Undeclared(database, "default", embedded.tasks.note)
    await undeclared.tell(["missing"])
    assert await messages(embedded, plain) == ["Task created"]

    await age_messages(embedded)
    said = "Waiting for the queue of missing: queue asya-default-missing is not declared"
    for reader in (undeclared, undeclared, Undeclared(database, "default", embedded.tasks.note)):
        # Of two queues one is read in a turn.
        for _ in range(2):
            await reader.tell(["missing", "empty"])
        assert await messages(embedded, plain) == await messages(embedded, resumed) == ["Task created", said]


async def test_who_measures_tells_the_tasks(still: Running) -> None:
    told: list[set[str]] = []

    async def tell(actors: Iterable[str]) -> None:
        told.append(set(actors))

    database = still.storage.database
    await database.execute(ROWS, "missing", 1, "no queue")
    for name, bounds in (("api-1", BOUNDS), ("api-2", BOUNDS), ("mesh-1", None)):
        counting = OutboxCounting(database)
        bell = still.storage.bell
        await PostgresBacklog(database, bell, Backlog(), counting, bounds, name=name, tell=tell).turn()
    assert told == [{"missing"}]
