"""The judge of the chaos suite sees what is wrong, each kind of it, however many records there are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from servers.databases import execute
from tests.chaos import checker
from tests.chaos.checker import judge
from tests.chaos.holdings import FILES, POLLED_IN_TURN, POOL, TASKS, Holdings, leaks
from tests.chaos.logs import unhandled
from tests.chaos.records import Record, Records, mark_of, read

BODY = "INSERT INTO task_bodies (task_id, kind, body) VALUES ($1, $2, $3)"
TASK = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at, deadline_at, finished_at,
                   ended_as)
SELECT id, '', 'work', 'rest', CASE WHEN open THEN 'running' ELSE 'succeeded' END, '{}', last, now(), now(), now(),
       CASE WHEN NOT open THEN now() END, CASE WHEN NOT open THEN 'succeeded' END
FROM unnest($1::text[], $2::bool[], $3::int[]) AS t (id, open, last)
"""
UPDATE = """
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at) VALUES ($1, $2, $3, $4, 0, '{}', now())
"""


async def stored(database_url: str, **logs: str) -> None:
    """Tasks by their ids, each with a log like `1p 2f`: numbers and the first letters of kinds; the last number after
    `/` is the task's own."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = [(id, *log.partition("/")[::2]) for id, log in logs.items()]
        ids, unfinished = [id for id, _, _ in rows], ["p" in entries and "f" not in entries for _, entries, _ in rows]
        await connection.execute(TASK, ids, unfinished, [int(last) for _, _, last in rows])
        for id, entries, _ in rows:
            for entry in entries.split():
                final = entry.endswith("f")
                kind, status = ("final", "succeeded") if final else ("progress", "running")
                await connection.execute(UPDATE, id, int(entry[:-1]), kind, status)
    finally:
        await connection.close()


async def owned(database_url: str, number: int, owner: str, result: str | None = None) -> str:
    """A task that has ended, with what it was called with, and its result; its id."""
    id = f"00000000-0000-7000-8000-{number:012}"
    await stored(database_url, **{id: "1f/1"})
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE tasks SET owner = $2 WHERE id = $1", id, f"key:{owner}")
        mark = mark_of(owner, number)
        for kind, n in (("payload", mark), ("result", result or mark)):
            await connection.execute(BODY, id, kind, json.dumps({"n": n}))
    finally:
        await connection.close()
    return id


def record(event: str, number: int = 1, **more: Any) -> Record:
    return Record(0.0, "rest", number, event, owner="ada", **more)


async def test_a_sound_run_is_sound(database_url: str, tmp_path: Path) -> None:
    await stored(database_url, good="1p 2p 3f/3")
    records = Records(tmp_path / "clients.jsonl")
    records.add("rest", 1, "accepted", task="good")
    records.add("rest", 1, "ended", task="good", status="succeeded")
    records.add("stream", 1, "read", task="good", seqs=(1, 2, 3), statuses=("running", "running", "succeeded"))
    records.close()
    verdict = await judge(database_url, read(records.path))
    assert verdict.sound, verdict
    assert (verdict.tasks, verdict.accepted, records.accepted) == (1, 1, 1)
    assert verdict.statuses == {"succeeded": 1}
    assert verdict.events == {"rest accepted": 1, "rest ended": 1, "stream read": 1}


async def test_what_is_wrong_with_a_task_is_told(database_url: str, tmp_path: Path) -> None:
    await stored(database_url, good="1f/1", open="1p/1", twice="1f 2f/2", late="1f 2p/2", gap="1p 3f/3", silent="/1")
    verdict = await judge(database_url, [])
    assert verdict.lost == ["open"]
    assert sorted(verdict.double) == ["late", "twice"]
    assert sorted(verdict.problems) == ["gap has a gap in its log: [1, 3]", "silent has no log"]


async def test_a_question_is_lost_only_if_it_was_answered(database_url: str, tmp_path: Path) -> None:
    await stored(database_url, given_up="1p/1", answered="1p/1")
    execute(database_url, "UPDATE tasks SET status = 'paused'")
    records = Records(tmp_path / "clients.jsonl")
    records.add("ask", 1, "accepted", task="given_up")
    records.add("ask", 2, "answered", task="answered")
    records.close()
    verdict = await judge(database_url, read(records.path))
    assert verdict.lost == ["answered"]
    assert verdict.problems == ["1 questions were not answered: the machine is too slow for this load"]


async def test_what_contradicts_a_client_is_told_also_beyond_the_records_that_are_judged_together(
    database_url: str, tmp_path: Path
) -> None:
    await stored(database_url, good="1p 2f/2", other="1f/1")
    records = Records(tmp_path / "clients.jsonl")
    for _ in range(checker.TOGETHER):
        records.add("rest", 1, "accepted", task="good")
    records.add("rest", 1, "accepted", task="other")  # the same key
    records.add("rest", 2, "accepted", task="never stored")
    records.add("rest", 3, "ended", task="good", status="failed")
    records.add("cancel", 4, "canceled", task="good", status="canceled")
    records.add("stream", 5, "read", task="good", seqs=(2,), statuses=("succeeded",))
    records.add("rest", 6, "wrong", status="500")
    records.add("a2a-stream", 7, "watched", task="good", seqs=(1,))
    records.add("a2a-stream", 8, "watched", task="good", seqs=(2,))  # from there on
    records.close()
    verdict = await judge(database_url, read(records.path))
    assert verdict.lost == ["never stored"]
    assert len(verdict.problems) == 6, verdict.problems
    assert json.dumps(verdict.problems).count("good") == 5


NEVER_WAS = '/tasks/ID 404 {"error":{"code":"task_not_found"}}'


async def test_callers_who_saw_their_own_tasks_alone_are_sound(database_url: str) -> None:
    mine, theirs = await owned(database_url, 1, "ada"), await owned(database_url, 2, "grace")
    child = await owned(database_url, 3, "ada")
    execute(database_url, f"UPDATE task_bodies SET body = '{{\"n\": \"mark-ada-1.0\"}}' WHERE task_id = '{child}'")
    saw = record("saw", marks=("mark-ada-1",), ids=(mine, child, "00000000-0000-7000-8000-00000000cafe"))
    verdict = await judge(
        database_url,
        [record("accepted", task=mine), saw, record("asked", task=theirs, statuses=(NEVER_WAS, NEVER_WAS))],
    )
    assert verdict.sound, verdict


async def test_the_mark_of_another_call_is_told(database_url: str) -> None:
    verdict = await judge(database_url, [record("saw", marks=("mark-ada-1", "mark-grace-2"))])
    assert verdict.problems == ["rest 1 of ada got payloads of others: ['mark-grace-2']"]


async def test_the_task_of_another_owner_or_call_is_told(database_url: str) -> None:
    theirs, other = await owned(database_url, 2, "grace"), await owned(database_url, 13, "ada")
    verdict = await judge(
        database_url, [record("saw", ids=(theirs,)), record("saw", ids=(other,)), record("accepted", task=theirs)]
    )
    assert verdict.problems == [
        f"rest 1 of ada got the id of a task of key:grace: {theirs}",
        f"rest 1 of ada got the id of another call: {other} of mark-ada-13",
        f"{theirs}: a call of ada was accepted for key:grace",
    ]


async def test_the_result_of_another_call_is_told(database_url: str) -> None:
    mixed = await owned(database_url, 1, "ada", result="mark-grace-2")
    verdict = await judge(database_url, [])
    assert verdict.problems == [f"{mixed} was called with mark-ada-1, and its result is mark-grace-2"]


@pytest.mark.parametrize(
    "answers",
    [
        ('/tasks/ID 403 {"error":{"code":"insufficient_scope"}}', NEVER_WAS),
        ('/tasks/ID 200 {"status":"succeeded"}', '/tasks/ID 200 {"status":"succeeded"}'),
    ],
    ids=["what an unknown id does not get", "the task"],
)
async def test_a_stranger_who_is_told_more_than_of_no_task_is_told(database_url: str, answers: tuple[str, str]) -> None:
    theirs = await owned(database_url, 2, "grace")
    verdict = await judge(database_url, [record("asked", task=theirs, statuses=answers)])
    assert len(verdict.problems) == 1
    assert verdict.problems[0].startswith(f"{theirs}: a stranger was told '/tasks/ID {answers[0][10:13]}")


async def test_a_question_after_the_own_task_proves_nothing_and_is_told(database_url: str) -> None:
    mine = await owned(database_url, 1, "ada")
    verdict = await judge(database_url, [record("asked", task=mine, statuses=(NEVER_WAS, NEVER_WAS))])
    assert verdict.problems == [f"{mine} belongs to ada, who asked for it as a stranger"]


RUNNING, DONE = "running", "succeeded"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (
            record("read so far", task="task", seqs=(1, 2), statuses=(RUNNING, RUNNING)),
            record("read so far", task="task", seqs=(1, 3), statuses=(RUNNING, DONE)),
        ),
        (record("watched so far", task="task", seqs=(2, 3)), record("watched so far", task="task", seqs=(1, 3))),
        (record("watched so far", task="task", seqs=(2,)), record("watched so far", task="task", seqs=(3, 4))),
        (
            record("polled", task="task", statuses=(RUNNING, DONE)),
            record("polled", task="task", statuses=(DONE, RUNNING)),
        ),
        (record("polled", task="task", statuses=(DONE,)), record("polled", task="task", statuses=("paused", DONE))),
        (
            record("told", task="task", statuses=("halfway", "slow: begun")),
            record("told", task="task", statuses=("slow: begun", "halfway")),
        ),
    ],
    ids=[
        "a gap",
        "a gap after the first",
        "an entry that is not there",
        "going back",
        "a status that never was",
        "order",
    ],
)
async def test_a_view_that_is_no_part_of_the_log_is_told(database_url: str, right: Record, wrong: Record) -> None:
    await stored(database_url, task="1p 2p 3f/3")
    execute(
        database_url,
        """UPDATE task_updates SET detail = '{"message": "halfway"}' WHERE seq = 1""",
        """UPDATE task_updates SET detail = '{"curr": "slow", "task_state": "begun"}' WHERE seq = 2""",
    )
    assert (await judge(database_url, [right])).sound
    assert len((await judge(database_url, [wrong])).problems) == 1


AT_REST = Holdings(to_database=3, to_queues=2, other_connections=1, files=9, tasks={"Bell.listen": 4, "start": 1})


def test_processes_that_hold_what_they_held_leak_nothing() -> None:
    assert leaks({"api-0": AT_REST}, {"api-0": AT_REST, "another": AT_REST}) == []


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (replace(AT_REST, to_database=3 + POOL + 1), "has 14 connections to the database, 3 before the run"),
        (replace(AT_REST, to_queues=5), "has 5 connections to the queue system, 2 before the run"),
        (replace(AT_REST, other_connections=6), "has 6 other connections, 1 before the run"),
        (replace(AT_REST, files=9 + FILES + 1), "has 14 open files, 9 before the run"),
        (
            replace(AT_REST, tasks={"Bell.listen": 5, "start": TASKS + 1}),
            "has 16 asyncio tasks, 5 before the run: 10 start, 1 Bell.listen",
        ),
    ],
    ids=["database", "queues", "others", "files", "tasks"],
)
def test_what_a_process_holds_more_is_told(after: Holdings, told: str) -> None:
    assert leaks({"api-0": AT_REST}, {"api-0": after}) == [f"api-0 {told}"]


def test_a_process_that_is_gone_is_told() -> None:
    assert leaks({"api-0": AT_REST}, {}) == ["api-0 does not run any more"]


def test_connections_that_polls_use_in_turn_are_no_leak_beyond_that_they_are() -> None:
    after = [replace(AT_REST, to_queues=AT_REST.to_queues + more) for more in (POLLED_IN_TURN, POLLED_IN_TURN + 1)]
    found = [leaks({"first-0": AT_REST}, {"first-0": each}, POLLED_IN_TURN) for each in after]
    assert [len(each) for each in found] == [0, 1]
    assert all(leaks({"first-0": AT_REST}, {"first-0": each}) for each in after)


def test_an_error_that_nobody_handled_is_told(tmp_path: Path) -> None:
    (tmp_path / "api-0.log").write_text("warning the database is not available\nTraceback (most recent call last):\n")
    (tmp_path / "mesh-0.log").write_text("info ready\nerror asyncio: Task exception was never retrieved\n")
    logs = [tmp_path / name for name in ("api-0.log", "mesh-0.log", "not there.log")]
    assert list(unhandled(logs)) == ["log of mesh-0: error asyncio: Task exception was never retrieved"]
