"""A question without an answer fails its task at the time stored in the pause."""

from collections.abc import AsyncIterator

import pytest

from asya_crds.status import TaskStatus
from asya_gateway.domain.owners import EVERY_OWNER
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import FinalReport, PauseReport
from asya_gateway.storage.tasks import expiring
from asya_gateway.storage.tasks.pausing import PauseLimits
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, make_storage


@pytest.fixture
async def still(database_url: str) -> AsyncIterator[Running]:
    """A storage whose loops do not run; the flow `slow` has a limit of its own."""
    made = make_storage(database_url, pauses=lambda: PauseLimits(3_600.0, {"slow": 7_200.0, "slower": 9_000.0}))
    await made.storage.database.open()
    yield made
    await made.storage.database.close()


async def paused(running: Running, task_id: str, *, flow: str = "shout", ago: int) -> None:
    """A task that has been waiting for so many seconds."""
    await running.create(task_id, flow=flow)
    pause = Pause("p", "Go on?", {}, [])
    await running.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 50.0, '{"id":"x"}'))
    await running.storage.database.execute(
        "UPDATE task_pauses SET created_at = created_at - $2 * interval '1 second',"
        " expires_at = expires_at - $2 * interval '1 second' WHERE task_id = $1",
        task_id,
        ago,
    )


async def test_a_pause_beyond_its_limit_fails_its_task_and_says_so(still: Running) -> None:
    await paused(still, "long", ago=3_601)
    await paused(still, "short", ago=3_500)
    assert await still.storage.expiry.expire() == 1
    task = await still.tasks.get("long", owner=EVERY_OWNER)
    assert (task.status, task.error.code, task.error.error_class) == (TaskStatus.FAILED, "pause_expired", "deadline")
    assert task.message == "Nobody answered within 3600 s"
    assert (await still.tasks.get("short", owner=EVERY_OWNER)).status is TaskStatus.PAUSED
    assert not await still.tasks.answer(answer_to("long", pause_id="p"), ONWARD)


async def test_a_flows_own_limit_counts_for_its_pauses(still: Running) -> None:
    await paused(still, "patient", flow="slow", ago=7_100)
    await paused(still, "over", flow="slow", ago=7_201)
    assert await still.storage.expiry.expire() == 1
    assert (await still.tasks.get("patient", owner=EVERY_OWNER)).status is TaskStatus.PAUSED
    assert (await still.tasks.get("over", owner=EVERY_OWNER)).message == "Nobody answered within 7200 s"


async def test_a_task_that_was_answered_in_time_continues(still: Running) -> None:
    await paused(still, "answered", ago=3_601)
    assert await still.tasks.answer(answer_to("answered", pause_id="p"), ONWARD)
    late = FinalReport("answered", TaskStatus.FAILED, "late", only_pause="p", owner=EVERY_OWNER)
    assert await still.tasks.finish(late) == "untimely"
    assert await still.storage.expiry.expire() == 0
    assert (await still.tasks.get("answered", owner=EVERY_OWNER)).status is TaskStatus.RUNNING


async def test_pauses_of_tasks_that_ended_otherwise_are_looked_at_once(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "CHUNK", 2)
    for number in range(5):
        await paused(still, f"canceled-{number}", ago=3_601)
        await still.tasks.finish(FinalReport(f"canceled-{number}", TaskStatus.CANCELED, "enough", owner=EVERY_OWNER))
    await paused(still, "open", ago=3_600)
    assert await still.storage.expiry.expire() == 1
    due = "SELECT count(*) FROM task_pauses WHERE answered_at IS NULL AND expires_at <= now()"
    assert await still.storage.database.fetchval(due) == 0


async def test_a_pause_that_the_version_before_stored_waits_until_the_flows_are_known(database_url: str) -> None:
    limits = PauseLimits(3_600.0, known=False)
    running = make_storage(database_url, pauses=lambda: limits)
    await running.storage.database.open()
    try:
        await paused(running, "patient", flow="slow", ago=3_601)
        await running.storage.database.execute("UPDATE task_pauses SET expires_at = NULL")
        assert await running.storage.expiry.expire() == 0
        limits = PauseLimits(3_600.0, {"slow": 7_200.0})
        assert await running.storage.expiry.expire() == 0
        limits = PauseLimits(3_600.0)
        assert await running.storage.expiry.expire() == 0
        assert (await running.tasks.get("patient", owner=EVERY_OWNER)).status is TaskStatus.PAUSED
    finally:
        await running.storage.database.close()


async def test_a_pause_that_the_version_before_stored_gets_its_flows_limit_or_the_settings(still: Running) -> None:
    await paused(still, "old", ago=3_601)
    await paused(still, "new", ago=10)
    await paused(still, "patient", flow="slow", ago=7_100)
    await paused(still, "over", flow="slow", ago=7_201)
    await still.storage.database.execute("UPDATE task_pauses SET expires_at = NULL")
    assert await still.storage.expiry.expire() == 2
    assert (await still.tasks.get("patient", owner=EVERY_OWNER)).status is TaskStatus.PAUSED
    assert (await still.tasks.get("over", owner=EVERY_OWNER)).message == "Nobody answered within 7200 s"
    assert (await still.tasks.get("old", owner=EVERY_OWNER)).error.code == "pause_expired"
    assert (await still.tasks.get("new", owner=EVERY_OWNER)).status is TaskStatus.PAUSED
