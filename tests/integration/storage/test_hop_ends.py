"""A hop's end is one transaction: all that follows from it, or nothing."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from asya_crds.envelope import Route
from asya_crds.hop_reports import BeginAction, EndOutcome, Yours
from asya_crds.status import HopState, TaskStatus
from asya_gateway.domain.hop_reports import Ack, HopEnded, HopLog, Send
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import ChildAnnouncement, Claim, PauseReport
from asya_gateway.storage.tasks import hops
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE, into_queue
from asya_gateway.storage.tasks.hops import HopWriter
from tests.support.hops import LOG, ME, OTHER, begin, claim_of, declare, delivered, end, log_of, queues, send, taken
from tests.support.storage import ROUTE, Running, canceled, failed, make_storage, progress, succeeded
from tests.support.waiting import until

ENDED, REFUSED = HopEnded(EndOutcome.ENDED), HopEnded(EndOutcome.REFUSED)
CLAIM = Claim("0", 1, ME)


def yours(reason: Yours) -> HopEnded:
    return HopEnded(EndOutcome.YOURS, reason)


@pytest.fixture
async def embedded(embedded: Running) -> Running:
    """With queues for the actors of the tests."""
    await declare(embedded, "first", "second", "third", "x-sink", "x-sump")
    return embedded


@dataclass
class State:
    """All that an end may change."""

    rows: list[Any]


async def everything(running: Running) -> State:
    tables = ("tasks", "task_updates", "task_hops", "task_bodies", "queue_messages", "outbox")
    found = []
    for table in tables:
        rows = await running.storage.database.fetch(f"SELECT t::text AS row FROM {table} t ORDER BY t::text")
        found.append([row["row"] for row in rows])
    return State(found)


async def test_log_claim_next_message_and_acknowledgement_are_committed_together(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    embedded.handed.clear()
    assert await embedded.tasks.end(end(task_id, ack=ack)) == ENDED
    assert await queues(embedded) == [("second", task_id)]
    assert await claim_of(embedded, task_id) == (ME, 1, "completed")
    assert await embedded.kinds(task_id) == ["created", "progress", "progress", "progress"]
    assert [entry.actor for entry in embedded.handed] == ["second"]
    task = await embedded.tasks.get(task_id, owner=EVERY_OWNER)
    assert (task.status, task.message) == (TaskStatus.RUNNING, "Completed processing in 3ms")
    assert task.progress == pytest.approx(100 / 3)


async def test_its_log_is_that_of_single_reports(embedded: Running) -> None:
    together, ack = await delivered(embedded)
    singly, _ = await delivered(embedded)
    for task_id in (together, singly):
        await embedded.tasks.begin(begin(task_id))
    await embedded.tasks.end(end(together, ack=ack))
    completed = progress(singly, HopState.COMPLETED, claim=CLAIM, message=LOG.message, duration_ms=LOG.duration_ms)
    await embedded.tasks.report(completed)
    assert await log_of(embedded, together) == await log_of(embedded, singly)


async def test_with_an_outbox_the_envelopes_are_handed_to_the_dispatcher(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.begin(begin(task_id))
    running.handed.clear()
    sends = (send(task_id, "third"), send("child", "second", parent=task_id), send(task_id, "x-sump"))
    assert await running.tasks.end(end(task_id, *sends)) == ENDED
    assert [(entry.task_id, entry.actor, entry.body.decode()) for entry in running.handed] == [
        (each.task_id, each.actor, each.body) for each in sends
    ]
    rows = await running.storage.database.fetch(
        "SELECT id, actor, body, extract(epoch FROM not_before - created_at)::float8 AS lease, sump,"
        " extract(epoch FROM unroutable_at - created_at)::float8 AS unroutable FROM outbox ORDER BY id OFFSET 1"
    )
    assert [row["id"] for row in rows] == [entry.id for entry in running.handed]
    assert [(row["actor"], row["body"]) for row in rows] == [(each.actor, each.body) for each in sends]
    assert [(row["lease"], row["unroutable"], row["sump"]) for row in rows] == [
        (OUTBOX_LEASE, 30, "x-sump"),
        (OUTBOX_LEASE, 30, "x-sump"),
        (OUTBOX_LEASE, None, "x-sump"),
    ]


async def test_children_are_born_with_their_envelopes(embedded: Running) -> None:
    task_id, ack = await delivered(embedded, owner="alice")
    announced, _ = await delivered(embedded, owner="alice")
    await embedded.tasks.begin(begin(task_id))
    children = [f"{task_id}-{number}" for number in range(3)]
    sends = (send(task_id), *(send(child, "third", parent=task_id) for child in children))
    assert await embedded.tasks.end(end(task_id, *sends, ack=ack)) == ENDED
    assert [each for each in await queues(embedded) if each[0] != "first"] == [
        ("second", task_id),
        *(("third", child) for child in children),
    ]
    single = ChildAnnouncement("single", announced, Route(("first",), "third"), ends_itself=True)
    await embedded.tasks.announce(single)
    for child in children:
        assert await row_of(embedded, child) == await row_of(embedded, "single")
        assert await embedded.kinds(child) == ["created"]
        update = await embedded.tasks.update(child, 1)
        assert (update.entry.message, update.entry.parent_id) == ("Task created", task_id)


async def row_of(running: Running, task_id: str) -> dict[str, Any]:
    """The columns of a child that do not name or date it."""
    row = await running.storage.database.fetchrow("SELECT * FROM tasks WHERE id = $1", task_id)
    assert row is not None
    return {
        name: str(value)
        for name, value in row.items()
        if name not in ("id", "parent_id", "created_at", "updated_at", "deadline_at")
    } | {"limited": row["deadline_at"] is not None}


async def test_the_children_of_a_child_have_the_root_as_their_parent(embedded: Running) -> None:
    root, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(root))
    await embedded.tasks.end(end(root, send("a-child", "second", parent=root), ack=ack))
    await embedded.tasks.begin(begin("a-child", route=Route(("first",), "second")))
    route = Route(("first",), "second", ("third",))
    report = end(
        "a-child", send("a-grandchild", "third", parent=root), route=route, ack=await taken(embedded, "second")
    )
    assert await embedded.tasks.end(report) == ENDED
    parent = "SELECT parent_id FROM tasks WHERE id = $1"
    assert await embedded.storage.database.fetchval(parent, "a-grandchild") == root


async def test_a_child_of_a_parent_that_has_ended_is_born_canceled(embedded: Running) -> None:
    root, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(root))
    await embedded.tasks.end(end(root, send("a-child", "second", parent=root), ack=ack))
    await embedded.tasks.finish(succeeded(root))
    await embedded.tasks.begin(begin("a-child", route=Route(("first",), "second")))
    report = end(
        "a-child",
        send("late", "third", parent=root),
        route=Route(("first",), "second", ("third",)),
        ack=await taken(embedded, "second"),
    )
    assert await embedded.tasks.end(report) == ENDED
    assert await embedded.kinds("late") == ["final"]
    late = await embedded.tasks.get("late", owner=EVERY_OWNER)
    assert (late.status, late.message) == (TaskStatus.CANCELED, "Announced after its parent had ended")


async def test_a_child_of_a_parent_below_a_task_that_has_ended_is_born_canceled(still_embedded: Running) -> None:
    """However long it takes until the parent has its own end."""
    await declare(still_embedded, "first", "second", "third")
    root, parent = await still_embedded.create(), await still_embedded.create()
    await still_embedded.storage.database.execute("UPDATE tasks SET parent_id = $2 WHERE id = $1", parent, root)
    task_id, ack = await delivered(still_embedded)
    await still_embedded.tasks.begin(begin(task_id))
    await still_embedded.tasks.finish(canceled(root))
    report = end(task_id, send(task_id), send("late", "third", parent=parent), ack=ack)
    assert await still_embedded.tasks.end(report) == ENDED
    late = await still_embedded.tasks.get("late", owner=EVERY_OWNER)
    assert (late.status, late.message) == (TaskStatus.CANCELED, "Announced after its parent had ended")


async def test_a_child_of_an_unknown_parent_is_sent_without_a_task(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    assert await embedded.tasks.end(end(task_id, send("stray", "third", parent="nobody"), ack=ack)) == ENDED
    assert await queues(embedded) == [("third", "stray")]
    assert await embedded.tasks.head("stray", owner=EVERY_OWNER) is None


async def test_a_failed_hop_ends_without_an_entry(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    before = await log_of(embedded, task_id)
    assert await embedded.tasks.end(end(task_id, send(task_id, "x-sump"), log=None, ack=ack)) == ENDED
    assert await log_of(embedded, task_id) == before
    assert await queues(embedded) == [("x-sump", task_id)]
    assert await claim_of(embedded, task_id) == (ME, 1, "completed")


async def test_a_waiting_task_may_end_its_hop(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    pause = Pause("p1", "?", {"type": "object"}, [])
    await embedded.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 10.0, "{}"))
    before = await log_of(embedded, task_id)
    assert await embedded.tasks.end(end(task_id, ack=ack)) == ENDED
    assert await log_of(embedded, task_id) == before
    assert await claim_of(embedded, task_id) == (ME, 1, "completed")


@pytest.mark.parametrize("why", ["never begun", "another's", "done by another", "succeeded", "failed", "above"])
async def test_a_refused_end_changes_and_acknowledges_nothing(still_embedded: Running, why: str) -> None:
    """No loop runs, because a sweep would end the task below a canceled one."""
    embedded = still_embedded
    await declare(embedded, "first", "second")
    task_id, ack = await delivered(embedded)
    if why != "never begun":
        await embedded.tasks.begin(begin(task_id, OTHER if "other" in why else ME))
    match why:
        case "done by another":
            await embedded.tasks.report(progress(task_id, HopState.COMPLETED, claim=Claim("0", 1, OTHER)))
        case "succeeded":
            await embedded.tasks.finish(succeeded(task_id))
        case "failed":
            await embedded.tasks.finish(failed(task_id))
        case "above":
            top = await embedded.create()
            await embedded.storage.database.execute("UPDATE tasks SET parent_id = $1 WHERE id = $2", top, task_id)
            await embedded.storage.database.execute("UPDATE tasks SET status = 'canceled' WHERE id = $1", top)
        case _:
            pass
    before = await everything(embedded)
    assert await embedded.tasks.end(end(task_id, send("c", "second", parent=task_id), ack=ack)) == REFUSED
    assert await everything(embedded) == before


async def test_an_unknown_task_an_undeclared_queue_and_a_wrong_receipt_are_the_workers_and_nothing_changes(
    embedded: Running,
) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    before = await everything(embedded)
    undeclared = end(task_id, send(task_id), send("c", "nowhere", parent=task_id), ack=ack)
    assert await embedded.tasks.end(end("nobody", ack=ack)) == yours(Yours.UNKNOWN)
    assert await embedded.tasks.end(undeclared) == yours(Yours.UNDECLARED)
    for wrong in (None, Ack(ack.message, str(uuid4())), Ack(2**63 - 1, ack.receipt)):
        assert await embedded.tasks.end(end(task_id, ack=wrong)) == yours(Yours.RECEIPT)
    assert await everything(embedded) == before
    assert await embedded.tasks.end(end(task_id, ack=ack)) == ENDED


async def test_a_message_whose_lease_lapsed_and_that_another_took_is_not_acknowledged(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    await embedded.storage.database.execute("UPDATE queue_messages SET ready_at = now() - interval '1 s'")
    again = await taken(embedded, "first")
    assert await embedded.tasks.end(end(task_id, ack=ack)) == yours(Yours.RECEIPT)
    assert len(await queues(embedded)) == 1
    assert await embedded.tasks.end(end(task_id, ack=again)) == ENDED


async def test_the_same_end_again_is_answered_as_the_first_and_changes_nothing(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    report = end(task_id, send(task_id), send("c", "third", parent=task_id), ack=ack)
    assert await embedded.tasks.end(report) == ENDED
    before = await everything(embedded)
    embedded.handed.clear()
    assert await embedded.tasks.end(report) == ENDED
    assert await everything(embedded) == before
    # The first process may have died before it rang.
    assert {entry.actor for entry in embedded.handed} == {"second", "third"}


async def test_the_same_end_again_is_told_to_readers_and_waits_for_the_standbys_of_the_first(
    embedded: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of the first may have died before it told anybody, or while it waited for a standby."""
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    told: list[str] = []
    database = embedded.storage.database

    def nobody(_: object) -> None:
        pass

    async def standbys(_: object) -> None:
        told.append("standbys")

    monkeypatch.setattr(hops, "settled", standbys)
    into = into_queue("default", nobody)
    writer = HopWriter(lambda: database.pool, told.extend, told.extend, nobody, lambda *_: None, into, lease=15.0)
    report = end(task_id, ack=ack)
    for expected in ([task_id], ["standbys", task_id]):
        told.clear()
        assert await writer.flush([report]) == [ENDED]
        assert told == expected


async def test_an_end_removes_the_frames_that_a_single_report_stored(embedded: Running) -> None:
    """Whoever got the message again would send them again."""
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    await embedded.tasks.report(progress(task_id, HopState.PROCESSED, claim=CLAIM, frames='[{"id":"x"}]'))
    assert await embedded.tasks.end(end(task_id, ack=ack)) == ENDED
    begun = await embedded.tasks.begin(begin(task_id, OTHER))
    assert (begun.action, begun.frames) == (BeginAction.DONE, None)


@pytest.mark.parametrize("much", ["bytes", "children"])
async def test_ends_of_many_bytes_or_children_are_written_each_by_itself(embedded: Running, much: str) -> None:
    ids, ends = [], []
    for task_id, ack in [await delivered(embedded) for _ in range(2)]:
        await embedded.tasks.begin(begin(task_id))
        large = [Send("second", task_id, f'{{"id":"{task_id}","payload":"{"x" * 2_500_000}"}}')]
        children = [send(f"{task_id}-{number}", "third", parent=task_id) for number in range(100)]
        ids.append(task_id)
        ends.append(end(task_id, *(large if much == "bytes" else children), ack=ack))
    assert await asyncio.gather(*(embedded.tasks.end(report) for report in ends)) == [ENDED, ENDED]
    transactions = "SELECT DISTINCT xmin::text FROM tasks WHERE id = ANY ($1)"
    assert len(await embedded.storage.database.fetch(transactions, ids)) == 2


async def test_an_end_again_while_the_first_is_being_committed_is_answered_as_the_first(
    embedded: Running, database_url: str
) -> None:
    """The statement of the second began before the first was committed, so only the row that it locks is new to it."""
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    report = end(task_id, ack=ack)
    database = embedded.storage.database

    def nobody(_: object) -> None:
        pass

    into = into_queue("default", nobody)
    writer = HopWriter(lambda: database.pool, nobody, nobody, nobody, lambda *_: None, into, lease=15.0)
    first = await asyncpg.connect(database_url)
    transaction = first.transaction()
    await transaction.start()
    try:
        await writer.write(first, [report])
        second = asyncio.ensure_future(embedded.tasks.end(report))
        await waiting_for_a_lock(embedded)
        await transaction.commit()
        assert await second == ENDED
    finally:
        await first.close()
    assert await queues(embedded) == [("second", task_id)]
    assert await embedded.seqs(task_id) == [1, 2, 3, 4]


async def waiting_for_a_lock(running: Running) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    await until(lambda: running.storage.database.fetchval(waiting), what="a statement that waits for a lock")


async def test_in_a_batch_each_report_is_answered_by_itself(embedded: Running) -> None:
    both = [await delivered(embedded) for _ in range(5)]
    for number, (task_id, _) in enumerate(both):
        await embedded.tasks.begin(begin(task_id, OTHER if number == 1 else ME))
    reports = [
        end(task_id, send(task_id, "nowhere" if n == 2 else "second"), ack=ack) for n, (task_id, ack) in enumerate(both)
    ]
    reports[3] = reports[3]._replace(ack=None)
    answers = await asyncio.gather(*(embedded.tasks.end(each) for each in (*reports, end("nobody"))))
    assert answers == [
        ENDED,
        REFUSED,
        yours(Yours.UNDECLARED),
        yours(Yours.RECEIPT),
        ENDED,
        yours(Yours.UNKNOWN),
    ]
    ended = [both[0][0], both[4][0]]
    assert [each for each in await queues(embedded) if each[0] == "second"] == [("second", each) for each in ended]
    for task_id, _ in both:
        assert await embedded.seqs(task_id) == ([1, 2, 3, 4] if task_id in ended else [1, 2, 3])


async def test_a_cancel_beside_an_end_leaves_one_end_and_no_gap(embedded: Running) -> None:
    for _ in range(5):
        task_id, ack = await delivered(embedded)
        await embedded.tasks.begin(begin(task_id))
        report = end(task_id, send(f"{task_id}-c", "third", parent=task_id), ack=ack)
        outcomes = await asyncio.gather(embedded.tasks.end(report), embedded.tasks.finish(canceled(task_id)))
        assert outcomes[0] in (ENDED, REFUSED)
        seqs = await embedded.seqs(task_id)
        assert seqs == list(range(1, len(seqs) + 1))
        assert (await embedded.kinds(task_id))[-1] == "final"


async def test_text_that_storage_cannot_hold_is_replaced_in_the_row_and_kept_in_the_log(embedded: Running) -> None:
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id))
    log = HopLog("a\0b\x1f\x1e\ud83d")
    assert await embedded.tasks.end(end(task_id, log=log, ack=ack)) == ENDED
    task = await embedded.tasks.get(task_id, owner=EVERY_OWNER)
    assert task.message == "a\ufffdb\x1f\x1e\ufffd"
    update = await embedded.tasks.update(task_id, 4)
    assert update.entry.message == "a\0b\x1f\x1e\ud83d"


async def test_an_end_of_many_children_is_written_whole(embedded: Running) -> None:
    """More rows than a batch may have: written alone."""
    task_id, ack = await delivered(embedded)
    other, other_ack = await delivered(embedded)
    for each in (task_id, other):
        await embedded.tasks.begin(begin(each))
    report = end(task_id, *(send(f"{task_id}-{n}", "third", parent=task_id) for n in range(1000)), ack=ack)
    assert report.rows == 2001
    both = [embedded.tasks.end(each) for each in (report, end(other, ack=other_ack))]
    assert await asyncio.gather(*both) == [ENDED, ENDED]
    count = "SELECT count(*) FROM tasks WHERE parent_id = $1"
    assert await embedded.storage.database.fetchval(count, task_id) == 1000
    assert len(await queues(embedded)) == 1001


async def test_two_gateways_take_the_same_end_once(embedded: Running, database_url: str) -> None:
    other = make_storage(database_url, namespace="default")
    await other.storage.start()
    try:
        for _ in range(5):
            task_id, ack = await delivered(embedded)
            await embedded.tasks.begin(begin(task_id))
            report = end(task_id, send(f"{task_id}-c", "third", parent=task_id), ack=ack)
            both = [gateway.tasks.end(report) for gateway in (embedded, other)]
            assert await asyncio.gather(*both) == [ENDED, ENDED]
            assert await embedded.seqs(task_id) == [1, 2, 3, 4]
        assert len(await queues(embedded)) == 5
    finally:
        await other.storage.stop()


async def test_a_repeated_end_in_the_batch_of_another_gives_no_envelope_its_body(running: Running) -> None:
    """Two tasks announce the same child: forged, for our workers make ids that are never the same."""
    first, second = await running.create(), await running.create()
    for task_id in (first, second):
        await running.tasks.begin(begin(task_id))
    child = {task_id: send("kid", "third", parent=task_id) for task_id in (first, second)}
    sends = {task_id: child[task_id]._replace(body=f'{{"from":"{task_id}"}}') for task_id in (first, second)}
    assert await running.tasks.end(end(first, sends[first])) == ENDED
    running.handed.clear()
    both = await asyncio.gather(*(running.tasks.end(end(task_id, sends[task_id])) for task_id in (first, second)))
    assert both == [ENDED, ENDED]
    assert [entry.body.decode() for entry in running.handed] == [sends[second].body]
