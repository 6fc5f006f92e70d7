"""New entries of many logs, read in one statement for all their readers."""

from collections.abc import Sequence
from dataclasses import dataclass

from asya_gateway.domain.task import TaskUpdate
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.rows import DETAIL, PAGE, PAGE_BYTES, small_body, update_of

_GROWN = f"""
SELECT * FROM (
SELECT f.n, u.seq, u.kind, u.status, u.progress, u.detail, u.at, u.result, u.result_left_out, u.bytes,
       sum(u.bytes) OVER (ORDER BY f.n, u.seq) AS of_all
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS f(id, cursor, n)
CROSS JOIN LATERAL (
    SELECT w.*, sum(w.bytes) OVER (ORDER BY w.seq) AS reached FROM (
        SELECT l.*, r.result, r.result_left_out,
               coalesce(octet_length(l.detail), 0) + coalesce(octet_length(r.result), 0) AS bytes
        FROM (
            SELECT seq, kind, status, progress, {DETAIL}, at
            FROM task_updates WHERE task_id = f.id AND seq > f.cursor ORDER BY seq LIMIT $3
        ) l
        {small_body("result", "f.id")} r ON l.kind = 'final'
    ) w
) u
WHERE u.reached - u.bytes < $4
) everybody WHERE of_all - bytes < $5
ORDER BY n, seq
"""

GROWN_BYTES = 32 * 1024 * 1024
"""Most bytes that one statement reads for all readers together, apart from a first update for each."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A page of a log's new entries: updates with their sizes in bytes, and whether there may be more."""

    updates: Sequence[tuple[TaskUpdate, int]]
    more: bool


async def grown(
    database: Database, cursors: Sequence[tuple[str, int]], most_bytes: int = 2 * GROWN_BYTES
) -> list[Grown]:
    """For each (task id, cursor), the updates beyond the cursor in order; one statement for all. A page has at most
    PAGE updates and ends with the one that reaches PAGE_BYTES, or earlier if many readers share GROWN_BYTES. The
    statement ends with the update that reaches `most_bytes` in total; later readers get nothing."""
    share = min(PAGE_BYTES, GROWN_BYTES // max(1, len(cursors)))
    ids, seqs = [task for task, _ in cursors], [cursor for _, cursor in cursors]
    rows = await database.fetch(_GROWN, ids, seqs, PAGE, share, most_bytes)
    reached = rows[-1]["n"] - 1 if rows and rows[-1]["of_all"] >= most_bytes else len(cursors)
    found: list[list[tuple[TaskUpdate, int]]] = [[] for _ in cursors]
    for row in rows:
        index = row["n"] - 1
        update = update_of(cursors[index][0], row, row["result"], left_out=bool(row["result_left_out"]))
        found[index].append((update, row["bytes"]))
    return [
        Grown(page, index >= reached or len(page) >= PAGE or sum(size for _, size in page) >= share)
        for index, page in enumerate(found)
    ]
