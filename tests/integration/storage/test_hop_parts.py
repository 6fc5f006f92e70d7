"""An end whose envelopes exceed one report: its parts are kept, and handed on with it or not at all."""

import asyncio

import pytest

from asya_crds.hop_reports import EndOutcome, Yours
from asya_gateway.domain.hop_reports import HopEnded, PartReport, Send
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.reports import Claim
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE, into_queue
from asya_gateway.storage.tasks.hops import HopWriter
from tests.support.hops import ME, OTHER, begin, claim_of, declare, delivered, end, queues, send
from tests.support.storage import Running, canceled

KEPT, ENDED = HopEnded(EndOutcome.KEPT), HopEnded(EndOutcome.ENDED)
REFUSED = HopEnded(EndOutcome.REFUSED)


@pytest.fixture
async def embedded(embedded: Running) -> Running:
    await declare(embedded, "first", "second", "third")
    return embedded


def part(task_id: str, number: int, *sends: Send, claimant: str = ME) -> PartReport:
    return PartReport(task_id, Claim("0", 1, claimant), number, sends)


async def kept(running: Running) -> int:
    found: int = await running.storage.database.fetchval("SELECT count(*) FROM hop_parts")
    return found


async def test_nothing_is_handed_on_before_the_end_and_everything_with_it(embedded: Running) -> None:
    task_id, ack = await delivered(embedded, owner="alice")
    await embedded.tasks.begin(begin(task_id))
    children = [f"{task_id}-{number}" for number in range(6)]
    for number in range(3):
        pair = (send(child, "third", parent=task_id) for child in children[2 * number :][:2])
        assert await embedded.tasks.keep_part(part(task_id, number, *pair)) == KEPT
    assert await queues(embedded) == [("first", task_id)]
    assert await embedded.storage.database.fetchval("SELECT count(*) FROM tasks") == 1
    embedded.handed.clear()
    assert await embedded.tasks.end(end(task_id, parts=3, ack=ack)) == ENDED
    assert await queues(embedded) == [*(("third", child) for child in children), ("second", task_id)]
    rows = await embedded.storage.database.fetch("SELECT parent_id, owner, hop FROM tasks WHERE id <> $1", task_id)
    assert [tuple(row.values()) for row in rows] == [(task_id, "alice", 1)] * 6
    assert {entry.actor for entry in embedded.handed} == {"second", "third"}
    assert await kept(embedded) == 0
    for child in children:
        assert await embedded.kinds(child) == ["created"]


async def test_a_repeated_part_is_kept_once_and_a_repeated_end_is_ended(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    report = part(task_id, 0, send("a-child", "third", parent=task_id))
    assert [await embedded.tasks.keep_part(report) for _ in range(2)] == [KEPT, KEPT]
    assert await kept(embedded) == 1
    ends = end(task_id, parts=1, ack=ack)
    assert [await embedded.tasks.end(ends) for _ in range(2)] == [ENDED, ENDED]
    assert await queues(embedded) == [("third", "a-child"), ("second", task_id)]


async def test_an_end_without_all_its_parts_is_the_workers_and_changes_nothing(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    await embedded.tasks.keep_part(part(task_id, 0, send("a-child", "third", parent=task_id)))
    assert await embedded.tasks.end(end(task_id, parts=2, ack=ack)) == HopEnded(EndOutcome.YOURS, Yours.PARTS)
    assert await queues(embedded) == [("first", task_id)]
    assert await claim_of(embedded, task_id) == (ME, 1, "claimed")
    assert await embedded.tasks.head("a-child", owner=EVERY_OWNER) is None


async def test_a_part_is_kept_for_the_holder_of_the_claim_alone_and_renews_it(embedded: Running) -> None:
    task_id, _ = await delivered(embedded)
    one = (send("a-child", "third", parent=task_id),)
    assert await embedded.tasks.keep_part(part("nobody", 0, *one)) == HopEnded(EndOutcome.YOURS, Yours.UNKNOWN)
    assert await embedded.tasks.keep_part(part(task_id, 0, *one)) == REFUSED
    await embedded.tasks.begin(begin(task_id))
    assert await embedded.tasks.keep_part(part(task_id, 0, *one, claimant=OTHER)) == REFUSED
    undeclared = part(task_id, 0, *one, send("b", "nowhere"))
    assert await embedded.tasks.keep_part(undeclared) == HopEnded(EndOutcome.YOURS, Yours.UNDECLARED)
    assert await kept(embedded) == 0
    await embedded.storage.database.execute("UPDATE task_hops SET lease_until = now() + interval '1 s'")
    assert await embedded.tasks.keep_part(part(task_id, 0, *one)) == KEPT
    left = "SELECT extract(epoch FROM lease_until - now())::float8 FROM task_hops"
    assert 13 < await embedded.storage.database.fetchval(left) <= 15
    await embedded.tasks.finish(canceled(task_id))
    assert await embedded.tasks.keep_part(part(task_id, 1, *one)) == REFUSED


async def test_no_part_is_kept_below_a_task_that_has_ended(still_embedded: Running) -> None:
    """However long it takes until each of its descendants has its own end."""
    await declare(still_embedded, "first", "third")
    root, (task_id, _) = await still_embedded.create(), await delivered(still_embedded)
    await still_embedded.tasks.begin(begin(task_id))
    await still_embedded.storage.database.execute("UPDATE tasks SET parent_id = $2 WHERE id = $1", task_id, root)
    parts = [part(task_id, number, send(f"c{number}", "third", parent=task_id)) for number in range(2)]
    assert await still_embedded.tasks.keep_part(parts[0]) == KEPT
    await still_embedded.tasks.finish(canceled(root))
    assert await still_embedded.tasks.keep_part(parts[1]) == REFUSED
    assert await kept(still_embedded) == 1


async def test_the_parts_of_a_worker_that_died_are_replaced_by_those_of_the_next(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id, OTHER))
    await embedded.tasks.keep_part(part(task_id, 0, send("old", "third", parent=task_id), claimant=OTHER))
    await embedded.storage.database.execute("UPDATE task_hops SET lease_until = now() - interval '1 s'")
    await embedded.tasks.begin(begin(task_id))
    await embedded.tasks.keep_part(part(task_id, 0, send("new", "third", parent=task_id)))
    assert await kept(embedded) == 1
    assert await embedded.tasks.end(end(task_id, parts=1, ack=ack)) == ENDED
    assert await queues(embedded) == [("third", "new"), ("second", task_id)]


@pytest.mark.parametrize("fate", ["held", "taken over", "ended by another", "canceled"])
async def test_the_parts_of_a_worker_that_died_are_removed_as_soon_as_nobody_can_use_them(
    embedded: Running, fate: str
) -> None:
    """Also where the next worker sends none, as after a failure. A task may be open for long, and they may be large."""
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id, OTHER))
    await embedded.tasks.keep_part(part(task_id, 0, send("old", "third", parent=task_id), claimant=OTHER))
    if fate == "canceled":
        await embedded.tasks.finish(canceled(task_id))
    elif fate != "held":
        await embedded.storage.database.execute("UPDATE task_hops SET lease_until = now() - interval '1 s'")
        await embedded.tasks.begin(begin(task_id))
    if fate == "ended by another":
        assert await embedded.tasks.end(end(task_id, ack=ack)) == ENDED
    await embedded.storage.retention.retire()
    assert await kept(embedded) == (fate == "held")


async def test_with_an_outbox_parts_are_due_at_once_and_the_rest_is_handed_over(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.begin(begin(task_id))
    await running.tasks.keep_part(part(task_id, 0, send("a-child", "third", parent=task_id)))
    running.handed.clear()
    assert await running.tasks.end(end(task_id, parts=1)) == ENDED
    rows = await running.storage.database.fetch(
        "SELECT task_id, actor, extract(epoch FROM not_before - created_at)::float8 AS lease, sump"
        " FROM outbox ORDER BY id OFFSET 1"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("a-child", "third", 0, "x-sump"),
        (task_id, "second", OUTBOX_LEASE, "x-sump"),
    ]
    assert [(entry.task_id, entry.actor) for entry in running.handed] == [(task_id, "second")]


async def test_ends_with_parts_are_written_each_by_itself(embedded: Running) -> None:
    """Together, those of some workers would take longer than a statement may, and be given up again and again."""
    both = [await delivered(embedded) for _ in range(2)]
    for task_id, _ in both:
        await embedded.tasks.begin(begin(task_id))
        await embedded.tasks.keep_part(part(task_id, 0, send(f"{task_id}-child", "third", parent=task_id)))
    ends = (embedded.tasks.end(end(task_id, parts=1, ack=ack)) for task_id, ack in both)
    assert [*await asyncio.gather(*ends)] == [ENDED, ENDED]
    transactions = "SELECT DISTINCT xmin::text FROM tasks WHERE id = ANY ($1)"
    ids = [task_id for task_id, _ in both]
    assert len(await embedded.storage.database.fetch(transactions, ids)) == 2


async def test_beside_an_end_with_parts_one_without_may_be_written_in_the_same_statement(embedded: Running) -> None:
    both = [await delivered(embedded) for _ in range(2)]
    for task_id, _ in both:
        await embedded.tasks.begin(begin(task_id))
    (large, ack), (small, other) = both
    await embedded.tasks.keep_part(part(large, 0, send("a-child", "third", parent=large)))

    def nobody(_: object) -> None:
        pass

    into, database = into_queue("default", nobody), embedded.storage.database
    writer = HopWriter(lambda: database.pool, nobody, nobody, nobody, lambda *_: None, into, lease=15.0)
    assert await writer.flush([end(large, parts=1, ack=ack), end(small, ack=other)]) == [ENDED, ENDED]
    assert sorted(await queues(embedded)) == sorted([("third", "a-child"), ("second", large), ("second", small)])
