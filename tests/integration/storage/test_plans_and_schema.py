"""Session settings, and plans that stay good when empty tables have filled."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import asyncpg
import pytest

from asya_crds.answers import AnswerAction, InputMethod
from asya_crds.hop_reports import EndOutcome
from asya_crds.status import HopState, TaskStatus
from asya_gateway.domain.answers import Kept
from asya_gateway.domain.conversation_lists import ConversationFilter, Places
from asya_gateway.domain.destinations import DeliveryCapacity, DeliveryProgress, Destination
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.pause import Input, Pause
from asya_gateway.domain.ports import TaskFilter, TaskPage
from asya_gateway.domain.reports import ChildAnnouncement, Claim, PauseReport
from asya_gateway.domain.task import Task
from asya_gateway.storage.a2a.conversations import PostgresConversations
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import PostgresDestinations
from asya_gateway.storage.channels.leases import PostgresDeliveries
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.queues.outbox import BLOCKS, PostgresOutbox
from asya_gateway.storage.tasks import listing
from asya_gateway.storage.tasks.growing import grown
from asya_gateway.storage.tasks.outcomes import Awaited, outcomes
from asya_transports.postgres import statements
from asya_transports.postgres.pool import QUEUE_SESSION
from asya_transports.postgres.sessions import Sessions
from tests.support.blocks import counted_blocks
from tests.support.hops import begin, declare, delivered, end, send
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, failed, make_storage, progress, succeeded

FILL = """
INSERT INTO tasks (id, parent_id, owner, flow, surface, status, route, last_seq, created_at, updated_at,
                   deadline_at, finished_at, ended_as)
SELECT 'old-' || n, CASE WHEN n % 10 = 0 THEN 'old-' || n - 1 END, 'o' || n % 50, 'shout', 'rest',
       CASE WHEN n % 97 = 0 THEN 'running' ELSE 'succeeded' END, '{}', 3, now() - n * interval '1 second', now(),
       now() + (1000 + n * 7919 % 86400) * interval '1 second',
       CASE WHEN n % 97 <> 0 THEN now() - interval '10 minutes' END,
       CASE WHEN n % 97 <> 0 THEN 'succeeded' END
FROM generate_series(1, 200000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'old-' || n / 2, n % 2 + 1, 'progress', 'running', 1, '{}', now() FROM generate_series(2, 200001) n;
INSERT INTO task_hops (task_id, hop, attempt, claimant, state, lease_until)
SELECT 'old-' || n, '0', 1, 'w', 'completed', now() FROM generate_series(1, 200000) n;
INSERT INTO task_bodies (task_id, kind, body)
SELECT 'old-' || n, 'payload', '{"text":"hi"}' FROM generate_series(1, 200000) n;
INSERT INTO task_pauses (task_id, pause_id, question, created_at)
SELECT 'old-' || n, 'p', '{}', now() FROM generate_series(1, 50000) n;
INSERT INTO task_inputs (task_id, key, pause_id) SELECT 'old-' || n, 'p', 'p' FROM generate_series(1, 50000) n;
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


@pytest.mark.parametrize(("largest", "hot"), [(2, 1), (3, 1), (10, 5), (40, 6)])
async def test_the_hot_pool_has_a_part_of_the_connections_and_plans_a_statement_once(
    database_url: str, largest: int, hot: int
) -> None:
    database = Database(database_url, min_size=1, max_size=largest, statement_timeout=7)
    pool = database.hot
    await database.open()
    try:
        settings = ("statement_timeout", "plan_cache_mode", "enable_seqscan", "enable_bitmapscan")
        assert [await pool.fetchval(f"SHOW {name}") for name in settings] == ["7s", "force_generic_plan", "off", "on"]
        assert await database.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
        assert (pool.usage().largest, database.usage().largest) == (hot, largest)
        assert database.usage().size == 2
        long = "SELECT id FROM tasks WHERE id = ANY ($1) AND " + " AND ".join(["id <> ''"] * 2_000)
        async with pool.connection() as connection:
            for _ in range(3):
                await connection.fetch(long, ["a"])
            plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE length(statement) > 16000"
            assert [tuple(row) for row in await connection.fetch(plans)] == [(3, 0)]
    finally:
        await database.close()
    assert pool.usage().size == 0


DESTINATIONS = """;
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, done)
SELECT 'old-' || n, 'a2a', 'x', 'o' || n % 50, 'u', 'h' || n % 20, '{}', 0, true FROM generate_series(1, 50000) n
"""
OUTBOX = """;
INSERT INTO outbox (task_id, actor, body, not_before, created_at)
SELECT 'old-' || n, 'actor-' || n % 20, 'x', now() + interval '1 hour', now() FROM generate_series(1, 50000) n
"""


async def fill(database_url: str, sql: str) -> None:
    """Over a connection that waits as long as it takes."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


ONE_STATEMENT = 400
"""Blocks that a statement for one task, or for a page of fifty, may touch."""
ONE_ENVELOPE = 25
"""More of them for each envelope that a poll takes: it is read, locked and written anew, with entries in indexes."""
ONE_CHUNK = 15_000
"""Those of one that looks at a thousand tasks."""


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("one_hot_session", "small_pages")
async def test_statements_planned_on_empty_tables_touch_few_blocks_when_the_tables_are_full(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = await still.create()
    await hops_together(still, await still.create(), await still.create())
    for _ in range(10):
        await still.tasks.report(progress(warm))
    await still.tasks.snapshot(warm, 0, owner=EVERY_OWNER)
    await still.tasks.report(progress(warm, claim=Claim("1", 1, "w")))
    await one_life_of_everything(still)
    # Its ANALYZE has plans made anew, so those of empty tables are looked at first.
    rows, analyze = FILL.rsplit(";", 1)
    await fill(database_url, rows + OUTBOX + DESTINATIONS + ";" + QUEUED)
    with counted_blocks(monkeypatch) as stale:
        await one_life_of_everything(still)
        await batches_of_everything(still)
    stale.check(ONE_BATCH)
    await fill(database_url, analyze)
    outbox = PostgresOutbox(still.storage.database)
    with counted_blocks(monkeypatch) as first_poll:
        await outbox.take(1, 1)
    first_poll.check(BLOCKS)
    # How many envelopes are due depends on how long all this took, since those of ends are leased to their dispatcher.
    with counted_blocks(monkeypatch) as poll:
        due = await outbox.take(2_000, 200)
    poll.check(ONE_STATEMENT + ONE_ENVELOPE * len(due))
    with counted_blocks(monkeypatch) as blocks:
        await one_life_of_everything(still)
        for owner in (OwnedBy("o1"), EVERY_OWNER):
            for status in (None, TaskStatus.SUCCEEDED, TaskStatus.CANCELED):
                await still.list(TaskFilter(owner=owner, status=status, limit=50))
        await still.list(TaskFilter(owner=OwnedBy("o1"), status=TaskStatus.PAUSED, limit=50))
        await still.list(TaskFilter(owner=EVERY_OWNER, parent_id="old-9", limit=50))
        await still.storage.sweeper.sweep()
        await pages_of_conversations(still)
    blocks.check(ONE_STATEMENT)
    with counted_blocks(monkeypatch) as searches:
        await searches_of_conversations(still)
    searches.check(ONE_STATEMENT + OF_ONE_OWNER)
    with counted_blocks(monkeypatch) as batches:
        await batches_of_everything(still)
    batches.check(ONE_BATCH)
    with counted_blocks(monkeypatch) as chunks:
        await still.storage.sweeper.sweep_orphans()
        await still.storage.retention.retire()
    chunks.check(ONE_CHUNK)


async def one_life_of_everything(still: Running) -> None:
    """All that happens to a task, once, and what is looked for beside."""
    parent = await still.create()
    await still.tasks.announce(ChildAnnouncement(f"{parent}-1", parent, ROUTE))
    for task_id in (parent, f"{parent}-1"):
        await still.tasks.report(progress(task_id))
        await still.tasks.report(progress(task_id, claim=Claim("0", 1, "w")))
        await still.tasks.begin(begin(task_id, hop="1"))
        await still.tasks.end(end(task_id, send(task_id), send(f"{task_id}-2", parent=parent), hop="1"))
        await hops_together(still, await still.create(), await still.create())
        await still.tasks.snapshot(task_id, 0, owner=EVERY_OWNER)
        await still.tasks.get(task_id, owner=EVERY_OWNER)
        await still.tasks.active(task_id)
        pause = Pause("p", "?", {}, [])
        await still.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 50.0, "{}"))
        await still.tasks.pause_point(task_id, owner=EVERY_OWNER)
        await still.tasks.answer(answer_to(task_id, pause_id="p"), ONWARD)
    await still.tasks.finish(failed(parent))
    await still.tasks.finish(succeeded(f"{parent}-1"))
    await answers_of_every_kind(still, await still.create())
    await grown(still.storage.database, [(parent, 0)])
    await deliveries(still, [parent])
    await outcomes(still.storage.database.hot, [Awaited(parent, EVERY_OWNER, payload=True, known=False)])


async def hops_together(still: Running, *ids: str) -> None:
    """Each hop begins alone, and ends in the statement with which that of the next task begins."""
    await still.tasks.begin(begin(ids[0]))
    for task_id, following in pairwise(ids):
        await asyncio.gather(still.tasks.end(end(task_id)), still.tasks.begin(begin(following)))
    assert (await still.tasks.end(end(ids[-1]))).outcome is EndOutcome.ENDED


async def deliveries(still: Running, ids: Sequence[str]) -> None:
    """What a pod does for destinations of these tasks, and looks for among all."""
    database = still.storage.database
    announcing = DestinationAnnouncements(still.storage.bell)
    destinations = PostgresDestinations(database, announcing)
    for id in ids:
        await destinations.put(Destination(id, "a2a", "x", "", "https://e.example/", id, {}))
        await destinations.page(id, "a2a", "", "", 10)
    await database.hot.execute("UPDATE destinations SET delivered_seq = 0 WHERE task_id = ANY ($1)", list(ids))
    queue = PostgresDeliveries(
        database, announcing, channels=["a2a"], per_host=8, per_owner=64, limits=Limits(), longest=10.0
    )
    leased = await queue.lease(ids, DeliveryCapacity({"away": 0}, {"away": 0}), 100)
    assert sorted(each.destination.task_id for each in leased) == sorted(ids)
    settled = [DeliveryProgress(each.key, each.lease, 1, "pending", release=True) for each in leased]
    assert all(await asyncio.gather(*map(queue.settle, settled)))
    assert await PostgresConversations(database.hot).disabled(ids[0]) == {}
    again = await queue.lease(None, DeliveryCapacity(), 100)
    assert {each.key for each in again} <= {each.key for each in leased}
    await queue.lag()
    await queue.stop(again)
    await database.hot.execute("UPDATE destinations SET done = true WHERE task_id = ANY ($1)", list(ids))


async def answers_of_every_kind(still: Running, task_id: str) -> None:
    """To several inputs, of which one fails the task."""
    inputs = tuple(Input(key, InputMethod.ROOTS, {}) for key in "abc")
    pause = Pause("q", "?", {}, [], inputs=inputs)
    await still.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 60.0, "{}"))
    await still.tasks.get(task_id, owner=EVERY_OWNER)
    assert await still.tasks.keep_answer(answer_to(task_id, 1, "q", input_key="a")) is Kept.KEPT
    await still.tasks.pause_point(task_id, owner=EVERY_OWNER)
    declined = answer_to(task_id, 2, "q", input_key="b", action=AnswerAction.DECLINE, value=None)
    assert await still.tasks.set_aside(declined)
    assert await still.tasks.fail_declined(declined, failed(task_id, message="declined"))


OF_ONE_OWNER = 200_000 // 50
"""Tasks of each owner in FILL."""


async def pages_of_conversations(still: Running) -> None:
    """Pages of one owner's tasks in the order of their statuses' times, which are read as far as they go."""
    lists = PostgresConversationLists(still.storage.database)
    query = ConversationFilter(owner="o1", flows=frozenset({"shout"}))
    for status in (None, TaskStatus.RUNNING, TaskStatus.SUCCEEDED):
        page = await lists.places(replace(query, status=status, limit=20))
        assert (len(page.found), page.next is None) == (20, False)
        following = await lists.places(replace(query, status=status, limit=20, after=page.next))
        assert not {*following.found} & {*page.found}
        assert len(await lists.contents("o1", page.found, messages=None, results=True)) == 20
    assert await lists.places(replace(query, context_id="none", context_names=frozenset({"none"}))) == Places([], None)


async def searches_of_conversations(still: Running) -> None:
    """Those that look at a bounded number of an owner's tasks."""
    lists = PostgresConversationLists(still.storage.database)
    query = ConversationFilter(owner="o1", flows=frozenset({"shout"}))
    assert await lists.places(replace(query, status=TaskStatus.FAILED)) == Places([], None)
    assert await lists.places(replace(query, flows=frozenset({"none"}))) == Places([], None)
    assert await lists.count(query) > 3_000


BATCH = 20
"""Tasks of a batch below."""
ONE_BATCH = 60 * BATCH
"""Blocks that a statement for so many tasks may touch: each has rows in several tables with indexes, and some have a
child."""


async def batches_of_everything(still: Running) -> None:
    """What every task costs, for many tasks in one statement of a kind."""
    ids = await asyncio.gather(*(still.create() for _ in range(BATCH)))
    database = still.storage.database
    for each in ("0", "1"):
        await asyncio.gather(*(still.tasks.report(progress(id, claim=Claim(each, 1, "w"))) for id in ids))
    done = Claim("1", 1, "w")
    await asyncio.gather(*(still.tasks.report(progress(id, HopState.COMPLETED, claim=done)) for id in ids))
    await asyncio.gather(*(still.tasks.report(progress(id)) for id in ids))
    await asyncio.gather(*(still.tasks.begin(begin(id, hop="2")) for id in ids))
    ends = (end(id, send(id), send(f"{id}-1", parent=id), hop="2") for id in ids)
    assert {each.outcome for each in await asyncio.gather(*map(still.tasks.end, ends))} == {EndOutcome.ENDED}
    await asyncio.gather(*(still.tasks.begin(begin(id, hop="3")) for id in ids[1:]))
    await asyncio.gather(
        *(still.tasks.end(end(id, hop="3")) for id in ids[1:]), still.tasks.begin(begin(ids[0], hop="3"))
    )
    await grown(database.hot, [(id, 0) for id in ids])
    await deliveries(still, ids)
    await asyncio.gather(*(still.tasks.finish(succeeded(id)) for id in ids))
    found = await outcomes(database.hot, [Awaited(id, EVERY_OWNER, payload=True, known=True) for id in ids])
    assert all(isinstance(task, Task) for task in found)


QUEUED = """
INSERT INTO queues (name, namespace, actor) SELECT 'q' || n, 'd', 'a' || n FROM generate_series(1, 50) n
ON CONFLICT DO NOTHING;
INSERT INTO queue_messages (queue, body, ready_at, receipt)
SELECT 'q' || n % 50 + 1, 'x', now() + (n % 3 - 1) * interval '1 hour', CASE WHEN n % 7 = 0 THEN gen_random_uuid() END
FROM generate_series(1, 50000) n
"""


async def test_queues_in_postgres_touch_few_blocks_beside_many_messages(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with plans from the time when there were few."""
    connection = await Sessions(database_url, QUEUE_SESSION).connect()
    try:
        await connection.execute(QUEUED.replace("50000", "60") + ";ANALYZE")
        await life_of_messages(connection)
        await connection.execute(QUEUED)
        for _ in ("plans of small tables", "those of full ones"):
            with counted_blocks(monkeypatch) as blocks:
                await life_of_messages(connection)
            blocks.check(ONE_STATEMENT)
            await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def life_of_messages(connection: asyncpg.Connection) -> None:
    """All that happens to messages of one queue, once."""
    lease = timedelta(seconds=15)
    await connection.execute(
        "INSERT INTO queues (name, namespace, actor) VALUES ('q7', 'd', 'q7') ON CONFLICT DO NOTHING"
    )
    for retakes in (True, False):
        await connection.fetch(statements.PUBLISH, ["q7"] * 10, [b"x"] * 10)
        rows = await connection.fetch(statements.TAKE, "q7", 10, lease, 5, "q-dlq", "a7", retakes)
        ids, receipts = [row["id"] for row in rows], [row["receipt"] for row in rows]
        assert len(ids) == 10
        await connection.fetch(statements.EXTEND, ids, receipts, lease)
        await connection.execute(statements.GIVE_BACK, ids[:3], receipts[:3], [True, True, False])
        await connection.fetchrow(statements.NACK, ids[4], receipts[4], "q7", lease, 5, "q-dlq", "a7")
        await connection.fetch(statements.ACK, ids[5:], receipts[5:])


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("one_hot_session")
async def test_an_end_in_postgres_touches_few_blocks_beside_many_messages(
    embedded: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await declare(embedded, "second")
    await messages_together(embedded)
    await fill(database_url, FILL.rsplit(";", 1)[0] + ";" + QUEUED)
    for _ in ("plans of empty tables", "those of full ones"):
        task_id, ack = await delivered(embedded)
        many = [await delivered(embedded) for _ in range(BATCH)]
        with counted_blocks(monkeypatch) as blocks:
            await messages_together(embedded)
            await embedded.tasks.begin(begin(task_id))
            child = send(f"{task_id}-1", "second", parent=task_id)
            ended = await embedded.tasks.end(end(task_id, send(task_id), child, ack=ack))
        assert ended.outcome is EndOutcome.ENDED
        blocks.check(ONE_STATEMENT)
        with counted_blocks(monkeypatch) as batch:
            await asyncio.gather(*(embedded.tasks.begin(begin(id)) for id, _ in many))
            await asyncio.gather(*(embedded.tasks.end(end(id, ack=ack)) for id, ack in many))
        batch.check(ONE_BATCH)
        await fill(database_url, "ANALYZE")


async def messages_together(embedded: Running) -> None:
    """Each hop begins alone, and ends in the statement with which that of the next message begins."""
    (first, first_ack), (second, second_ack) = [await delivered(embedded) for _ in range(2)]
    await embedded.tasks.begin(begin(first))
    await asyncio.gather(embedded.tasks.end(end(first, ack=first_ack)), embedded.tasks.begin(begin(second)))
    assert (await embedded.tasks.end(end(second, ack=second_ack))).outcome is EndOutcome.ENDED


MANY = """
INSERT INTO tasks (id, parent_id, owner, flow, surface, status, route, created_at, updated_at, finished_at, ended_as)
SELECT 'many-' || n, CASE WHEN n % 2 = 0 THEN 'fan' END, 'o' || n % 50, 'shout', 'rest', 'running', '{}',
       now() - n * interval '1 second', now(), NULL, NULL
FROM generate_series(1, 40000) n;
ANALYZE tasks
"""


async def test_lists_of_many_open_tasks_are_read_in_the_order_of_an_index(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await still.storage.database.execute(MANY)
    with counted_blocks(monkeypatch) as blocks:
        assert len(await still.list(TaskFilter(owner=EVERY_OWNER, limit=50))) == 50
        assert len(await still.list(TaskFilter(owner=EVERY_OWNER, status=TaskStatus.RUNNING, limit=50))) == 50
        assert len(await still.list(TaskFilter(owner=OwnedBy("o1"), limit=50))) == 50
        assert len(await still.list(TaskFilter(owner=EVERY_OWNER, parent_id="fan", limit=50))) == 50
        page = await still.list(TaskFilter(owner=EVERY_OWNER, limit=50))
        deep = TaskFilter(owner=EVERY_OWNER, after=(page[-1].created_at - timedelta(hours=9), "x"), limit=50)
        assert len(await still.list(deep)) == 50
    blocks.check(ONE_STATEMENT)


async def test_what_is_rare_among_open_tasks_is_looked_for_in_a_bounded_number_of_them_at_a_time(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKS", (100, 400))
    await still.storage.database.execute(MANY.replace("40000", "8000"))
    await still.storage.database.execute(
        "UPDATE tasks SET status = 'paused', flow = 'rare' WHERE id IN ('many-4', 'many-2004');"
        "UPDATE tasks SET context_id = 'talk', created_at = now() - hashtext(id) % 50000 * interval '1 s'"
        " WHERE id LIKE 'many-1%'; UPDATE tasks SET context_id = 'talk' WHERE id IN ('many-4', 'many-2004');"
        "UPDATE tasks SET owner = 'o4' WHERE parent_id = 'fan' OR context_id = 'talk'"
    )
    await still.storage.database.execute("VACUUM ANALYZE tasks")
    rare = [
        TaskFilter(EVERY_OWNER, status=TaskStatus.PAUSED),
        TaskFilter(EVERY_OWNER, flow="rare"),
        TaskFilter(EVERY_OWNER, flow="rare", status=TaskStatus.PAUSED),
        TaskFilter(EVERY_OWNER, parent_id="fan", status=TaskStatus.PAUSED),
        TaskFilter(EVERY_OWNER, parent_id="fan", flow="rare"),
        TaskFilter(EVERY_OWNER, context_id="talk", flow="rare"),
    ]
    for owner in (EVERY_OWNER, OwnedBy("o4")):
        for asked in rare:
            query = replace(asked, owner=owner)
            found: list[str] = []
            after = None
            with counted_blocks(monkeypatch) as blocks:
                for _ in range(100):
                    page = await still.tasks.page(replace(query, after=after))
                    found += [task.id for task in page.tasks]
                    after = page.reached
                    if after is None:
                        break
            assert found == ["many-4", "many-2004"], query
            blocks.check(2 * (400 + ONE_STATEMENT))


OTHERS = """
INSERT INTO tasks (id, parent_id, context_id, owner, flow, surface, status, route, created_at, updated_at)
SELECT 'other-' || n, CASE WHEN n % 2 = 0 THEN 'fan' END, 'talk', 'other', 'shout', 'rest', 'running', '{}',
       now() - n * interval '1 second', now()
FROM generate_series(1, 20000) n;
INSERT INTO tasks (id, context_id, owner, flow, surface, status, route, created_at, updated_at)
SELECT 'mine-' || n, 'talk', 'mine', 'shout', 'rest', 'running', '{}', now() - n * interval '6 hours', now()
FROM generate_series(1, 2) n;
ANALYZE tasks
"""


async def test_what_others_have_in_a_conversation_or_a_fan_out_is_not_looked_at(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await still.storage.database.execute(OTHERS)
    with counted_blocks(monkeypatch) as blocks:
        for flow, status in ((None, None), ("shout", None), (None, TaskStatus.RUNNING)):
            talk = TaskFilter(owner=OwnedBy("mine"), context_id="talk", flow=flow, status=status)
            assert [task.id for task in await still.list(talk)] == ["mine-1", "mine-2"]
            assert (await still.tasks.page(replace(talk, flow="none"))) == TaskPage([], None)
            fan = TaskFilter(owner=OwnedBy("mine"), parent_id="fan", flow=flow, status=status)
            assert await still.tasks.page(fan) == TaskPage([], None)
        assert len(await still.list(TaskFilter(owner=OwnedBy("other"), parent_id="fan", limit=50))) == 50
        assert len(await still.list(TaskFilter(owner=OwnedBy("other"), context_id="talk", limit=50))) == 50
    blocks.check(ONE_STATEMENT)


async def test_a_whole_page_of_what_is_rare_among_open_tasks_is_found_by_statements_that_each_look_at_some(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKS", (100, 400))
    await still.storage.database.execute(MANY.replace("40000", "8000"))
    await still.storage.database.execute(
        "UPDATE tasks SET status = 'paused' WHERE id IN ('many-4', 'many-2004', 'many-7900')"
    )
    await still.storage.database.execute("VACUUM ANALYZE tasks")
    paused = TaskFilter(EVERY_OWNER, status=TaskStatus.PAUSED, whole=True)
    with counted_blocks(monkeypatch) as blocks:
        assert [task.id for task in (await still.tasks.page(paused)).tasks] == ["many-4", "many-2004", "many-7900"]
        assert [task.id for task in (await still.tasks.page(replace(paused, skip=2))).tasks] == ["many-7900"]
        assert await still.tasks.count(paused) == 3
    blocks.check(2 * (400 + ONE_STATEMENT))


async def seq_scans(running: Running) -> dict[str, int]:
    """Sequential scans so far, of the tables that grow without bound. Not of pauses: what sweeps them reads their table
    from one end to the other while it is empty, whenever that happens to be."""
    database = running.storage.database
    async with asyncio.timeout(20):
        await database.execute("SELECT pg_stat_force_next_flush()")
        await asyncio.gather(*(database.execute("SELECT pg_stat_force_next_flush()") for _ in range(8)))
    rows = await database.fetch(
        "SELECT relname, seq_scan FROM pg_stat_user_tables"
        " WHERE relname IN ('tasks', 'task_updates', 'task_bodies', 'task_hops')"
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
    for owner in (OwnedBy("busy"), EVERY_OWNER):
        assert len(await running.list(TaskFilter(owner=owner, status=TaskStatus.FAILED))) == 8
        assert await running.list(TaskFilter(owner=owner, status=TaskStatus.CANCELED)) == []
    for flow, found in (("rare", 10), ("none", 0)):
        assert len(await running.list(TaskFilter(owner=OwnedBy("busy"), flow=flow))) == found
    assert len(await running.list(TaskFilter(owner=OwnedBy("busy"), flow="rare", status=TaskStatus.FAILED))) == 2
    assert len(await running.list(TaskFilter(owner=OwnedBy("busy"), context_id="talk"))) == 5
    talk = TaskFilter(owner=OwnedBy("busy"), context_id="talk", status=TaskStatus.FAILED)
    assert len(await running.list(talk)) == 1
    assert len(await running.list(TaskFilter(owner=OwnedBy("busy"), flow="shout", limit=50))) == 50
    assert len(await running.list(TaskFilter(owner=OwnedBy("busy"), limit=50))) == 50
    assert await seq_scans(running) == scans
    assert await rows_read(running) - read < 500


async def rows_read(running: Running) -> int:
    """Rows of tasks that index scans have fetched so far; to be asked after `seq_scans`, which sees to the counts."""
    statement = "SELECT idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'tasks'"
    found: int = await running.storage.database.fetchval(statement)
    return found
