"""Pages of tasks: newest first, whatever they are, each once."""

from datetime import UTC, datetime, timedelta

import pytest

from asya_crds.status import TaskStatus
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.storage.tasks.owners import owner_parameter
from tests.support.storage import Running, canceled, failed, progress, succeeded

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def mixed(running: Running) -> Running:
    """Thirty tasks of two owners and two flows, of every kind of end and still open, three of one moment each."""
    for number in range(30):
        task_id = await running.create(
            f"t{number:02d}",
            owner="mine" if number % 3 else "other",
            flow="shout" if number % 2 else "whisper",
            context_id="talk" if number % 7 == 0 else None,
            created_at=BEGAN + timedelta(seconds=number // 3),
        )
        match number % 5:
            case 0:
                await running.tasks.finish(succeeded(task_id))
            case 1:
                await running.tasks.finish(failed(task_id))
            case 2:
                await running.tasks.finish(canceled(task_id))
            case 3:
                await running.tasks.report(progress(task_id))
            case _:
                pass  # it stays as it was made
    return running


FILTERS = [
    TaskFilter(owner=OwnedBy("mine")),
    TaskFilter(owner=EVERY_OWNER),
    *(TaskFilter(owner=OwnedBy("mine"), status=status) for status in TaskStatus),
    TaskFilter(owner=EVERY_OWNER, status=TaskStatus.FAILED),
    TaskFilter(owner=OwnedBy("mine"), flow="shout"),
    TaskFilter(owner=OwnedBy("mine"), flow="whisper", status=TaskStatus.CANCELED),
    TaskFilter(owner=OwnedBy("mine"), context_id="talk"),
    TaskFilter(owner=OwnedBy("mine"), context_id="talk", status=TaskStatus.SUCCEEDED),
]


@pytest.mark.parametrize("query", FILTERS, ids=str)
async def test_pages_have_each_task_that_the_filter_names_once_and_newest_first(
    mixed: Running, query: TaskFilter
) -> None:
    everything = await mixed.storage.database.fetch("SELECT * FROM tasks ORDER BY created_at DESC, id DESC")
    wanted = [
        row["id"]
        for row in everything
        if all(
            value is None or row[name] == value
            for name, value in (
                ("owner", owner_parameter(query.owner)),
                ("status", query.status),
                ("flow", query.flow),
                ("context_id", query.context_id),
            )
        )
    ]
    found: list[str] = []
    after = None
    while page := await mixed.tasks.list(
        TaskFilter(query.owner, query.status, query.flow, query.context_id, after=after, limit=2)
    ):
        found += [task.id for task in page]
        after = (page[-1].created_at, page[-1].id)
    assert found == wanted


async def test_each_end_is_marked_in_its_row(mixed: Running) -> None:
    unmarked = await mixed.storage.database.fetchval(
        "SELECT count(*) FROM tasks WHERE ended_as IS DISTINCT FROM CASE WHEN finished_at IS NOT NULL THEN status END"
    )
    assert unmarked == 0
