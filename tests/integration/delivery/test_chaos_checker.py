"""The judge of the chaos suite sees what is wrong, each kind of it, however many records there are."""

import json
from pathlib import Path

import asyncpg

from servers.databases import execute
from tests.chaos import checker
from tests.chaos.checker import judge
from tests.chaos.records import Records, read

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
