"""Pages of tasks: newest first, whatever they are, each once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asya_crds.status import TaskStatus
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.storage.tasks import listing
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
            timeout=1e9,  # nothing is overdue while the test looks
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
    TaskFilter(owner=OwnedBy("mine"), context_id="talk", flow="whisper"),
    TaskFilter(owner=OwnedBy("other"), context_id="talk", status=TaskStatus.RUNNING),
    TaskFilter(owner=EVERY_OWNER, context_id="talk"),
    TaskFilter(owner=EVERY_OWNER, status=TaskStatus.RUNNING),
    TaskFilter(owner=EVERY_OWNER, flow="shout"),
    TaskFilter(owner=EVERY_OWNER, flow="whisper", status=TaskStatus.FAILED),
    TaskFilter(owner=OwnedBy("mine"), flow="shout", status=TaskStatus.PENDING),
]


@pytest.mark.parametrize("query", FILTERS, ids=str)
async def test_pages_have_each_task_that_the_filter_names_once_and_newest_first(
    mixed: Running, query: TaskFilter, monkeypatch: pytest.MonkeyPatch
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
    for looks in (listing.LOOKS, (1, 2)):
        monkeypatch.setattr(listing, "LOOKS", looks)
        for skip in (0, 2):
            page = await mixed.tasks.page(replace(query, skip=skip, limit=3, whole=True))
            assert [task.id for task in page.tasks] == wanted[skip : skip + 3]
            assert page.reached is None
            for limit in (1, 100):
                counted = await mixed.tasks.count(replace(query, skip=skip, limit=limit))
                assert counted == min(skip + limit, len(wanted))
        assert await all_pages(mixed, replace(query, limit=2)) == wanted


async def test_a_page_ends_before_its_routes_are_too_large_together(running: Running) -> None:
    ids = [
        await running.create(f"t{number:02d}", created_at=BEGAN + timedelta(seconds=number), timeout=1e9)
        for number in range(30)
    ]
    await running.storage.database.execute(
        """UPDATE tasks SET route = json_build_object(
            'prev', '[]'::json, 'curr', 'a', 'next', array_fill(repeat('a', 250), ARRAY[1000]))"""
    )
    mine = TaskFilter(owner=OwnedBy(""))
    for query in (mine, replace(mine, status=TaskStatus.PENDING), replace(mine, context_id="talk", flow="shout")):
        if query.context_id is not None:
            await running.storage.database.execute("UPDATE tasks SET context_id = 'talk'")
        page = await running.tasks.page(query)
        assert [task.id for task in page.tasks] == ids[:-5:-1]
        assert page.reached == (page.tasks[-1].created_at, page.tasks[-1].id)
        assert await all_pages(running, query) == ids[::-1]
    whole = await running.tasks.page(replace(mine, whole=True))
    assert [task.id for task in whole.tasks] == ids[::-1]


async def all_pages(running: Running, query: TaskFilter) -> list[str]:
    """The ids of page after page, each of which may end before it is full."""
    found: list[str] = []
    page = await running.tasks.page(query)
    while page.tasks or page.reached:
        found += [task.id for task in page.tasks]
        after = page.reached or (page.tasks[-1].created_at, page.tasks[-1].id)
        page = await running.tasks.page(replace(query, after=after))
    return found


async def test_each_end_is_marked_in_its_row(mixed: Running) -> None:
    unmarked = await mixed.storage.database.fetchval(
        "SELECT count(*) FROM tasks WHERE ended_as IS DISTINCT FROM CASE WHEN finished_at IS NOT NULL THEN status END"
    )
    assert unmarked == 0
