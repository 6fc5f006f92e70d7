"""Session settings, and plans that stay good when empty tables have filled."""

import asyncio

import pytest

from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.storage.database import Database
from tests.support.storage import Running, make_storage, progress, succeeded

FILL = """
INSERT INTO tasks (id, parent_id, owner, flow, surface, status, route, last_seq, created_at, updated_at,
                   deadline_at, finished_at, ended_as)
SELECT 'old-' || n, CASE WHEN n % 10 = 0 THEN 'old-' || n - 1 END, 'o' || n % 50, 'shout', 'rest',
       CASE WHEN n % 97 = 0 THEN 'running' ELSE 'succeeded' END, '{}', 3, now() - n * interval '1 second', now(),
       now() + interval '1 day', CASE WHEN n % 97 <> 0 THEN now() - interval '10 minutes' END,
       CASE WHEN n % 97 <> 0 THEN 'succeeded' END
FROM generate_series(1, 200000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'old-' || n / 2, n % 2 + 1, 'progress', 'running', 1, '{}', now() FROM generate_series(2, 200001) n;
INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)
SELECT 'old-' || n, '0', 1, 'w', 'completed', now() FROM generate_series(1, 100000) n;
INSERT INTO task_bodies (task_id, kind, body)
SELECT 'old-' || n, 'payload', '{"text":"hi"}' FROM generate_series(1, 200000) n;
INSERT INTO task_pauses (task_id, pause_id, question, created_at)
SELECT 'old-' || n, 'p', '{}', now() FROM generate_series(1, 50000) n;
ANALYZE
"""


async def test_a_process_waits_for_a_schema_that_is_too_old(empty_database_url: str) -> None:
    made = make_storage(empty_database_url)
    with pytest.raises(Unavailable, match="asya migrate"):
        await made.storage.start(patience=0)
    await made.storage.stop()


async def test_every_session_has_our_settings(database_url: str) -> None:
    database = Database(database_url, min_size=1, max_size=2, statement_timeout=7)
    await database.open()
    try:
        expected = {
            "plan_cache_mode": "force_custom_plan",
            "jit": "off",
            "lock_timeout": "1s",
            "statement_timeout": "7s",
            "idle_in_transaction_session_timeout": "30s",
        }
        found = {name: await database.fetchval(f"SHOW {name}") for name in expected}
        assert found == expected
    finally:
        await database.close()


async def test_statements_that_look_nothing_up_have_a_part_of_the_connections_and_are_planned_once(
    database_url: str,
) -> None:
    database = Database(database_url, min_size=1, max_size=5, statement_timeout=7)
    fixed = database.with_fixed_plans(2)
    await database.open()
    try:
        assert await fixed.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
        assert await fixed.fetchval("SHOW statement_timeout") == "7s"
        assert await database.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
        assert (fixed.usage().largest, database.usage().largest) == (2, 5)
        assert database.usage().size == 2
    finally:
        await database.close()
    assert fixed.usage().size == 0


@pytest.mark.timeout(120)
async def test_processes_warmed_on_empty_tables_keep_index_scans_when_the_tables_are_full(running: Running) -> None:
    warm = await running.create()
    for _ in range(10):
        await running.tasks.report(progress(warm))
    await running.tasks.snapshot(warm, 0, owner=None)
    await running.storage.database.execute("SET statement_timeout = 0;" + FILL)
    before = await seq_scans(running)
    ids = [await running.create() for _ in range(5)]
    for task_id in ids:
        await running.tasks.report(progress(task_id))
        await running.tasks.snapshot(task_id, 0, owner=None)
        await running.tasks.get(task_id, owner=None)
        await running.tasks.finish(succeeded(task_id))
    await running.storage.sweeper.sweep()
    await running.storage.sweeper.sweep_orphans()
    await running.storage.retention.retire()
    for owner in ("o1", None):
        await running.tasks.list(TaskFilter(owner=owner, limit=50))
        await running.tasks.list(TaskFilter(owner=owner, status=TaskStatus.PAUSED, limit=50))
    assert await seq_scans(running) == before


async def seq_scans(running: Running) -> dict[str, int]:
    """Sequential scans so far, of the tables that grow without bound."""
    database = running.storage.database
    async with asyncio.timeout(20):
        await database.execute("SELECT pg_stat_force_next_flush()")
        await asyncio.gather(*(database.execute("SELECT pg_stat_force_next_flush()") for _ in range(8)))
    rows = await database.fetch(
        "SELECT relname, seq_scan FROM pg_stat_user_tables"
        " WHERE relname IN ('tasks', 'task_updates', 'task_bodies', 'task_hops', 'task_pauses')"
    )
    return {row["relname"]: row["seq_scan"] for row in rows}


ONE_OWNER = """
INSERT INTO tasks (id, context_id, owner, flow, surface, status, route, created_at, updated_at, finished_at, ended_as)
SELECT 'old-' || n, CASE WHEN n % 40000 = 0 THEN 'talk' END, 'busy',
       CASE WHEN n % 20000 = 0 THEN 'rare' ELSE 'shout' END, 'rest', status, '{}',
       now() - n * interval '1 second', now(), now(), status
FROM generate_series(1, 200000) n
CROSS JOIN LATERAL (SELECT CASE WHEN n % 25000 = 0 THEN 'failed' ELSE 'succeeded' END AS status) s;
ANALYZE tasks
"""


@pytest.mark.timeout(120)
async def test_what_is_rare_is_listed_without_looking_at_the_rest_of_an_owners_tasks(running: Running) -> None:
    await running.storage.database.execute("SET statement_timeout = 0;" + ONE_OWNER)
    scans, read = await seq_scans(running), await rows_read(running)
    for owner in ("busy", None):
        assert len(await running.tasks.list(TaskFilter(owner=owner, status=TaskStatus.FAILED))) == 8
        assert await running.tasks.list(TaskFilter(owner=owner, status=TaskStatus.CANCELED)) == []
    for flow, found in (("rare", 10), ("none", 0)):
        assert len(await running.tasks.list(TaskFilter(owner="busy", flow=flow))) == found
    assert len(await running.tasks.list(TaskFilter(owner="busy", flow="rare", status=TaskStatus.FAILED))) == 2
    assert len(await running.tasks.list(TaskFilter(owner="busy", context_id="talk"))) == 5
    talk = TaskFilter(owner="busy", context_id="talk", status=TaskStatus.FAILED)
    assert len(await running.tasks.list(talk)) == 1
    assert len(await running.tasks.list(TaskFilter(owner="busy", flow="shout", limit=50))) == 50
    assert len(await running.tasks.list(TaskFilter(owner="busy", limit=50))) == 50
    assert await seq_scans(running) == scans
    assert await rows_read(running) - read < 500


async def rows_read(running: Running) -> int:
    """Rows of tasks that index scans have fetched so far; to be asked after `seq_scans`, which sees to the counts."""
    statement = "SELECT idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'tasks'"
    found: int = await running.storage.database.fetchval(statement)
    return found
