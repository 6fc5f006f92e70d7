"""Lists of A2A: two kinds of tasks merged into one order, in bounded steps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.conversation_lists import ConversationFilter, Position, Rejection
from asya_gateway.domain.owners import OwnedBy
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.reports import PauseReport
from asya_gateway.protocols.a2a.outputs import is_rejection
from asya_gateway.storage.a2a import contents, listing
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from tests.support.storage import ONWARD, ROUTE, Running, answer_to, failed, progress, succeeded

MINE = ConversationFilter(owner="me", flows=frozenset({"shout"}))
NOW = datetime(2026, 7, 28, 12, tzinfo=UTC)

INSERT = """
INSERT INTO tasks (id, owner, flow, surface, status, route, created_at, updated_at, finished_at, ended_as, status_at)
SELECT id, owner, flow, 'a2a', status, '{"prev":[],"curr":"a","next":[]}', at - interval '1 day', at,
       CASE WHEN status IN ('succeeded', 'failed') THEN at END,
       CASE WHEN status IN ('succeeded', 'failed') THEN status END, at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS t (id, owner, flow, status, at)
"""


async def stored(running: Running, *tasks: tuple[str, str, float], owner: str = "me", flow: str = "shout") -> None:
    """Tasks of these ids and statuses, each so many seconds old."""
    ids, statuses, ages = zip(*tasks, strict=True)
    count = len(ids)
    times = [NOW - timedelta(seconds=age) for age in ages]
    await running.storage.database.execute(INSERT, ids, [owner] * count, [flow] * count, statuses, times)


def lists(running: Running) -> PostgresConversationLists:
    return PostgresConversationLists(running.storage.database)


async def walked(running: Running, query: ConversationFilter) -> list[list[str]]:
    """The ids of every page, from the first to the last."""
    pages: list[list[str]] = []
    after: Position | None = None
    while not pages or after is not None:
        page = await lists(running).places(replace(query, after=after))
        pages.append([task_id for _, task_id in page.found])
        assert len(pages) < 50
        after = page.next
    return pages


async def test_open_and_ended_tasks_are_one_list_on_pages_of_every_size(still: Running) -> None:
    tasks = [(f"t{age}", ("running", "succeeded", "failed", "paused")[age % 4], float(age)) for age in range(20)]
    await stored(still, *tasks)
    await stored(still, ("other", "running", 0.5), owner="another")
    await stored(still, ("hidden", "running", 0.5), flow="secret")
    expected = [f"t{age}" for age in range(20)]
    for size in (1, 3, 7, 20, 50):
        pages = await walked(still, replace(MINE, limit=size))
        assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
        assert [task_id for page in pages for task_id in page] == expected
    assert await lists(still).count(MINE) == 20


async def test_tasks_of_one_time_are_in_the_order_of_their_ids_and_none_is_lost_between_pages(still: Running) -> None:
    await stored(still, *((f"t{number}", ("running", "succeeded")[number % 2], 5.0) for number in range(9)))
    assert await walked(still, replace(MINE, limit=2)) == [
        ["t8", "t7"],
        ["t6", "t5"],
        ["t4", "t3"],
        ["t2", "t1"],
        ["t0"],
    ]


async def test_what_is_rare_among_ended_tasks_is_found_in_bounded_steps_beside_open_ones(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOKS", (5, 10))
    await stored(still, *((f"e{number}", "succeeded", float(number)) for number in range(60)), flow="secret")
    await stored(still, ("rare-33", "succeeded", 33.5), ("open-20", "running", 20.5), ("open-50", "running", 50.5))
    pages = await walked(still, replace(MINE, limit=10))
    # A page ends where the search ends, and no open task comes before ended ones that are newer.
    expected = ["open-20", "rare-33", "open-50"]
    assert [task_id for page in pages for task_id in page] == expected
    assert len(pages) > 3
    singly = await walked(still, replace(MINE, limit=1))
    assert [task_id for page in singly for task_id in page] == expected
    assert await lists(still).count(MINE) == 3


async def created(running: Running, *ids: str) -> None:
    """These were created in this order, the first one last."""
    sql = """UPDATE tasks t SET created_at = $2::timestamptz - n * interval '1 hour'
             FROM unnest($1::text[]) WITH ORDINALITY AS o(id, n) WHERE t.id = o.id"""
    await running.storage.database.execute(sql, ids, NOW - timedelta(days=1))


@pytest.mark.parametrize("context", [None, "talk"])
async def test_open_tasks_beyond_those_that_are_sorted_follow_at_the_end_by_creation_and_none_is_lost(
    still: Running, monkeypatch: pytest.MonkeyPatch, context: str | None
) -> None:
    monkeypatch.setattr(listing, "MOST_SORTED", 4)
    monkeypatch.setattr(listing, "LOOKS", (2, 3))
    query = MINE if context is None else replace(MINE, context_id=context, context_names=frozenset({context, "other"}))
    await stored(still, *((f"o{age}", "running", float(age)) for age in range(10)))
    await created(still, "o5", "o9", "o0", "o7", "o1", "o2", "o3", "o4", "o6", "o8")
    if context is None:
        await stored(still, ("e4", "succeeded", 4.5), ("e8", "failed", 8.5))
    await still.storage.database.execute("UPDATE tasks SET context_id = 'talk' WHERE id <> 'o7'")
    await still.storage.database.execute("UPDATE tasks SET context_id = 'other' WHERE id = 'o7'")
    await still.storage.database.execute(
        "INSERT INTO a2a_tasks (task_id, owner, dialect, context_id) SELECT id, owner, '1.0', 'talk' FROM tasks"
    )
    ended = ["e4", "e8"] if context is None else []
    in_order = sorted([*ended, "o5", "o9", "o0", "o7"], key=lambda name: (int(name[1:]), name[0] == "e"))
    older = ["o1", "o2", "o3", "o4", "o6", "o8"]
    for size in (1, 2, 3, 50):
        pages = await walked(still, replace(query, limit=size))
        assert [task_id for page in pages for task_id in page] == in_order + older, size
    assert not any(await walked(still, replace(query, status=TaskStatus.CANCELED)))
    # What is created meanwhile pushes nothing out that is still to come.
    first = await lists(still).places(replace(query, limit=2))
    await stored(still, *((f"n{number}", "running", 0.0) for number in range(6)))
    await still.storage.database.execute("UPDATE tasks SET context_id = 'talk', created_at = $1 WHERE id ~ '^n'", NOW)
    rest, after = [task_id for _, task_id in first.found], first.next
    while after is not None:
        page = await lists(still).places(replace(query, after=after))
        rest += [task_id for _, task_id in page.found]
        after = page.next
    assert rest == in_order + older


async def test_a_list_is_counted_among_a_bounded_number(still: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 10)
    await stored(still, *((f"e{number}", "succeeded", float(number)) for number in range(30)))
    await stored(still, *((f"o{number}", "running", float(number)) for number in range(4)))
    assert await lists(still).count(MINE) == 14


async def changed(running: Running, task_id: str) -> datetime:
    """The time of the task's status, which is the one of its place."""
    [(at, found)] = (await lists(running).places(replace(MINE, owner=""))).found
    assert found == task_id
    [listed] = await lists(running).contents("", [(at, task_id)], messages=None, results=False)
    assert listed.task.status_at == at
    return at


async def entry(running: Running, task_id: str, kind: str) -> datetime:
    sql = "SELECT at FROM task_updates WHERE task_id = $1 AND kind = $2 ORDER BY seq DESC LIMIT 1"
    found: datetime = await running.storage.database.fetchval(sql, task_id, kind)
    return found


def about(moment: datetime) -> Any:
    return pytest.approx(moment.timestamp(), abs=0.05)


async def test_the_time_of_a_status_is_that_of_its_change_in_a_whole_life(still: Running) -> None:
    task_id = await still.create()
    created = await changed(still, task_id)
    assert created == (await still.tasks.head(task_id, owner=OwnedBy(""))).created_at
    await still.tasks.report(progress(task_id))
    began = await changed(still, task_id)
    assert began > created
    await still.tasks.report(progress(task_id, key=2))
    assert await changed(still, task_id) == began
    pause = Pause("p", "?", {}, [])
    await still.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 50.0, "{}"))
    paused = await changed(still, task_id)
    assert paused.timestamp() == about(await entry(still, task_id, "paused"))
    await still.tasks.answer(answer_to(task_id, pause_id="p"), ONWARD)
    resumed = await changed(still, task_id)
    assert resumed.timestamp() == about(await entry(still, task_id, "resumed"))
    await still.tasks.finish(succeeded(task_id))
    assert await changed(still, task_id) == await entry(still, task_id, "final")
    assert created < began < paused < resumed < await changed(still, task_id)


async def test_a_pod_of_the_version_before_leaves_a_time_that_is_corrected(still: Running) -> None:
    """Its statements do not write status_at, so it keeps what the newer pod wrote before."""
    task_id = await still.create()

    async def as_before(written: datetime | None) -> None:
        await still.storage.database.execute("UPDATE tasks SET status_at = $2 WHERE id = $1", task_id, written)

    await still.tasks.report(progress(task_id))
    began = await changed(still, task_id)
    await as_before(None)
    assert await changed(still, task_id) == await entry(still, task_id, "progress")
    await as_before(began)
    pause = Pause("p", "?", {}, [])
    await still.tasks.pause(PauseReport(task_id, pause, TaskStatus.PAUSED, ROUTE, 50.0, "{}"))
    await as_before(began)
    paused = await changed(still, task_id)
    assert paused > began
    assert paused.timestamp() == about(await entry(still, task_id, "paused"))
    await still.tasks.answer(answer_to(task_id, pause_id="p"), ONWARD)
    await as_before(began)
    resumed = await changed(still, task_id)
    assert resumed > paused
    assert resumed.timestamp() == about(await entry(still, task_id, "resumed"))


REFUSALS: Sequence[Mapping[str, Any]] = [
    {},
    {"code": "rejected"},
    {"code": "rejected", "error_class": ErrorClass.RUNTIME},
    {"details": {"code": "rejected"}},
    {"details": {"code": ["rejected"]}},
    {"details": {"type": "Rejected"}},
    {"details": {"type": "app.errors.Rejected"}},
    {"details": {"type": "NotRejected"}},
    {"details": {"type": "Rejected.Other"}},
    {"details": {"type": {"x": "Rejected"}}},
    {"details": {"mro": ["app.Mine", "app.Rejected", "Exception"]}},
    {"details": {"mro": ["app.Mine", "Exception"]}},
    {"details": {"mro": [["Rejected"], 1, None]}},
    {"details": {"mro": "Rejected"}},
    {"details": "rejected"},
    {"details": ["Rejected"]},
    {"details": None},
    # PostgreSQL reads no field of JSON that contains these.
    {"message": "\0"},
    {"message": "\0\ud800 \\u0000", "code": "rejected"},
    {"details": {"type": "\udfff.\U0001f600.Rejected"}},
    {"details": {"code": "rejected\0"}},
    {"message": "C:\\ud8", "code": "rejected"},
]


async def test_the_statement_judges_refusals_as_the_protocol_does(still: Running) -> None:
    errors = [
        TaskError(**{"code": "processing_error", "message": "m", "error_class": ErrorClass.BUSINESS, **each})
        for each in REFUSALS
    ]
    ids = [await still.create(f"f{number:02}", owner="me") for number in range(len(errors))]
    for task_id, error in zip(ids, errors, strict=True):
        await still.tasks.finish(failed(task_id, error=error))
    refused = {task_id for task_id, error in zip(ids, errors, strict=True) if is_rejection(error)}
    assert 5 <= len(refused) < len(ids)
    for rejection, expected in ((Rejection.ONLY, refused), (Rejection.NONE, {*ids} - refused)):
        query = replace(MINE, status=TaskStatus.FAILED, rejection=rejection)
        assert {task_id for page in await walked(still, query) for task_id in page} == expected
        assert await lists(still).count(query) == len(expected)


async def test_a_page_has_what_its_tasks_show_and_ends_where_it_becomes_large(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await still.create(f"t{number}", owner="me")
        await still.tasks.finish(succeeded(f"t{number}", result=json.dumps("x" * 1000)))
    await still.create("large", owner="me")
    await still.tasks.finish(succeeded("large", result=json.dumps("x" * 100_000)))
    at = NOW

    async def read(*ids: str, owner: str = "me", results: bool = True) -> list[tuple[str, bool, bool]]:
        found = await lists(still).contents(owner, [(at, each) for each in ids], messages=None, results=results)
        return [(each.task.id, each.task.result is not None, each.whole) for each in found]

    assert await read("t1", "t0") == [("t1", True, True), ("t0", True, True)]
    assert await read("t1", "t0", owner="another") == []
    assert await read("t1", "gone", results=False) == [("t1", False, True)]
    # What is large is read alone, with its own room in memory.
    assert await read("large", "t1") == [("large", False, False)]
    assert await read("t1", "large", "t0") == [("t1", True, True)]
    monkeypatch.setattr(contents, "_CONTENTS", contents._CONTENTS.replace(str(contents.PAGE_BYTES), "2500"))
    assert await read("t0", "t1", "t2", "t3") == [("t0", True, True), ("t1", True, True)]
