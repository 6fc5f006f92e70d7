"""Judges a run by the database and the clients' records. It uses nothing of the gateway, so that what is wrong there is
not wrong here, too."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.chaos.records import Record

_TASKS = """
SELECT id, parent_id, owner, flow, status, last_seq, finished_at IS NOT NULL AS finished FROM tasks
"""
_LOGS = """
SELECT task_id, array_agg(seq ORDER BY seq) AS seqs, array_agg(status ORDER BY seq) AS statuses,
       count(*) FILTER (WHERE kind = 'final') AS finals, max(seq) FILTER (WHERE kind = 'final') AS final_at
FROM task_updates GROUP BY task_id
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
    """`lost` and `double` are ids of tasks. `problems`: everything that is wrong, in words."""

    tasks: int = 0
    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.double or self.problems)


async def judge(database_url: str, records: Sequence[Record]) -> Verdict:
    """Judge a run that has come to rest."""
    connection = await asyncpg.connect(database_url)
    try:
        tasks = {row["id"]: row for row in await connection.fetch(_TASKS)}
        logs = {row["task_id"]: row for row in await connection.fetch(_LOGS)}
        left = {what: await connection.fetchval(sql) for what, sql in _LEFT_OVER.items()}
        failures = {row["kind"]: row["count"] for row in await connection.fetch(_FAILURES)}
    finally:
        await connection.close()
    verdict = Verdict(tasks=len(tasks), failures=failures)
    verdict.statuses.update(row["status"] for row in tasks.values() if row["parent_id"] is None)
    _judge_tasks(verdict, tasks, logs)
    _judge_clients(verdict, tasks, logs, records)
    verdict.problems += [f"{count} {what} are left" for what, count in left.items() if count]
    return verdict


def _judge_tasks(verdict: Verdict, tasks: dict[str, Any], logs: dict[str, Any]) -> None:
    for id, task in tasks.items():
        log = logs.get(id)
        if not task["finished"]:
            verdict.lost.append(id)
        elif log is None:
            verdict.problems.append(f"{id} has no log")
        else:
            if log["finals"] != 1 or log["final_at"] != task["last_seq"]:
                verdict.double.append(id)
            if log["seqs"] != list(range(1, task["last_seq"] + 1)):
                verdict.problems.append(f"{id} has a gap in its log: {log['seqs']}")


def _judge_clients(verdict: Verdict, tasks: dict[str, Any], logs: dict[str, Any], records: Sequence[Record]) -> None:
    """What clients were told is what happened."""
    accepted: dict[int, set[str]] = defaultdict(set)
    for record in records:
        if record.event == "accepted":
            accepted[record.number].add(record.task)
        if record.task and record.task not in tasks:
            verdict.lost.append(record.task)
            continue
        verdict.problems += _contradictions(record, tasks, logs)
    verdict.accepted = sum(map(len, accepted.values()))
    verdict.problems += [f"one key, several tasks: {sorted(ids)}" for ids in accepted.values() if len(ids) > 1]


def _contradictions(record: Record, tasks: dict[str, Any], logs: dict[str, Any]) -> Iterable[str]:
    status = tasks[record.task]["status"] if record.task else ""
    match record.event:
        case "wrong":
            yield f"{record.kind} {record.number} {record.task}: {record.status}"
        case "ended" if record.task and record.status != status:
            yield f"{record.task}: a client was told that it is {record.status}, and it is {status}"
        case "canceled" if record.status != "canceled" or status != "canceled":
            yield f"{record.task}: its cancel was acknowledged, and it is {status}"
        case "read":
            log = logs[record.task]
            if list(record.seqs) != log["seqs"] or list(record.statuses) != log["statuses"]:
                yield f"{record.task}: a reader saw {record.seqs} {record.statuses}, the log is {log['seqs']}"
        case "watched" if list(record.seqs) != logs[record.task]["seqs"][record.seqs[0] - 1 :]:
            yield f"{record.task}: a watcher saw {record.seqs}, the log is {logs[record.task]['seqs']}"
        case _:
            pass
