"""Judges a run by the database and the clients' records. It uses nothing of the gateway, so that what is wrong there is
not wrong here, too."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import asyncpg

from tests.chaos.contradictions import READERS, Found, contradictions
from tests.chaos.records import Record

TOGETHER = 1000
"""Records that are judged together: neither they nor the tasks are ever all in memory."""
MOST_TOLD = 1000
_STATUSES = "SELECT status, count(*) AS count FROM tasks WHERE parent_id IS NULL GROUP BY status"
_COUNT = "SELECT count(*) FROM tasks"
_OPEN = "SELECT id, status FROM tasks WHERE finished_at IS NULL LIMIT $1"
_UNSOUND = """
SELECT t.id, t.last_seq, log.seqs, coalesce(log.finals, 0) <> 1 OR log.final_at <> t.last_seq AS double,
       log.seqs IS NULL OR log.entries <> t.last_seq OR log.first <> 1 OR log.last <> t.last_seq AS gap
FROM tasks t LEFT JOIN LATERAL (
    SELECT array_agg(seq ORDER BY seq) AS seqs, count(*) AS entries, min(seq) AS first, max(seq) AS last,
           count(*) FILTER (WHERE kind = 'final') AS finals, max(seq) FILTER (WHERE kind = 'final') AS final_at
    FROM task_updates WHERE task_id = t.id
) log ON true
WHERE t.finished_at IS NOT NULL AND (
    log.seqs IS NULL OR log.finals <> 1 OR log.final_at <> t.last_seq OR log.entries <> t.last_seq OR log.first <> 1
    OR log.last <> t.last_seq
) LIMIT $1
"""
_NAMED = """
SELECT t.id, t.status, t.owner, p.body ->> 'n' AS n
FROM tasks t LEFT JOIN task_bodies p ON p.task_id = t.id AND p.kind = 'payload' WHERE t.id = ANY ($1)
"""
_LOGS = """
SELECT task_id, array_agg(seq ORDER BY seq) AS seqs, array_agg(status ORDER BY seq) AS statuses,
       array_agg(detail ->> 'message' ORDER BY seq) AS messages,
       array_agg(concat(detail ->> 'curr', ': ', detail ->> 'task_state') ORDER BY seq) AS states
FROM task_updates WHERE task_id = ANY ($1) GROUP BY task_id
"""
_MIXED_UP = """
SELECT t.id, p.body ->> 'n' AS called, r.body ->> 'n' AS result
FROM tasks t JOIN task_bodies p ON p.task_id = t.id AND p.kind = 'payload'
JOIN task_bodies r ON r.task_id = t.id AND r.kind = 'result'
WHERE p.body ->> 'n' <> r.body ->> 'n' AND NOT starts_with(r.body ->> 'n', concat(p.body ->> 'n', '.')) LIMIT $1
"""
_LEFT_OVER = {
    "rows of the outbox": "SELECT count(*) FROM outbox",
    "messages in the queues of the database": "SELECT count(*) FROM queue_messages",
}
_FAILURES = """
SELECT coalesce(b.body ->> 'class', '') || ': ' || coalesce(b.body ->> 'code', '') AS kind, count(*)
FROM tasks t LEFT JOIN task_bodies b ON b.task_id = t.id AND b.kind = 'error'
WHERE t.status = 'failed' AND t.parent_id IS NULL GROUP BY 1
"""


@dataclass
class Verdict:
    """`lost` and `double` are ids of tasks. `problems`: everything that is wrong, in words. `events`: what clients
    noted, by kind."""

    tasks: int = 0
    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    failures: dict[str, int] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)

    @property
    def sound(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.double or self.problems)


async def judge(database_url: str, records: Iterable[Record]) -> Verdict:
    """Judge a run that has come to rest."""
    connection = await asyncpg.connect(database_url)
    try:
        verdict = Verdict(tasks=await connection.fetchval(_COUNT))
        verdict.statuses.update({row["status"]: row["count"] for row in await connection.fetch(_STATUSES)})
        verdict.failures = {row["kind"]: row["count"] for row in await connection.fetch(_FAILURES)}
        paused = await _judge_tasks(verdict, connection)
        for row in await connection.fetch(_MIXED_UP, MOST_TOLD):
            verdict.problems.append(f"{row['id']} was called with {row['called']}, and its result is {row['result']}")
        await _judge_clients(verdict, connection, iter(records), paused)
        for what, sql in _LEFT_OVER.items():
            if count := await connection.fetchval(sql):
                verdict.problems.append(f"{count} {what} are left")
    finally:
        await connection.close()
    return verdict


async def _judge_tasks(verdict: Verdict, connection: "asyncpg.Connection[asyncpg.Record]") -> set[str]:
    """Returns the tasks that wait for an answer, which are lost only if they got it."""
    rows = await connection.fetch(_OPEN, MOST_TOLD)
    verdict.lost += [row["id"] for row in rows if row["status"] != "paused"]
    for row in await connection.fetch(_UNSOUND, MOST_TOLD):
        if row["seqs"] is None:
            verdict.problems.append(f"{row['id']} has no log")
            continue
        if row["double"]:
            verdict.double.append(row["id"])
        if row["gap"]:
            verdict.problems.append(f"{row['id']} has a gap in its log: {row['seqs']}")
    return {row["id"] for row in rows if row["status"] == "paused"}


async def _judge_clients(
    verdict: Verdict, connection: "asyncpg.Connection[asyncpg.Record]", records: Iterator[Record], paused: set[str]
) -> None:
    """What clients were told is what happened."""
    accepted: dict[int, set[str]] = defaultdict(set)
    while some := list(islice(records, TOGETHER)):
        found = await _found_for(connection, some)
        for record in some:
            verdict.events[f"{record.kind} {record.event}"] += 1
            if record.event == "accepted":
                accepted[record.number].add(record.task)
            if record.event == "answered" and record.task in paused:
                paused.discard(record.task)
                verdict.lost.append(record.task)
            if record.task and record.task not in found.tasks:
                verdict.lost.append(record.task)
                continue
            verdict.problems += contradictions(record, found)
    if paused:
        verdict.problems.append(f"{len(paused)} questions were not answered: the machine is too slow for this load")
    verdict.accepted = sum(map(len, accepted.values()))
    verdict.problems += [f"one key, several tasks: {sorted(ids)}" for ids in accepted.values() if len(ids) > 1]


async def _found_for(connection: "asyncpg.Connection[asyncpg.Record]", records: Sequence[Record]) -> Found:
    named = {record.task for record in records if record.task} | {id for record in records for id in record.ids}
    read = {record.task for record in records if record.event in READERS}
    return Found(
        {row["id"]: row for row in await connection.fetch(_NAMED, list(named))},
        {row["task_id"]: row for row in await connection.fetch(_LOGS, list(read))},
    )
