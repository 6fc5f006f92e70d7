"""The end of a task ends all its descendants: for workers at once, in the rows chunk by chunk."""

import asyncio
import json
from typing import Any

import pytest

from asya_crds import jsontext
from asya_crds.status import ClaimAction, ErrorClass, HopState, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.reports import ChildAnnouncement, Claim, FinalOutcome, FinalReport
from asya_gateway.storage.database import SESSION
from asya_gateway.storage.tasks import descendants, finishing, sweeping
from tests.support.blocks import counted_blocks
from tests.support.storage import ROUTE, Running, failed, make_storage, progress, succeeded
from tests.support.waiting import until

WAIT = 20.0

CHILDREN = """
INSERT INTO tasks (id, parent_id, owner, flow, surface, status, route, deadline_at, created_at, updated_at)
SELECT $1 || '-' || n, $1, '', 'shout', 'rest', 'running', '{"prev":[],"curr":"a","next":[]}',
       now() + interval '1 day', now(), now()
FROM generate_series(1, $2) n
"""


def cancel(task_id: str, reason: str = "enough") -> FinalReport:
    return FinalReport(
        task_id,
        TaskStatus.CANCELED,
        reason,
        error=TaskError("canceled", reason, ErrorClass.CANCELED),
        owner=EVERY_OWNER,
    )


async def tree(running: Running, *levels: str, ends_itself: bool = True) -> str:
    """A root, and below it a line of descendants, each the child of the one before."""
    root = parent = await running.create()
    for name in levels:
        await running.tasks.announce(ChildAnnouncement(name, parent, ROUTE, ends_itself))
        parent = name
    return root


async def until_all_ended(running: Running) -> None:
    query = "SELECT count(*) = 0 FROM tasks WHERE finished_at IS NULL"
    await until(lambda: running.storage.database.fetchval(query), WAIT, "the end of every task")


class TestFromTheRootsEndOn:
    async def test_no_descendant_begins_a_hop(self, still: Running) -> None:
        root = await tree(still, "child", "grandchild")
        await still.tasks.finish(cancel(root))
        for name in ("child", "grandchild"):
            answer = await still.tasks.report(progress(name, claim=Claim("0", 1, "one")))
            assert (answer.action, answer.frames) == (ClaimAction.DONE, None)
            assert await still.kinds(name) == ["created"]
        assert await still.storage.database.fetchval("SELECT count(*) FROM task_hops") == 0

    async def test_a_hop_that_is_under_way_hears_that_it_is_done(self, still: Running) -> None:
        root = await tree(still, "child", "grandchild")
        claim = Claim("0", 1, "one")
        assert (await still.tasks.report(progress("grandchild", claim=claim))).action is ClaimAction.GO
        await still.tasks.finish(cancel(root))
        answer = await still.tasks.report(progress("grandchild", HopState.PROCESSING, claim=claim))
        assert answer.action is ClaimAction.DONE

    async def test_no_descendant_is_active(self, still: Running) -> None:
        root = await tree(still, "child", "grandchild")
        assert await still.tasks.active("grandchild")
        await still.tasks.finish(cancel(root))
        assert [await still.tasks.active(name) for name in (root, "child", "grandchild")] == [False] * 3
        assert [await still.tasks.ends_with_ancestor(name) for name in (root, "child", "grandchild")] == [
            False,
            True,
            True,
        ]

    async def test_nothing_is_announced_as_open(self, still: Running) -> None:
        root = await tree(still, "child", "grandchild")
        await still.tasks.finish(cancel(root))
        await still.tasks.announce(ChildAnnouncement("late", "grandchild", ROUTE, ends_itself=True))
        late = await still.tasks.get("late", owner=EVERY_OWNER)
        assert (late.status, await still.kinds("late")) == (TaskStatus.CANCELED, ["final"])

    @pytest.mark.parametrize("ends_itself", [True, False], ids=["ours", "foreign"])
    async def test_a_success_delays_no_others(self, still: Running, ends_itself: bool) -> None:
        root = await tree(still, "child", "grandchild", ends_itself=ends_itself)
        await still.tasks.finish(succeeded(root))
        assert await still.tasks.active("child")
        assert await still.tasks.active("grandchild")
        assert (await still.tasks.report(progress("child", claim=Claim("0", 1, "one")))).action is ClaimAction.GO
        await still.tasks.announce(ChildAnnouncement("late", "child", ROUTE, ends_itself))
        assert (await still.tasks.get("late", owner=EVERY_OWNER)).status is TaskStatus.PENDING

    async def test_a_descendants_own_report_ends_it_as_the_root_ended(self, still: Running) -> None:
        root = await tree(still, "child", "grandchild")
        await still.tasks.finish(failed(root, "no more", error=TaskError("gone", "no more", ErrorClass.RUNTIME)))
        assert await still.tasks.finish(succeeded("grandchild")) is FinalOutcome.ENDED_BEFORE
        found = await still.tasks.get("grandchild", owner=EVERY_OWNER)
        assert (found.status, found.error.code, found.error.error_class) == (TaskStatus.FAILED, "gone", "runtime")
        assert found.result is None
        assert await still.kinds("grandchild") == ["created", "final"]


@pytest.mark.parametrize("fault", ["away", "frozen"])
async def test_what_cannot_be_ended_with_its_ancestor_changes_no_answer_of_its_batch_and_is_left_to_the_sweep(
    still: Running, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    # As in a process that is not the one that ended the task.
    monkeypatch.setattr(still.storage.cascade, "take", lambda *_: None)
    monkeypatch.setattr(finishing, "WITH_ANCESTORS", 0.1)
    root, other = await tree(still, "child", "grandchild"), await still.create()
    await still.tasks.finish(cancel(root))
    tried: list[object] = []

    async def end_with(*of: object) -> int:
        tried.append(of)
        if fault == "frozen":
            await asyncio.Event().wait()
        raise Unavailable("the database is not available")

    with monkeypatch.context() as broken:
        broken.setattr(still.storage.cascade, "end_with", end_with)
        outcomes = await asyncio.gather(*(still.tasks.finish(succeeded(each)) for each in ("grandchild", other)))
    assert outcomes == [FinalOutcome.ENDED_BEFORE, FinalOutcome.APPLIED]
    assert len(tried) == 1
    await still.storage.sweeper.sweep_orphans()
    assert (await still.tasks.get("grandchild", owner=EVERY_OWNER)).status is TaskStatus.CANCELED


async def test_each_descendant_has_one_end_with_the_roots_class_and_code(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.storage.cascade._chunk, "size", 10)
    root = await tree(running, "a", "b", "c")
    for parent in (root, "a", "c"):
        await running.storage.database.execute(CHILDREN, parent, 35)
    await running.tasks.finish(failed(root, "too late", error=TaskError("slow", "too late", ErrorClass.DEADLINE)))
    await until_all_ended(running)
    rows = await running.storage.database.fetch(
        "SELECT t.id, t.status, u.detail::text AS detail,"
        " (SELECT body::text FROM task_bodies b WHERE b.task_id = t.id AND kind = 'error') AS error"
        " FROM tasks t JOIN task_updates u ON u.task_id = t.id AND u.kind = 'final' WHERE parent_id IS NOT NULL"
    )
    assert len(rows) == 3 + 3 * 35
    for row in rows:
        error = json.loads(row["error"])
        assert (row["status"], error["code"], error["class"]) == ("failed", "slow", "deadline")
        assert json.loads(row["detail"])["error"] == error


async def test_a_small_tree_has_ended_when_its_end_is_answered(running: Running) -> None:
    root = await tree(running, "child")
    await running.tasks.finish(cancel(root))
    assert (await running.tasks.get("child", owner=EVERY_OWNER)).status is TaskStatus.CANCELED


async def test_an_end_reaches_what_is_open_below_a_child_that_had_ended(running: Running) -> None:
    root = await tree(running, "child", "grandchild")
    await running.tasks.finish(succeeded("child"))
    assert (await running.tasks.get("grandchild", owner=EVERY_OWNER)).status is TaskStatus.PENDING
    await running.tasks.finish(cancel(root))
    await until_all_ended(running)
    found = await running.tasks.get("grandchild", owner=EVERY_OWNER)
    assert (found.status, found.error.code) == (TaskStatus.CANCELED, "canceled")
    assert (await running.tasks.get("child", owner=EVERY_OWNER)).status is TaskStatus.SUCCEEDED


async def test_the_callers_words_are_not_copied_to_descendants(running: Running) -> None:
    root = await tree(running)
    await running.storage.database.execute(CHILDREN, root, 200)
    await running.tasks.finish(cancel(root, "x" * 1_000_000))
    await until_all_ended(running)
    written = await running.storage.database.fetchrow(
        "SELECT (SELECT sum(octet_length(detail::text)) FROM task_updates WHERE task_id <> $1),"
        " (SELECT sum(octet_length(body::text)) FROM task_bodies WHERE task_id <> $1 AND kind = 'error'),"
        " (SELECT sum(octet_length(message)) FROM tasks WHERE id <> $1)",
        root,
    )
    assert written is not None
    assert all(200 <= size < 200 * 300 for size in written), written


async def test_an_error_that_postgresql_cannot_look_into_is_passed_on(running: Running) -> None:
    root = await tree(running, "child")
    await running.tasks.finish(failed(root, error=TaskError("c", "nul \0 and \ud800", ErrorClass.RUNTIME)))
    assert (await running.storage.cascade.end_of(root)).code == "c"
    assert (await running.tasks.get("child", owner=EVERY_OWNER)).error.code == "c"


async def test_what_a_process_left_undone_another_one_ends(still: Running, database_url: str) -> None:
    root = await tree(still, "child", "grandchild")
    await still.storage.database.execute(CHILDREN, "grandchild", 30)
    await still.tasks.finish(cancel(root))
    other = make_storage(database_url)
    await other.storage.database.open()
    try:
        assert await other.storage.sweeper.sweep_orphans() == 32
        assert await other.storage.sweeper.sweep_orphans() == 0
        assert (await other.tasks.get("grandchild-7", owner=EVERY_OWNER)).error.code == "canceled"
    finally:
        await other.storage.database.close()


async def test_the_sweep_leaves_a_tree_alone_that_this_process_is_ending(still: Running) -> None:
    root = await tree(still, "child")
    await still.tasks.finish(cancel(root))
    assert still.storage.cascade.at_work_below(root)
    assert await still.storage.sweeper.sweep_orphans() == 0


async def test_the_orphan_sweep_continues_from_its_position(still: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "PARENTS", 2)
    monkeypatch.setattr(sweeping, "PARENTS_A_TURN", 4)
    # As in a process that is not the one that ended the task.
    monkeypatch.setattr(still.storage.cascade, "take", lambda *_: None)
    roots = [await still.create(f"root-{number}") for number in range(9)]
    for root in roots:
        await still.storage.database.execute(CHILDREN, root, 3)
    await still.tasks.finish(cancel(roots[-1]))
    turns = [await still.storage.sweeper.sweep_orphans() for _ in range(3)]
    assert turns == [0, 0, 3]


async def test_no_statement_touches_more_than_a_chunk_of_a_tree(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 50
    still.storage.cascade._chunk.largest = still.storage.cascade._chunk.size = size
    root, other = await tree(still), await tree(still)
    for parent in (root, other):
        await still.storage.database.execute(CHILDREN, parent, 3_000)
    await still.storage.database.execute("ANALYZE tasks")
    with counted_blocks(monkeypatch) as marking:
        assert await still.tasks.finish(cancel(root)) is FinalOutcome.APPLIED
    marking.check(150)
    with counted_blocks(monkeypatch) as ending:
        assert await still.storage.cascade.below(root, descendants.SharedEnd.of(cancel(root))) == 3_000
    ending.check(size * 120)
    await still.storage.database.execute("VACUUM tasks")
    with counted_blocks(monkeypatch) as sweeping_beside:
        assert await still.storage.sweeper.sweep_orphans() == 0
    sweeping_beside.check(100)


async def test_ending_a_descendant_touches_no_more_blocks_in_a_larger_tree(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    still.storage.cascade._chunk.largest = still.storage.cascade._chunk.size = 50
    a_descendant = []
    for number in (500, 8_000):
        root = await tree(still)
        await still.storage.database.execute(CHILDREN, root, number)
        # As children come, one after the other: the planner expects many between two edges in the middle.
        await still.storage.database.execute(
            "UPDATE tasks SET created_at = now() - hashtext(id) % 100000 * interval '1 ms' WHERE parent_id = $1", root
        )
        await still.storage.database.execute("ANALYZE tasks")
        await still.tasks.finish(cancel(root))
        with counted_blocks(monkeypatch) as ending:
            assert await still.storage.cascade.below(root, descendants.SharedEnd.of(cancel(root))) == number
        a_descendant.append(sum(blocks for blocks, _ in ending.statements) / number)
    assert max(a_descendant) < 75
    assert a_descendant[1] < 1.25 * a_descendant[0]


def keep_abreast(monkeypatch: pytest.MonkeyPatch, *both: Running) -> None:
    """Who has ended more than a few chunks more than the other waits for it. Otherwise one may be so far behind on a
    busy machine that it finds everything ended."""
    ended = [0, 0]
    for number, each in enumerate(both):

        async def step(tree: Any, mine: int = number, step: Any = each.storage.cascade._step) -> int:
            await until(lambda: ended[mine] <= ended[1 - mine] + 100 or sum(ended) > 1_900)
            count: int = await step(tree)
            ended[mine] += count
            return count

        monkeypatch.setattr(each.storage.cascade, "_step", step)


class TestSeveralAtOneTree:
    async def test_processes_share_the_work_and_do_none_of_it_twice(
        self, still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = await tree(still, "child")
        for parent in (root, "child"):
            await still.storage.database.execute(CHILDREN, parent, 1_000)
        other = make_storage(database_url)
        await other.storage.database.open()
        end = descendants.SharedEnd.of(cancel(root))
        try:
            for each in (still, other):
                each.storage.cascade._chunk.largest = each.storage.cascade._chunk.size = 20
            keep_abreast(monkeypatch, still, other)
            shares = await asyncio.gather(*(each.storage.cascade.below(root, end) for each in (still, other)))
        finally:
            await other.storage.database.close()
        assert sum(shares) == 2_001
        assert min(shares) > 500
        finals = await still.storage.database.fetch(
            "SELECT count(*) AS all, count(DISTINCT task_id) AS tasks FROM task_updates WHERE kind = 'final'"
        )
        assert tuple(finals[0]) == (2_001, 2_001)

    async def test_a_child_that_is_held_is_waited_for_after_all_others(
        self, still: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = await tree(still)
        await still.storage.database.execute(CHILDREN, root, 40)
        # Longer than a busy machine needs to see that all others have ended.
        monkeypatch.setitem(SESSION, "lock_timeout", "20000")
        patient = make_storage(database_url)
        await patient.storage.database.open()
        patient.storage.cascade._chunk.largest = patient.storage.cascade._chunk.size = 10
        database = still.storage.database
        async with database.connection() as holder:
            holding = holder.transaction()
            await holding.start()
            await holder.execute("UPDATE tasks SET progress = 7 WHERE id = $1", f"{root}-17")
            ending = asyncio.create_task(patient.storage.cascade.below(root, descendants.SharedEnd.of(cancel(root))))
            left = "SELECT count(*) = 1 FROM tasks WHERE parent_id IS NOT NULL AND finished_at IS NULL"
            await until(lambda: database.fetchval(left), WAIT, "the end of those that nobody holds")
            assert not ending.done()
            await holding.commit()
        assert await ending == 40
        await patient.storage.database.close()
        found = await still.tasks.get(f"{root}-17", owner=EVERY_OWNER)
        assert (found.status, found.progress) == (TaskStatus.CANCELED, 7)

    async def test_all_processes_together_end_a_bounded_number_of_chunks_at_a_time(self, still: Running) -> None:
        root = await tree(still)
        await still.storage.database.execute(CHILDREN, root, 10)
        database = still.storage.database
        async with database.connection() as holder:
            holding = holder.transaction()
            await holding.start()
            for number in range(descendants.SLOTS):
                await holder.execute("SELECT pg_advisory_xact_lock($1, $2)", descendants._SLOT_CLASS, number)
            assert (
                await still.storage.cascade._descendants.end_range(
                    descendants.Range(root), descendants.SharedEnd.of(cancel(root)), 10
                )
                is None
            )
            assert await still.storage.database.fetchval("SELECT count(*) FROM tasks WHERE finished_at IS NULL") == 11
            ending = asyncio.create_task(still.storage.cascade.below(root, descendants.SharedEnd.of(cancel(root))))
            await holding.rollback()
        assert await ending == 10


async def test_the_deadline_of_a_tree_ends_all_of_it(running: Running) -> None:
    root = await tree(running, "child", "grandchild")
    await running.storage.database.execute(CHILDREN, root, 2_500)
    await running.storage.database.execute("UPDATE tasks SET deadline_at = now()")
    await until_all_ended(running)
    codes = await running.storage.database.fetch(
        "SELECT DISTINCT body->>'code' AS code, body->>'class' AS class FROM task_bodies WHERE kind = 'error'"
    )
    assert [tuple(row) for row in codes] == [("deadline_exceeded", "deadline")]
    finals = await running.storage.database.fetchval("SELECT count(*) FROM task_updates WHERE kind = 'final'")
    assert finals == 2_503


def test_an_end_is_read_from_a_row_whatever_its_error_says() -> None:
    end = descendants.SharedEnd.stored("failed", jsontext.dumps({"code": "c", "message": "\0", "class": "of tomorrow"}))
    assert end.error().as_dict() == {"code": "c", "message": descendants.MESSAGE, "class": "of tomorrow"}
    assert descendants.SharedEnd.stored("canceled", None).error_class == "canceled"
