"""A hop's beginning is one report: it claims the hop and writes both entries, or says why not."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from asya_crds.envelope import Route
from asya_crds.hop_reports import BeginAction
from asya_crds.status import HopState, TaskStatus
from asya_gateway.domain.hop_reports import HopBegun
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import ChildAnnouncement, Claim, PauseReport
from tests.support.hops import ME, OTHER, begin, claim_of, log_of
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, canceled, failed, progress, succeeded

CLAIM = Claim("0", 1, ME)


async def test_it_claims_the_hop_and_writes_the_entries_of_two_single_reports(running: Running) -> None:
    together, singly = await running.create(), await running.create()
    begun = await running.tasks.begin(begin(together))
    assert (begun.action, begun.known, begun.lease) == (BeginAction.GO, True, 15.0)
    assert 3500 < begun.remaining <= 3600
    received = progress(singly, message="Received message (0.5 KB)", message_size_kb=0.5, claim=CLAIM)
    await running.tasks.report(received)
    processing = progress(singly, HopState.PROCESSING, message="Processing in first", claim=CLAIM)
    await running.tasks.report(processing)
    assert await log_of(running, together) == await log_of(running, singly)
    assert await claim_of(running, together) == await claim_of(running, singly) == (ME, 1, "claimed")
    one, other = [await running.tasks.head(task_id, owner=EVERY_OWNER) for task_id in (together, singly)]
    for column in ("status", "progress", "message", "actor", "route", "last_seq"):
        assert getattr(one, column, None) == getattr(other, column, None), column


async def test_the_same_claimants_repetition_goes_and_writes_nothing(running: Running) -> None:
    task_id = await running.create()
    first = await running.tasks.begin(begin(task_id))
    again = await running.tasks.begin(begin(task_id))
    assert (first.action, again.action) == (BeginAction.GO, BeginAction.GO)
    assert await running.seqs(task_id) == [1, 2, 3]


async def test_a_sign_of_life_after_it_writes_no_entry(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.begin(begin(task_id))
    for state in (HopState.RECEIVED, HopState.PROCESSING):
        await running.tasks.report(progress(task_id, state, claim=CLAIM))
    assert await running.seqs(task_id) == [1, 2, 3]


async def test_a_hop_that_another_holds_is_busy(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.begin(begin(task_id, OTHER))
    assert (await running.tasks.begin(begin(task_id))).action is BeginAction.BUSY
    assert await claim_of(running, task_id) == (OTHER, 1, "claimed")
    assert await running.seqs(task_id) == [1, 2, 3]


@pytest.mark.parametrize("why", ["expired", "next attempt"])
async def test_a_claim_that_no_longer_holds_is_taken(running: Running, why: str) -> None:
    task_id = await running.create()
    await running.tasks.begin(begin(task_id, OTHER))
    if why == "expired":
        await running.storage.database.execute("UPDATE task_hops SET lease_until = now() - interval '1 s'")
    mine = begin(task_id, attempt=2 if why == "next attempt" else 1)
    assert (await running.tasks.begin(mine)).action is BeginAction.GO
    assert await claim_of(running, task_id) == (ME, mine.claim.attempt, "claimed")
    assert await running.seqs(task_id) == [1, 2, 3, 4, 5]


async def test_a_processed_hop_is_done_and_answers_its_frames(running: Running) -> None:
    task_id = await running.create()
    await running.tasks.report(progress(task_id, claim=CLAIM))
    await running.tasks.report(progress(task_id, HopState.PROCESSED, claim=CLAIM, frames='[{"id":"x"}]'))
    before = await running.seqs(task_id)
    begun = await running.tasks.begin(begin(task_id, OTHER))
    assert (begun.action, begun.frames) == (BeginAction.DONE, '[{"id":"x"}]')
    await running.tasks.report(progress(task_id, HopState.COMPLETED, claim=CLAIM))
    begun = await running.tasks.begin(begin(task_id, OTHER))
    assert (begun.action, begun.frames) == (BeginAction.DONE, None)
    assert len(await running.seqs(task_id)) == len(before) + 1


async def paused(running: Running, task_id: str) -> None:
    report = PauseReport(task_id, Pause("p1", "?", {"type": "object"}, []), TaskStatus.PAUSED, ROUTE, 10.0, "{}")
    await running.tasks.pause(report)


async def overdue(running: Running, task_id: str) -> None:
    await running.storage.database.execute(
        "UPDATE tasks SET deadline_at = now() - $2::interval WHERE id = $1", task_id, timedelta(seconds=1)
    )


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled", "waiting", "overdue", "below a canceled task"])
async def test_a_message_of_a_task_that_is_over_waits_or_is_overdue_is_dropped_without_a_claim(
    still: Running, state: str
) -> None:
    task_id = await still.create()
    match state:
        case "waiting":
            await paused(still, task_id)
        case "overdue":
            await overdue(still, task_id)
        case "below a canceled task":
            top, task_id = task_id, f"{task_id}-child"
            await still.tasks.announce(ChildAnnouncement(task_id, top, ROUTE, ends_itself=True))
            await still.storage.database.execute("UPDATE tasks SET status = 'canceled' WHERE id = $1", top)
        case _:
            end = {"succeeded": succeeded, "failed": failed, "canceled": canceled}[state]
            await still.tasks.finish(end(task_id))
    before = await log_of(still, task_id)
    begun = await still.tasks.begin(begin(task_id))
    assert (begun.action, begun.known) == (BeginAction.DROP, True)
    assert await claim_of(still, task_id) is None
    assert await log_of(still, task_id) == before


async def test_after_the_answer_the_message_of_the_next_incarnation_goes(running: Running) -> None:
    task_id = await running.create()
    await paused(running, task_id)
    await running.tasks.answer(answer_to(task_id), ONWARD)
    resumed = begin(task_id, route=Route((), "x-resume"), hop="1.0", incarnation=1)
    assert (await running.tasks.begin(resumed)).action is BeginAction.GO
    assert await claim_of(running, task_id, "1.0") == (ME, 1, "claimed")


async def test_an_unknown_task_goes_without_a_claim(running: Running) -> None:
    assert await running.tasks.begin(begin("nobody")) == HopBegun(BeginAction.GO, known=False)
    assert await running.storage.database.fetchval("SELECT count(*) FROM task_hops") == 0


async def test_the_reports_of_a_batch_are_answered_each_by_itself(running: Running) -> None:
    ids = [await running.create() for _ in range(6)]
    await running.tasks.finish(succeeded(ids[1]))
    await running.tasks.begin(begin(ids[2], OTHER))
    odd: list[Any] = [begin("nobody"), *(begin(task_id) for task_id in ids)]
    answers = await asyncio.gather(*(running.tasks.begin(report) for report in odd))
    assert [answer.known for answer in answers] == [False, *[True] * 6]
    assert [answer.action for answer in answers[1:]] == ["go", "drop", "busy", "go", "go", "go"]
    for task_id in ids:
        seqs = await running.seqs(task_id)
        assert seqs == list(range(1, len(seqs) + 1))


async def test_of_two_claimants_at_once_one_goes(running: Running) -> None:
    for _ in range(5):
        task_id = await running.create()
        both = await asyncio.gather(*(running.tasks.begin(begin(task_id, each)) for each in (ME, OTHER)))
        assert sorted(answer.action for answer in both) == ["busy", "go"]
        assert await running.seqs(task_id) == [1, 2, 3]
