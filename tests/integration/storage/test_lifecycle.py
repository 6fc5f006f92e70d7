"""The rules of a task's life, kept by SQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from asya_crds.envelope import Route
from asya_crds.status import ClaimAction, HopState, TaskStatus
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import CLAIM_LEASE, ChildAnnouncement, Claim, FinalOutcome, FinalReport, PauseReport
from asya_gateway.storage.tasks import retention as keeping
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, failed, make_storage, new_task, progress, succeeded
from tests.support.waiting import lasts, until

SECOND = Route(("first",), "second", ("third",))


async def test_a_created_task_has_its_first_update_its_payload_and_its_envelope(running: Running) -> None:
    task_id = await running.create()
    task = await running.tasks.get(task_id, owner=OwnedBy(""))
    assert (task.status, task.payload, task.last_seq) == (TaskStatus.PENDING, '{"text":"hi"}', 1)
    assert await running.kinds(task_id) == ["created"]
    assert [(entry.task_id, entry.actor) for entry in running.handed] == [(task_id, "first")]


async def test_creating_the_same_id_again_changes_nothing(running: Running) -> None:
    new = new_task()
    await running.tasks.create(new)
    await running.tasks.create(new)
    assert await running.seqs(new.id) == [1]
    assert await running.storage.database.fetchval("SELECT count(*) FROM outbox") == 1


async def test_reports_move_the_task_and_its_log_without_gaps(running: Running) -> None:
    task_id = await running.create()
    for state in (HopState.RECEIVED, HopState.PROCESSING, HopState.COMPLETED):
        await running.tasks.report(progress(task_id, state))
    answer = await running.tasks.report(progress(task_id, HopState.RECEIVED, SECOND))
    assert answer.progress == pytest.approx(110 / 3)
    task = await running.tasks.get(task_id, owner=EVERY_OWNER)
    assert (task.status, task.route, task.actor) == (TaskStatus.RUNNING, SECOND, "second")
    assert await running.seqs(task_id) == [1, 2, 3, 4, 5]


async def test_progress_never_decreases_and_an_older_hop_does_not_replace_the_route(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.report(progress(task_id, HopState.RECEIVED, SECOND))
    answer = await running.tasks.report(progress(task_id, HopState.COMPLETED, ROUTE))
    task = await running.tasks.get(task_id, owner=EVERY_OWNER)
    assert answer.progress == task.progress == pytest.approx(110 / 3)
    assert task.route == SECOND


async def test_a_report_with_a_key_seen_before_counts_once(running: Running) -> None:
    task_id = await running.create()
    report = progress(task_id)
    first = await running.tasks.report(report)
    second = await running.tasks.report(report)
    assert first == second
    assert await running.seqs(task_id) == [1, 2]


async def test_an_unknown_id_is_ignored(running: Running) -> None:
    answer = await running.tasks.report(progress("nobody"))
    assert not answer.known
    assert await running.tasks.finish(succeeded("nobody")) is FinalOutcome.UNKNOWN
    assert await running.storage.database.fetchval("SELECT count(*) FROM task_updates") == 0


async def test_the_first_terminal_status_wins(running: Running) -> None:
    task_id = await running.create()
    outcomes = await asyncio.gather(
        *(running.tasks.finish(report) for report in (succeeded(task_id), failed(task_id), succeeded(task_id)))
    )
    assert sorted(outcomes) == ["applied", "ended_before", "ended_before"]
    assert (await running.kinds(task_id)).count("final") == 1


async def test_nothing_follows_a_terminal_status(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.finish(succeeded(task_id))
    answer = await running.tasks.report(progress(task_id, HopState.COMPLETED))
    task = await running.tasks.get(task_id, owner=EVERY_OWNER)
    assert (answer.status, task.status, task.progress, task.result) == (
        TaskStatus.SUCCEEDED,
        TaskStatus.SUCCEEDED,
        100.0,
        '{"done":true}',
    )
    assert await running.kinds(task_id) == ["created", "final"]


async def test_only_the_owner_may_cancel(running: Running) -> None:
    task_id = await running.create(owner="alice")
    cancel = FinalReport(task_id, TaskStatus.CANCELED, "stop", owner=OwnedBy("mallory"))
    assert await running.tasks.finish(cancel) is FinalOutcome.UNKNOWN
    assert await running.tasks.get(task_id, owner=OwnedBy("mallory")) is None
    assert (await running.tasks.get(task_id, owner=OwnedBy("alice"))).status is TaskStatus.PENDING


async def test_results_keep_what_json_may_carry(running: Running) -> None:
    result = '{"nul":"\\u0000","lone":"\\ud800","big":123456789012345678901234567890}'
    task_id = await running.create()
    await running.tasks.finish(succeeded(task_id, result))
    assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).result == result


async def test_messages_with_nul_or_lone_surrogates_are_kept_readable(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.report(progress(task_id, message="a\0b\ud800c"))
    assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).message == "a�b�c"


class TestClaims:
    """`received` is the claim: go, busy or done."""

    async def test_the_first_delivery_goes_and_a_second_one_is_busy(self, running: Running) -> None:
        task_id = await running.create()
        first = await running.tasks.report(progress(task_id, claim=Claim("0", 1, "one")))
        second = await running.tasks.report(progress(task_id, claim=Claim("0", 1, "two")))
        assert (first.action, second.action) == (ClaimAction.GO, ClaimAction.BUSY)
        assert await running.seqs(task_id) == [1, 2]

    async def test_the_same_delivery_asking_again_goes_again(self, running: Running) -> None:
        task_id = await running.create()
        report = progress(task_id, claim=Claim("0", 1, "one"))
        assert (await running.tasks.report(report)).action is ClaimAction.GO
        assert (await running.tasks.report(report)).action is ClaimAction.GO
        assert await running.seqs(task_id) == [1, 2]

    async def test_a_processed_hop_is_done_with_its_frames_and_a_completed_one_without(self, running: Running) -> None:
        task_id = await running.create()
        claim = Claim("0", 1, "one")
        await running.tasks.report(progress(task_id, claim=claim))
        await running.tasks.report(progress(task_id, HopState.PROCESSED, claim=claim, frames='[{"id":"x"}]'))
        again = await running.tasks.report(progress(task_id, claim=Claim("0", 1, "two")))
        assert (again.action, again.frames) == (ClaimAction.DONE, '[{"id":"x"}]')
        await running.tasks.report(progress(task_id, HopState.COMPLETED, claim=claim))
        last = await running.tasks.report(progress(task_id, claim=Claim("0", 1, "three")))
        assert (last.action, last.frames) == (ClaimAction.DONE, None)

    async def test_a_hop_is_completed_by_whoever_sends_its_stored_frames(self, running: Running) -> None:
        task_id = await running.create()
        one, two, three = (Claim("0", 1, claimant) for claimant in ("one", "two", "three"))
        await running.tasks.report(progress(task_id, claim=one))
        early = await running.tasks.report(progress(task_id, HopState.COMPLETED, claim=two))
        await running.tasks.report(progress(task_id, HopState.PROCESSED, claim=one, frames='[{"id":"x"}]'))
        await running.storage.database.execute("UPDATE task_hops SET lease_until = now() - interval '1 second'")
        again = await running.tasks.report(progress(task_id, claim=two))
        completed = [await running.tasks.report(progress(task_id, HopState.COMPLETED, claim=two)) for _ in range(2)]
        late = await running.tasks.report(progress(task_id, HopState.COMPLETED, claim=one))
        last = await running.tasks.report(progress(task_id, claim=three))
        assert (again.action, again.frames) == (ClaimAction.DONE, '[{"id":"x"}]')
        assert [each.action for each in (early, *completed, late, last)] == [
            ClaimAction.DONE,
            ClaimAction.GO,
            *[ClaimAction.DONE] * 3,
        ]
        assert last.frames is None
        stored = await running.storage.database.fetchrow("SELECT state, frames FROM task_hops")
        assert tuple(stored or ()) == ("completed", None)
        assert await running.kinds(task_id) == ["created", "progress", "progress"]

    async def test_a_higher_attempt_takes_the_hop_over(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.report(progress(task_id, claim=Claim("0", 1, "one")))
        retry = await running.tasks.report(progress(task_id, claim=Claim("0", 2, "two")))
        late = await running.tasks.report(progress(task_id, HopState.COMPLETED, claim=Claim("0", 1, "one")))
        assert (retry.action, late.action) == (ClaimAction.GO, ClaimAction.DONE)
        assert await running.kinds(task_id) == ["created", "progress", "progress"]

    async def test_a_lease_that_ran_out_is_taken_over(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.report(progress(task_id, claim=Claim("0", 1, "one")))
        await running.storage.database.execute("UPDATE task_hops SET lease_until = now() - interval '1 second'")
        assert (await running.tasks.report(progress(task_id, claim=Claim("0", 1, "two")))).action is ClaimAction.GO

    async def test_a_claim_that_was_given_back_is_anybodys_and_leaves_no_trace_in_the_log(
        self, running: Running
    ) -> None:
        task_id = await running.create()
        await running.tasks.report(progress(task_id, claim=Claim("0", 1, "one")))
        await running.tasks.report(progress(task_id, HopState.RELEASED, claim=Claim("0", 1, "stranger")))
        assert (await running.tasks.report(progress(task_id, claim=Claim("0", 1, "two")))).action is ClaimAction.BUSY
        await running.tasks.report(progress(task_id, HopState.RELEASED, claim=Claim("0", 1, "one")))
        await running.tasks.report(progress(task_id, HopState.RELEASED))
        assert await running.kinds(task_id) == ["created", "progress"]
        assert (await running.tasks.report(progress(task_id, claim=Claim("0", 1, "three")))).action is ClaimAction.GO

    async def test_a_hop_that_was_processed_before_its_claim_was_given_back_is_done(self, running: Running) -> None:
        task_id = await running.create()
        claim = Claim("0", 1, "one")
        await running.tasks.report(progress(task_id, claim=claim))
        await running.tasks.report(progress(task_id, HopState.PROCESSED, claim=claim, frames="[]"))
        await running.tasks.report(progress(task_id, HopState.RELEASED, claim=claim))
        assert (await running.tasks.report(progress(task_id, claim=Claim("0", 1, "two")))).action is ClaimAction.DONE

    async def test_a_sign_of_life_renews_the_lease_of_its_claimant_alone(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.report(progress(task_id, claim=Claim("0", 1, "one")))
        database = running.storage.database
        for claimant, renewed in (("two", False), ("one", True)):
            await database.execute("UPDATE task_hops SET lease_until = now() + interval '1 second'")
            await running.tasks.report(progress(task_id, HopState.PROCESSING, claim=Claim("0", 1, claimant)))
            left = await database.fetchval("SELECT extract(epoch FROM lease_until - now())::integer FROM task_hops")
            assert (left > CLAIM_LEASE / 2) is renewed

    async def test_of_many_deliveries_at_once_exactly_one_goes(self, running: Running) -> None:
        task_id = await running.create()
        answers = await asyncio.gather(
            *(running.tasks.report(progress(task_id, claim=Claim("0", 1, str(n)))) for n in range(20))
        )
        assert [answer.action for answer in answers].count(ClaimAction.GO) == 1

    async def test_a_hop_of_an_ended_task_is_done(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.finish(succeeded(task_id))
        answer = await running.tasks.report(progress(task_id, claim=Claim("0", 1, "one")))
        assert (answer.action, answer.frames) == (ClaimAction.DONE, None)


def pause_report(task_id: str, pause_id: str = "p1") -> PauseReport:
    pause = Pause(pause_id, "Go on?", {"type": "object"}, [{"name": "yes", "type": "boolean"}])
    return PauseReport(task_id, pause, TaskStatus.PAUSED, SECOND, 50.0, '{"id":"checkpoint"}')


class TestPauses:
    async def test_a_pause_stops_the_clock_and_an_answer_starts_it(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(pause_report(task_id))
        point = await running.tasks.pause_point(task_id, owner=OwnedBy(""))
        assert point.task.status is TaskStatus.PAUSED
        assert point.task.deadline_at is None
        assert 3500 < point.task.remaining <= 3600
        assert (point.checkpoint, point.task.pause.prompt) == ('{"id":"checkpoint"}', "Go on?")
        assert await running.tasks.answer(answer_to(task_id), ONWARD)
        task = await running.tasks.get(task_id, owner=EVERY_OWNER)
        assert (task.status, task.pause) == (TaskStatus.RUNNING, None)
        assert await running.kinds(task_id) == ["created", "paused", "resumed"]
        assert [entry.actor for entry in running.handed] == ["first", "x-resume"]

    async def test_the_first_answer_wins(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(pause_report(task_id))
        answers = await asyncio.gather(*(running.tasks.answer(answer_to(task_id, key), ONWARD) for key in range(5)))
        assert answers.count(True) == 1

    async def test_an_answer_whose_commit_was_not_heard_knows_itself_again(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(pause_report(task_id))
        assert await running.tasks.answer(answer_to(task_id, 7), ONWARD)
        assert await running.tasks.answer(answer_to(task_id, 7), ONWARD)
        assert not await running.tasks.answer(answer_to(task_id, 8), ONWARD)

    async def test_a_redelivered_pause_that_was_answered_changes_nothing(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(pause_report(task_id))
        await running.tasks.answer(answer_to(task_id), ONWARD)
        await running.tasks.pause(pause_report(task_id))
        assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).status is TaskStatus.RUNNING

    async def test_progress_while_paused_is_stale(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(pause_report(task_id))
        await running.tasks.report(progress(task_id, HopState.COMPLETED))
        assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).status is TaskStatus.PAUSED
        assert await running.kinds(task_id) == ["created", "paused"]

    async def test_a_second_pause_of_the_same_task_is_a_question_of_its_own(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(pause_report(task_id))
        await running.tasks.answer(answer_to(task_id), ONWARD)
        await running.tasks.pause(pause_report(task_id, "p2"))
        assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).pause.id == "p2"

    async def test_each_answer_raises_the_counter_and_a_pause_keeps_the_id_it_was_reported_under(
        self, running: Running
    ) -> None:
        task_id = await running.create()
        for number, reported_as in enumerate(("", f"resume-{task_id}", f"resume.2-{task_id}"), start=1):
            report = replace(pause_report(task_id, f"p{number}"), reported_as=reported_as, incarnation=number - 1)
            await running.tasks.pause(report)
            point = await running.tasks.pause_point(task_id, owner=EVERY_OWNER)
            assert (point.incarnation, point.reported_as) == (number, reported_as or task_id)
            assert await running.tasks.answer(
                answer_to(task_id, number, f"p{number}"), replace(ONWARD, incarnation=number)
            )
        assert await running.storage.database.fetchval("SELECT incarnation FROM tasks WHERE id = $1", task_id) == 3

    async def test_answers_that_a_gateway_of_the_version_before_accepted_are_counted(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(pause_report(task_id))
        await running.tasks.answer(answer_to(task_id), ONWARD)
        await running.storage.database.execute("UPDATE tasks SET incarnation = NULL, own_incarnation = NULL")
        await running.tasks.pause(pause_report(task_id, "p2"))
        assert (await running.tasks.pause_point(task_id, owner=EVERY_OWNER)).incarnation == 2

    @pytest.mark.parametrize(
        ("carried_by_us", "incarnation", "hop", "counts"),
        [
            (False, 1, 0, True),  # the route begins anew
            (False, 0, 5, False),  # our worker, at work that the answer has replaced
            (False, None, 5, False),  # an existing sidecar at the same
            (True, 1, 2, True),
            (True, 1, 1, False),
            (True, None, 2, True),  # an existing sidecar under the task's own id: by its hop
            (True, None, 1, False),
            (True, 0, 5, False),
        ],
    )
    async def test_a_route_replaces_an_older_one_by_incarnation_and_hop(
        self, running: Running, carried_by_us: bool, incarnation: int | None, hop: int, counts: bool
    ) -> None:
        task_id = await running.create()
        asked_at = Route(("first", "x-pause"), "x-resume", ("third",))
        checkpoint = '{"id":"c"}' if carried_by_us else None
        await running.tasks.pause(replace(pause_report(task_id), route=asked_at, checkpoint=checkpoint, progress=40))
        await running.tasks.answer(answer_to(task_id), ONWARD)
        route = Route(("x",) * hop, "now", ("later",))
        answer = await running.tasks.report(progress(task_id, route=route, incarnation=incarnation, progress=50.0))
        found = await running.tasks.get(task_id, owner=EVERY_OWNER)
        assert (found.route == route, found.actor == "now") == (counts, counts)
        stale = (incarnation or 0) == 0 and not (carried_by_us and incarnation is None)
        moved = 50 if carried_by_us else 70  # half of what was left
        assert answer.progress == (40 if stale else moved)

    async def test_a_pause_of_work_that_an_answer_has_replaced_changes_nothing(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.pause(replace(pause_report(task_id), checkpoint=None))
        await running.tasks.answer(answer_to(task_id), ONWARD)
        await running.tasks.pause(replace(pause_report(task_id, "p2"), checkpoint=None))
        assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).status is TaskStatus.RUNNING
        await running.tasks.pause(replace(pause_report(task_id, "p3"), checkpoint=None, incarnation=1))
        assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).status is TaskStatus.PAUSED


class TestChildren:
    async def test_a_child_inherits_and_its_announcement_is_idempotent(self, running: Running) -> None:
        parent = await running.create(owner="alice")
        child = ChildAnnouncement("child", parent, SECOND, ends_itself=True)
        await running.tasks.announce(child)
        await running.tasks.announce(child)
        found = await running.tasks.get("child", owner=OwnedBy("alice"))
        assert (found.parent_id, found.flow, found.status) == (parent, "shout", TaskStatus.PENDING)
        assert await running.seqs("child") == [1]
        assert await running.storage.database.fetchval("SELECT count(*) FROM outbox") == 1

    async def test_canceling_the_parent_reaches_every_child(self, running: Running) -> None:
        parent = await running.create()
        for name, itself in (("a", True), ("b", False)):
            await running.tasks.announce(ChildAnnouncement(name, parent, SECOND, itself))
        await running.tasks.finish(FinalReport(parent, TaskStatus.CANCELED, "stop", owner=EVERY_OWNER))
        for name in ("a", "b"):
            assert (await running.tasks.get(name, owner=EVERY_OWNER)).status is TaskStatus.CANCELED
            assert await running.kinds(name) == ["created", "final"]

    @pytest.mark.parametrize("ends_itself", [True, False], ids=["ours", "foreign"])
    async def test_a_childs_own_end_counts_after_its_parents_success(self, running: Running, ends_itself: bool) -> None:
        parent = await running.create()
        await running.tasks.announce(ChildAnnouncement("early", parent, SECOND, ends_itself))
        await running.tasks.finish(succeeded(parent))
        await running.storage.sweeper.sweep_orphans()
        assert (await running.tasks.get("early", owner=EVERY_OWNER)).status is TaskStatus.PENDING
        await running.tasks.finish(failed("early", "it broke"))
        child = await running.tasks.get("early", owner=EVERY_OWNER)
        assert (child.status, child.error.message) == (TaskStatus.FAILED, "it broke")

    async def test_a_foreign_child_that_is_announced_after_its_parents_success_may_end_by_itself(
        self, running: Running
    ) -> None:
        parent = await running.create()
        await running.tasks.finish(succeeded(parent))
        await running.tasks.announce(ChildAnnouncement("late", parent, SECOND, ends_itself=False))
        await running.tasks.finish(succeeded("late", "7"))
        assert (await running.tasks.get("late", owner=EVERY_OWNER)).result == "7"

    async def test_a_foreign_child_without_reports_ends_after_its_grace_period_and_says_so(
        self, running: Running
    ) -> None:
        parent = await running.create()
        for name, itself in (("ours", True), ("silent", False), ("busy", False)):
            await running.tasks.announce(ChildAnnouncement(name, parent, SECOND, itself))
        await running.tasks.finish(succeeded(parent))
        await running.storage.database.execute(
            "UPDATE tasks SET finished_at = finished_at - interval '301 s', updated_at = updated_at - interval '301 s'"
        )
        await running.tasks.report(progress("busy"))
        assert await running.storage.sweeper.sweep_orphans() == 1
        child = await running.tasks.get("silent", owner=EVERY_OWNER)
        assert (child.status, child.error.code) == (TaskStatus.CANCELED, "end_not_reported")
        assert child.message == "Its parent has succeeded, and no report arrived for 300 s"
        for name in ("ours", "busy"):
            assert not (await running.tasks.get(name, owner=EVERY_OWNER)).status.terminal

    async def test_a_child_under_a_terminal_parent_is_stored_as_canceled(self, running: Running) -> None:
        parent = await running.create()
        await running.tasks.finish(succeeded(parent))
        await running.tasks.announce(ChildAnnouncement("late", parent, SECOND, ends_itself=True))
        found = await running.tasks.get("late", owner=EVERY_OWNER)
        assert (found.status, found.last_seq) == (TaskStatus.CANCELED, 1)
        assert await running.kinds("late") == ["final"]

    async def test_a_child_that_slipped_past_its_parents_end_is_swept(self, running: Running) -> None:
        parent = await running.create()
        await running.tasks.finish(FinalReport(parent, TaskStatus.CANCELED, "stop", owner=EVERY_OWNER))
        await running.storage.database.execute(
            "INSERT INTO tasks (id, parent_id, owner, flow, surface, status, route, created_at, updated_at)"
            """ VALUES ('orphan', $1, '', 'shout', 'rest', 'running', '{"curr":"second"}', now(), now())""",
            parent,
        )
        assert await running.storage.sweeper.sweep_orphans() == 1
        assert (await running.tasks.get("orphan", owner=EVERY_OWNER)).status is TaskStatus.CANCELED


class TestTime:
    async def test_one_sweep_ends_more_than_a_chunk(self, running: Running) -> None:
        await running.storage.database.execute(
            "INSERT INTO tasks (id, owner, flow, surface, status, route, deadline_at, created_at, updated_at) "
            "SELECT 'late-' || n, '', 'f', 'rest', 'running', $1::json, now(), now(), now() "
            "FROM generate_series(1, 2500) n",
            '{"prev":[],"curr":"a","next":[]}',
        )
        await running.storage.sweeper.sweep()
        open_tasks = "SELECT count(*) FROM tasks WHERE id LIKE 'late-%' AND finished_at IS NULL"
        assert await running.storage.database.fetchval(open_tasks) == 0

    async def test_the_sweeper_ends_what_is_overdue_and_nothing_else(self, running: Running) -> None:
        overdue = await running.create(timeout=-1)
        fresh = await running.create()
        await running.storage.sweeper.sweep()
        task = await running.tasks.get(overdue, owner=EVERY_OWNER)
        assert (task.status, task.error.error_class) == (TaskStatus.FAILED, "deadline")
        assert (await running.tasks.get(fresh, owner=EVERY_OWNER)).status is TaskStatus.PENDING

    @pytest.mark.parametrize(("timeout", "told"), [(4, "4 s"), (0.5, "0.5 s"), (2_592_000, "2592000 s")])
    async def test_an_overdue_task_says_what_time_it_had_not_when_that_was_noticed(
        self, running: Running, timeout: float, told: str
    ) -> None:
        created = datetime.now(UTC) - timedelta(seconds=timeout + 0.9)
        task_id = await running.create(created_at=created, timeout=timeout)
        await running.storage.sweeper.sweep()
        task = await running.tasks.get(task_id, owner=EVERY_OWNER)
        assert task.message == f"Task timed out after {told}"
        assert task.error is not None
        assert task.error.details == {"task_id": task_id, "timeout_seconds": timeout}

    async def test_an_overdue_task_that_was_paused_says_its_time_without_the_pause(self, still: Running) -> None:
        task_id = await still.create(timeout=4)
        await still.tasks.pause(pause_report(task_id))
        database = still.storage.database
        await database.execute("UPDATE tasks SET created_at = created_at - interval '1 h'")
        await database.execute("UPDATE task_pauses SET created_at = created_at - interval '1 h'")
        assert await still.tasks.answer(answer_to(task_id), ONWARD)
        since = "SELECT deadline_at - created_at FROM tasks"
        assert await database.fetchval(since) > timedelta(hours=1)
        for table, column in (("tasks", "created_at"), ("tasks", "deadline_at"), ("task_pauses", "created_at")):
            await database.execute(f"UPDATE {table} SET {column} = {column} - interval '1 min'")
        await database.execute("UPDATE task_pauses SET answered_at = answered_at - interval '1 min'")
        assert await still.storage.sweeper.sweep() == 1
        assert (await still.tasks.get(task_id, owner=EVERY_OWNER)).message == "Task timed out after 4 s"

    async def test_a_final_that_counts_in_time_only_ends_no_overdue_task(self, still: Running) -> None:
        late, timely = await still.create(timeout=-1), await still.create()
        assert await still.tasks.finish(failed(late, in_time_only=True)) is FinalOutcome.UNTIMELY
        for outcome in (FinalOutcome.APPLIED, FinalOutcome.ENDED_BEFORE):
            assert await still.tasks.finish(failed(timely, in_time_only=True)) is outcome
        assert (await still.tasks.get(late, owner=EVERY_OWNER)).status is TaskStatus.PENDING

    async def test_a_parents_deadline_reaches_its_children(self, running: Running) -> None:
        parent = await running.create(timeout=3600)
        for name, itself in (("ours", True), ("foreign", False)):
            await running.tasks.announce(ChildAnnouncement(name, parent, SECOND, itself))
        await running.storage.database.execute("UPDATE tasks SET deadline_at = now() WHERE id = $1", parent)
        await running.storage.sweeper.sweep()
        for name in ("ours", "foreign"):
            task = await running.tasks.get(name, owner=EVERY_OWNER)
            assert (task.status, task.error.error_class) == (TaskStatus.FAILED, "deadline")

    async def test_a_paused_task_is_never_overdue(self, running: Running) -> None:
        task_id = await running.create(timeout=0.05)
        await running.tasks.pause(pause_report(task_id))
        await lasts(0.1)  # longer than its timeout
        assert await running.storage.sweeper.sweep() == 0
        assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).status is TaskStatus.PAUSED

    async def test_retention_removes_old_updates_first_and_old_tasks_later(self, running: Running) -> None:
        task_id = await running.create()
        await running.tasks.finish(succeeded(task_id))
        age = "UPDATE tasks SET finished_at = now() - interval '40 days'"
        await running.storage.database.execute(age)
        await running.storage.retention.retire()
        assert await running.seqs(task_id) == []
        assert (await running.tasks.get(task_id, owner=EVERY_OWNER)).result == '{"done":true}'
        await running.storage.database.execute(age.replace("40", "91"))
        await running.storage.retention.retire()
        assert await running.tasks.get(task_id, owner=EVERY_OWNER) is None
        assert await running.storage.database.fetchval("SELECT count(*) FROM task_bodies") == 0

    async def test_retention_continues_from_its_position_and_misses_no_task_that_ended_at_the_same_time(
        self, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeping, "CHUNK", 2)
        ids = [await running.create() for _ in range(7)]
        for task_id in ids:
            await running.tasks.finish(succeeded(task_id))
        age = "UPDATE tasks SET finished_at = date_trunc('day', now()) - interval '40 days' WHERE id = ANY ($1)"
        await running.storage.database.execute(age, ids[:5])
        await running.storage.retention.retire()
        kept = await running.storage.database.fetch("SELECT DISTINCT task_id FROM task_updates")
        assert {row["task_id"] for row in kept} == set(ids[5:])
        await running.storage.database.execute(age.replace("40", "35"), ids[5:])
        await running.storage.retention.retire()
        assert await running.storage.database.fetchval("SELECT count(*) FROM task_updates") == 0


async def test_batches_in_any_order_do_not_deadlock(running: Running) -> None:
    ids = [await running.create() for _ in range(30)]
    rounds = [
        asyncio.gather(*(running.tasks.report(progress(task_id)) for task_id in order))
        for order in (ids, ids[::-1], ids[15:] + ids[:15]) * 5
    ]
    await asyncio.gather(*rounds)
    for task_id in ids:
        assert await running.seqs(task_id) == list(range(1, 17))


async def test_two_processes_report_on_the_same_tasks_without_deadlock(running: Running, database_url: str) -> None:
    other = make_storage(database_url)
    await other.storage.start()
    try:
        ids = [await running.create() for _ in range(40)]
        await asyncio.gather(
            *(
                each.tasks.report(progress(task_id))
                for _ in range(5)
                for each, order in ((running, ids), (other, ids[::-1]))
                for task_id in order
            )
        )
        for task_id in ids:
            assert await running.seqs(task_id) == list(range(1, 12))
        stats = await running.storage.database.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert stats == 0
    finally:
        await other.storage.stop()


async def test_a_report_is_hot(running: Running, database_url: str) -> None:
    task_id = await running.create()
    for _ in range(20):
        await running.tasks.report(progress(task_id))
    connection = await asyncpg.connect(database_url)
    try:

        async def counted() -> Any:
            # Each session counts by itself for up to ten seconds. The reports went through one of these, the rings too.
            flush = "SELECT pg_stat_force_next_flush() FROM pg_sleep(0.1)"
            await asyncio.gather(*(running.storage.database.hot.execute(flush) for _ in range(3)))
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            return await connection.fetchrow(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'tasks' AND n_tup_upd >= 20"
            )

        row = await until(counted, 10, "twenty updates")
        assert row["n_tup_hot_upd"] == row["n_tup_upd"]
    finally:
        await connection.close()
