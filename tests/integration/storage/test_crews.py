"""A success is written with the hop's end where a crew of ours would only report it, and nowhere else."""

from typing import Any

import pytest

from asya_crds.envelope import Route
from asya_crds.hop_reports import EndOutcome, Yours
from asya_crds.status import TaskStatus
from asya_gateway.domain.hop_reports import CrewReport, HopEnded, Success
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import PauseReport
from tests.support.hops import begin, claim_of, declare, delivered, end, log_of, queues, send
from tests.support.storage import Running, failed, succeeded

LAST = Route((), "first")
SUCCESS = Success(0, '{"done":1.50}', "first")
ENDED = HopEnded(EndOutcome.ENDED)
PLAIN = CrewReport("plain", "x-sink", hooks=False)


@pytest.fixture
async def embedded(embedded: Running) -> Running:
    await declare(embedded, "first", "x-sink", "third")
    return embedded


async def ended_hop(running: Running, *more: Any, success: Success = SUCCESS, sink: str = "x-sink") -> str:
    """A task whose only hop has ended with its success."""
    task_id, ack = await delivered(running)
    await running.tasks.begin(begin(task_id, route=LAST))
    report = end(task_id, send(task_id, sink), *more, route=LAST, success=success, ack=ack)
    assert await running.tasks.end(report) == ENDED
    return task_id


async def test_beside_a_crew_without_hooks_the_task_ends_with_its_hop(embedded: Running) -> None:
    await embedded.tasks.crew_says(PLAIN)
    task_id = await ended_hop(embedded)
    assert await queues(embedded) == []
    task = await embedded.tasks.get(task_id, owner=EVERY_OWNER)
    assert (task.status, task.result, task.actor) == (TaskStatus.SUCCEEDED, '{"done":1.50}', "first")
    assert (task.progress, task.message) == (100, "Task completed successfully")
    assert task.finished_at is not None


async def test_its_row_and_its_log_are_those_of_an_end_that_the_crew_reports(embedded: Running) -> None:
    reported = await ended_hop(embedded)
    await embedded.tasks.finish(succeeded(reported, '{"done":1.50}', actor="first"))
    await embedded.tasks.crew_says(PLAIN)
    written = await ended_hop(embedded)
    assert await log_of(embedded, written) == await log_of(embedded, reported)
    rows = [
        await embedded.storage.database.fetchrow(
            "SELECT to_jsonb(t) - ARRAY['id', 'created_at', 'updated_at', 'status_at', 'finished_at',"
            " 'deadline_at'] AS t,"
            " (SELECT body::text FROM task_bodies WHERE task_id = id AND kind = 'result') AS result"
            " FROM tasks t WHERE id = $1",
            task_id,
        )
        for task_id in (written, reported)
    ]
    assert rows[0] == rows[1]
    assert await claim_of(embedded, written) == await claim_of(embedded, reported)


@pytest.mark.parametrize(
    "crews",
    [
        [],
        [PLAIN, CrewReport("hooked", "x-sink", hooks=True)],
        [PLAIN, CrewReport("plain", "x-sink", hooks=True)],
        [PLAIN, CrewReport("plain", leaving=True)],
        [CrewReport("other", "another-sink", hooks=False)],
    ],
    ids=["none", "one with hooks", "hooks since", "gone", "another sink"],
)
async def test_otherwise_x_sink_gets_its_message(embedded: Running, crews: list[CrewReport]) -> None:
    for crew in crews:
        await embedded.tasks.crew_says(crew)
    task_id = await ended_hop(embedded)
    assert await queues(embedded) == [("x-sink", task_id)]
    task = await embedded.tasks.get(task_id, owner=EVERY_OWNER)
    assert (task.status, task.result) == (TaskStatus.RUNNING, None)


async def test_a_crew_that_was_not_heard_of_lately_does_not_count(embedded: Running) -> None:
    await embedded.tasks.crew_says(PLAIN)
    await embedded.storage.database.execute("UPDATE crews SET said_at = now() - interval '16 s'")
    task_id = await ended_hop(embedded)
    assert await queues(embedded) == [("x-sink", task_id)]


async def test_a_crew_with_hooks_for_another_sink_forbids_nothing(embedded: Running) -> None:
    await embedded.tasks.crew_says(PLAIN)
    await embedded.tasks.crew_says(CrewReport("hooked", "another-sink", hooks=True))
    await ended_hop(embedded)
    assert await queues(embedded) == []


async def test_crews_that_are_long_gone_are_forgotten(embedded: Running) -> None:
    await embedded.tasks.crew_says(CrewReport("old", hooks=True))
    await embedded.storage.database.execute("UPDATE crews SET said_at = now() - interval '2 hours'")
    await embedded.tasks.crew_says(PLAIN)
    assert [row["name"] for row in await embedded.storage.database.fetch("SELECT name FROM crews")] == ["plain"]


async def test_a_sink_without_a_queue_is_no_hindrance_if_nothing_is_sent_to_it(embedded: Running) -> None:
    await embedded.tasks.crew_says(CrewReport("plain", "own-sink", hooks=False))
    await ended_hop(embedded, sink="own-sink")
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id, route=LAST))
    report = end(task_id, send(task_id, "own-sink"), send("c", "nowhere"), route=LAST, success=SUCCESS, ack=ack)
    assert await embedded.tasks.end(report) == HopEnded(EndOutcome.YOURS, Yours.UNDECLARED)


async def test_the_same_end_again_is_answered_as_the_first(embedded: Running) -> None:
    await embedded.tasks.crew_says(PLAIN)
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id, route=LAST))
    report = end(task_id, send(task_id, "x-sink"), route=LAST, success=SUCCESS, ack=ack)
    assert [await embedded.tasks.end(report) for _ in range(2)] == [ENDED, ENDED]
    assert await embedded.kinds(task_id) == ["created", "progress", "progress", "progress", "final"]


async def test_a_task_that_has_ended_keeps_its_end(embedded: Running) -> None:
    await embedded.tasks.crew_says(PLAIN)
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id, route=LAST))
    await embedded.tasks.finish(failed(task_id))
    report = end(task_id, send(task_id, "x-sink"), route=LAST, success=SUCCESS, ack=ack)
    assert await embedded.tasks.end(report) == HopEnded(EndOutcome.REFUSED)
    assert (await embedded.tasks.head(task_id, owner=EVERY_OWNER)).status is TaskStatus.FAILED


async def test_a_waiting_task_may_end_with_its_hop_as_by_a_report(embedded: Running) -> None:
    await embedded.tasks.crew_says(PLAIN)
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id, route=LAST))
    pause = Pause("p1", "?", {"type": "object"}, [])
    await embedded.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, LAST, 10.0, "{}"))
    report = end(task_id, send(task_id, "x-sink"), route=LAST, success=SUCCESS, ack=ack)
    assert await embedded.tasks.end(report) == ENDED
    assert await embedded.kinds(task_id) == ["created", "progress", "progress", "paused", "final"]
    task = await embedded.tasks.get(task_id, owner=EVERY_OWNER)
    assert (task.status, task.pause, task.result) == (TaskStatus.SUCCEEDED, None, '{"done":1.50}')


async def test_a_hop_may_end_its_task_and_have_children(embedded: Running) -> None:
    await embedded.tasks.crew_says(PLAIN)
    task_id, ack = await delivered(embedded)
    await embedded.tasks.begin(begin(task_id, route=LAST))
    sends = (send("a-child", "third", parent=task_id), send(task_id, "x-sink"))
    success = SUCCESS._replace(send=1)
    assert await embedded.tasks.end(end(task_id, *sends, route=LAST, success=success, ack=ack)) == ENDED
    assert await queues(embedded) == [("third", "a-child")]
    assert (await embedded.tasks.head(task_id, owner=EVERY_OWNER)).status is TaskStatus.SUCCEEDED
    assert (await embedded.tasks.head("a-child", owner=EVERY_OWNER)).status is TaskStatus.PENDING
