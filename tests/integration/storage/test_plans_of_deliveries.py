"""What envelopes and conversations cost beside many others: the blocks that each statement touches, with plans
that were made when the tables were empty, and with those of full ones."""

import uuid
from dataclasses import replace

import pytest

from asya_gateway.domain.conversations import NewConversation
from asya_gateway.domain.destinations import DeliveryCapacity, DeliveryProgress, Destination, Put
from asya_gateway.domain.errors import Conflict
from asya_gateway.domain.ports import OutboxEntry, Refused, Terms
from asya_gateway.storage.a2a.conversations import PostgresConversations
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import PostgresDestinations
from asya_gateway.storage.channels.leases import PostgresDeliveries
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.queues.outbox import PostgresOutbox
from asya_gateway.storage.queues.undeclared import Undeclared
from tests.integration.storage.test_plans_and_schema import ONE_BATCH, ONE_STATEMENT, OUTBOX, QUEUED, deliveries, fill
from tests.support.blocks import counted_blocks
from tests.support.storage import Running, new_task, progress

BATCH = 20
ONE_DELIVERY = 100
"""Blocks of a statement for one destination."""
ROWS = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at)
SELECT 'old-' || n, 'o' || n % 50, 'shout', 'rest', 'running', '{}', 1, now(), now() FROM generate_series(1, 50000) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'old-' || n, 1, 'created', 'pending', 0, '{}', now() FROM generate_series(1, 50000) n;
INSERT INTO a2a_tasks (task_id, owner, dialect, context_id, client_task_id)
SELECT 'old-' || n, 'o' || n % 50, '1.0', 'c-' || n, 'mine-' || n FROM generate_series(1, 50000) n;
INSERT INTO a2a_messages (task_id, number, message) SELECT 'old-' || n, 1, '{}' FROM generate_series(1, 50000) n;
INSERT INTO resource_changes (uri) SELECT 'asya://old/' || n FROM generate_series(1, 50000) n
"""


ENDED_AND_OPEN = """
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, done)
SELECT 'old-' || n, 'a2a', 'x', 'o' || n % 50, 'u', 'h' || n % 20, '{}', 1, n % 25 > 0
FROM generate_series(1, 50000) n
"""
"""Destinations of tasks that have ended, and of some that go on."""


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("one_hot_session")
async def test_statements_of_deliveries_and_clients_touch_few_blocks_beside_many_rows(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await envelopes(still)
    await clients(still)
    await fill(database_url, ROWS + OUTBOX + ";" + QUEUED)
    for analyzed in (False, True):
        if analyzed:
            await fill(database_url, "ANALYZE")
        with counted_blocks(monkeypatch) as batch:
            await envelopes(still)
        batch.check(ONE_BATCH)
        with counted_blocks(monkeypatch) as single:
            await clients(still)
        single.check(ONE_STATEMENT)


async def envelopes(still: Running) -> None:
    """All that happens to envelopes of a queue that is missing for a while."""
    ids = [await still.create() for _ in range(BATCH)]
    database = still.storage.database
    outbox = PostgresOutbox(database, still.tasks.note)
    # The test's own search, whose blocks do not count.
    async with database.connection() as connection, connection.transaction():
        rows = await connection.fetch("SELECT id, task_id FROM outbox WHERE task_id = ANY ($1)", ids)
    entries = [OutboxEntry(row["id"], row["task_id"], "first", b"{}") for row in rows]
    assert len(entries) == BATCH
    await outbox.failed([Refused(entry, "no queue", unroutable=True) for entry in entries])
    await outbox.recover("first")
    await outbox.replace(entries[0], "no queue")
    await outbox.delivered([entry.id for entry in entries])
    await Undeclared(database, "default", still.tasks.note).tell(["a7", "missing"])


async def clients(still: Running) -> None:
    """What one request of a client reads and writes of its conversation and its resources."""
    begun = NewConversation("1.0", "c", "{}", f"mine-{uuid.uuid4()}")
    await still.create(conversation=begun._replace(client_task_id=None))
    new = new_task(owner="o1", conversation=begun)
    task_id = (await still.tasks.admit(new, Terms())).task_id
    with pytest.raises(Conflict):
        await still.tasks.admit(new_task(owner="o1", conversation=begun), Terms())
    conversations = PostgresConversations(still.storage.database.hot)
    assert await conversations.of_task(task_id) is not None
    for name in (task_id, begun.client_task_id or ""):
        named = await conversations.named("o1", name)
        assert named is not None
        assert named.task_id == task_id
    assert await conversations.named("o2", begun.client_task_id or "") is None
    assert await conversations.find_client_task("o1", begun.client_task_id or "") == task_id
    names = [task_id, begun.client_task_id or ""]
    referred = await conversations.referred("o1", [*names, "nobody"])
    assert {each.name for each in referred if each.shown and each.owner == "o1"} == set(names)
    aim = Destination(uuid.uuid4().hex, "a2a", "x", "o1", "https://e.example/", "e.example:443", {})
    assert (await still.tasks.admit(new_task(aim.task_id, owner="o1", destination=aim), Terms())).created_at is not None
    await still.storage.database.hot.execute("UPDATE destinations SET done = true WHERE task_id = $1", aim.task_id)
    number = await conversations.add(task_id, "{}", most=10, most_bytes=1000)
    assert len(await conversations.messages(task_id, 10, most_bytes=10_000_000)) == 2
    await conversations.remove(task_id, number)
    await still.storage.resources.announce(["asya://new/1", "asya://new/2"])


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("one_hot_session")
async def test_a_delivery_looks_at_no_other_open_destination(
    still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deliveries(still, [await still.create()])
    await fill(database_url, ROWS + ";" + ENDED_AND_OPEN + ";ANALYZE")
    announcing = DestinationAnnouncements(still.storage.bell)
    queue = PostgresDeliveries(
        still.storage.database, announcing, channels=["a2a"], per_host=8, per_owner=64, limits=Limits(), longest=10.0
    )
    with counted_blocks(monkeypatch) as blocks:
        for number in range(1, 4):
            task_id = f"old-{number * 1000}"
            await still.tasks.report(progress(task_id))
            [leased] = await queue.lease([task_id], DeliveryCapacity(), 100)
            assert await queue.settle(DeliveryProgress(leased.key, leased.lease, 2, "running", release=True))
    blocks.check(ONE_DELIVERY)
    # A new task's destination is stored with it, beside those of its owner.
    aim = Destination(uuid.uuid4().hex, "a2a", "x", "o1", "https://e.example/", "e.example:443", {})
    with counted_blocks(monkeypatch) as blocks:
        await still.tasks.admit(new_task(aim.task_id, owner="o1", destination=aim), Terms())
        stored = PostgresDestinations(still.storage.database, announcing)
        assert await stored.put(replace(aim, name="y")) is Put.STORED
    blocks.check(ONE_DELIVERY)
