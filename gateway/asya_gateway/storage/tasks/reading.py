"""Reads tasks: one with everything that hangs on it, a follower's snapshot, or a page of many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.status import TERMINAL, TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.log import read_entry
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.ports import PausePoint, TaskFilter
from asya_gateway.domain.task import (
    LARGEST_INLINE,
    Snapshot,
    Task,
    TaskHead,
    TaskUpdate,
    final_update_of,
)
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ASKING, ENDED, ended_above

_COLUMNS = (
    "t.id, t.parent_id, t.context_id, t.owner, t.flow, t.status, t.route::text AS route, t.progress, t.message, "
    "t.actor, t.deadline_at, extract(epoch FROM t.remaining)::float8 AS remaining, t.last_seq, t.created_at, "
    "t.updated_at, t.finished_at"
)

_BODIES = """
CASE WHEN $3 THEN (SELECT body::text FROM task_bodies b WHERE b.task_id = t.id AND b.kind = 'payload') END AS payload,
(SELECT body::text FROM task_bodies b WHERE b.task_id = t.id AND b.kind = 'result') AS result,
(SELECT body::text FROM task_bodies b WHERE b.task_id = t.id AND b.kind = 'error') AS error,
(SELECT question::text FROM task_pauses p WHERE p.task_id = t.id AND p.pause_id = t.pause_id) AS question,
(SELECT retry_of FROM task_retries r WHERE r.task_id = t.id) AS retry_of
"""


def _inline(column: str) -> str:
    """The text of a JSON column where it is small, else null. The stored size, which the server knows without
    reading the value, is never larger than the text's; it spares it to unpack megabytes that nobody gets."""
    return (
        f"CASE WHEN pg_column_size({column}) <= {LARGEST_INLINE} THEN "
        f"CASE WHEN octet_length({column}::text) <= {LARGEST_INLINE} THEN {column}::text END END"
    )


def _small_body(kind: str, task: str) -> str:
    """A lateral join: `{kind}` is a task's body of this kind where it is small, `{kind}_left_out` says that there is
    a larger one."""
    return f"""LEFT JOIN LATERAL (
        SELECT found.body AS {kind}, found.body IS NULL AS {kind}_left_out FROM (
            SELECT {_inline("b.body")} AS body FROM task_bodies b WHERE b.task_id = {task} AND b.kind = '{kind}'
        ) found
    )"""


_DETAIL = f"CASE WHEN kind = 'progress' THEN detail::text ELSE {_inline('detail')} END AS detail"
"""A progress report's detail is small by its own limit; that of a question or an end may be as large as a result."""

_MINE = "t.id = $1 AND ($2::text IS NULL OR t.owner = $2)"

_SMALL = ", ".join(
    f"{_inline(text)} AS {name}, {text} IS NOT NULL AS has_{name}"
    for name, text in (("payload", "p.body"), ("result", "r.body"), ("error", "e.body"), ("question", "q.question"))
)

_GET_SMALL = f"""
SELECT {_COLUMNS}, {_SMALL}, (SELECT retry_of FROM task_retries r WHERE r.task_id = t.id) AS retry_of
FROM tasks t
LEFT JOIN task_bodies p ON $3 AND p.task_id = t.id AND p.kind = 'payload'
LEFT JOIN task_bodies r ON r.task_id = t.id AND r.kind = 'result'
LEFT JOIN task_bodies e ON e.task_id = t.id AND e.kind = 'error'
LEFT JOIN task_pauses q ON q.task_id = t.id AND q.pause_id = t.pause_id
WHERE {_MINE}
"""
"""A task whose bodies are small, in one statement; of another one what is large is left out."""

_SIZE = """
SELECT coalesce(sum(octet_length(body::text)), 0) + coalesce((
    SELECT octet_length(q.question::text) FROM tasks t
    JOIN task_pauses q ON q.task_id = t.id AND q.pause_id = t.pause_id WHERE t.id = $1), 0)
FROM task_bodies WHERE task_id = $1 AND ($2 OR kind <> 'payload')
"""

_HEAD = f"SELECT {_COLUMNS} FROM tasks t WHERE {_MINE}"

_GET = f"SELECT {_COLUMNS}, {_BODIES} FROM tasks t WHERE {_MINE}"

# A gateway of the version before counts no answers in the row.
_ANSWERS = """greatest(
    coalesce(t.incarnation, 0),
    (SELECT count(*) FROM task_pauses p WHERE p.task_id = t.id AND p.answered_at IS NOT NULL)::integer
)"""

_PAUSE_POINT = f"""
SELECT {_COLUMNS}, p.question::text AS question, p.checkpoint::text AS checkpoint,
       p.reported_as, {_ANSWERS} + 1 AS incarnation
FROM tasks t LEFT JOIN task_pauses p ON p.task_id = t.id AND p.pause_id = t.pause_id
WHERE {_MINE}
"""

_SIZE_OF_PAUSE = """
SELECT coalesce(max(octet_length(p.question::text) + coalesce(octet_length(p.checkpoint::text), 0)), 0)
FROM tasks t JOIN task_pauses p ON p.task_id = t.id AND p.pause_id = t.pause_id WHERE t.id = $1
"""

_ACTIVE = f"""
SELECT NOT (status {ENDED} OR status {ASKING} OR coalesce(deadline_at <= clock_timestamp(), false)
            OR (parent_id IS NOT NULL AND {ended_above("t.parent_id")} IS NOT NULL))
FROM tasks t WHERE id = $1
"""

_ENDS_WITH_ANCESTOR = f"""
SELECT NOT status {ENDED} AND {ended_above("t.parent_id")} IS NOT NULL FROM tasks t WHERE id = $1
"""

PAGE = 200
"""Most updates that are read at once for one reader."""
PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of their details beyond which a page ends, after at least one."""

# One row whatever the log's length: joined row by row, every update would carry the payload with it.
_SNAPSHOT = f"""
SELECT {_COLUMNS}, r.*, e.*, u.*
FROM tasks t
{_small_body("result", "t.id")} r ON t.finished_at IS NOT NULL
{_small_body("error", "t.id")} e ON t.finished_at IS NOT NULL
CROSS JOIN LATERAL (
    SELECT array_agg(seq ORDER BY seq) AS u_seq, array_agg(kind ORDER BY seq) AS u_kind,
           array_agg(status ORDER BY seq) AS u_status, array_agg(progress ORDER BY seq) AS u_progress,
           array_agg(detail ORDER BY seq) AS u_detail, array_agg(at ORDER BY seq) AS u_at
    FROM ({{page}}) p
) u
WHERE {_MINE}
"""

_PAGE = f"""
SELECT * FROM (
    SELECT seq, kind, status, progress, detail, at,
           sum(coalesce(octet_length(detail), 0)) OVER (ORDER BY seq) AS bytes,
           row_number() OVER (ORDER BY seq) AS number
    FROM (
        SELECT seq, kind, status, progress, {_DETAIL}, at FROM task_updates
        WHERE task_id = {{task}} AND seq > {{after}} {{bound}} ORDER BY seq LIMIT {PAGE}
    ) l
) w WHERE number = 1 OR bytes <= {PAGE_BYTES}
"""

_FIRST_PAGE = _SNAPSHOT.format(page=_PAGE.format(task="t.id", after="$3", bound="AND seq <= t.last_seq"))

_NEXT_PAGE = f"""
SELECT p.*, r.* FROM ({_PAGE.format(task="$1", after="$2", bound="")}) p
{_small_body("result", "$1")} r ON p.kind = 'final'
ORDER BY p.seq
"""

_UPDATE = """
SELECT seq, kind, status, progress, detail::text AS detail, at, CASE WHEN kind = 'final' THEN
       (SELECT body::text FROM task_bodies b WHERE b.task_id = $1 AND b.kind = 'result') END AS result
FROM task_updates WHERE task_id = $1 AND seq = $2
"""

_SIZE_OF_UPDATE = """
SELECT octet_length(u.detail::text) + CASE WHEN u.kind = 'final' THEN coalesce(
       (SELECT octet_length(body::text) FROM task_bodies b WHERE b.task_id = $1 AND b.kind = 'result'), 0) ELSE 0 END
FROM task_updates u WHERE u.task_id = $1 AND u.seq = $2
"""

_LIST = f"""
SELECT {_COLUMNS}
FROM tasks t
WHERE ($1::text IS NULL OR t.owner = $1)
  AND ($3::text IS NULL OR t.flow = $3)
  AND ($4::text IS NULL OR t.context_id = $4)
  AND ($5::text IS NULL OR t.parent_id = $5)
  AND ($6::timestamptz IS NULL OR (t.created_at, t.id) < ($6, $7)) AND {{state}} AND ($2::text IS NULL OR {{status}})
ORDER BY t.created_at DESC, t.id DESC {{end}}
"""

_OPEN = "t.finished_at IS NULL"
_ENDED_AS = {status: f"t.ended_as = '{status.value}'" for status in TERMINAL}
_ENDED_UNMARKED = "t.finished_at IS NOT NULL AND t.ended_as IS NULL"
"""What a process of an older version has ended; the status says as what."""


def _states(query: TaskFilter) -> Sequence[str]:
    """The kinds of tasks that a list is made of, each in the words of the index that holds it in the list's order:
    what is rare is found among millions without looking at them."""
    if query.status is not None:
        return (_ENDED_AS[query.status], _ENDED_UNMARKED) if query.status.terminal else (_OPEN,)
    if query.context_id is not None or query.parent_id is not None:
        # A conversation's tasks, or a fan-out's, are few, and have an index that asks for no state.
        return ("true",)
    return (_OPEN, *_ENDED_AS.values(), _ENDED_UNMARKED)


def _part(state: str) -> str:
    """A part of a list, read in the order of an index up to the page's end. The status of open tasks is looked at
    outside of the ordered part: a planner that believes a status to be rare reads and sorts whatever holds it."""
    if state == _OPEN:
        ordered = _LIST.format(state=state, status="true", end="OFFSET 0")
        return f"SELECT * FROM ({ordered}) ordered WHERE $2::text IS NULL OR status = $2 LIMIT $8"
    marked = state in _ENDED_AS.values()
    return _LIST.format(state=state, status="true" if marked else "t.status = $2", end="LIMIT $8")


def _listing(query: TaskFilter) -> str:
    """One statement; each part of it stops at the page's end."""
    if query.status is None:
        parts = [_LIST.format(state=state, status="true", end="LIMIT $8") for state in _states(query)]
    else:
        parts = [_part(state) for state in _states(query)]
    together = " UNION ALL ".join(f"({part})" for part in parts)
    return f"SELECT * FROM ({together}) found ORDER BY created_at DESC, id DESC LIMIT $8 - $9 OFFSET $9"


def _arguments(query: TaskFilter) -> tuple[Any, ...]:
    created_at, last_id = query.after or (None, None)
    of_whom = (query.owner, query.status, query.flow, query.context_id, query.parent_id)
    return (*of_whom, created_at, last_id, query.skip + query.limit, query.skip)


_BODY_NAMES = ("payload", "result", "error", "question")
WEIGHT = 6
"""What a body that is read weighs for each of its bytes: the driver's buffer, the text, the answer made of it as text
and bytes, and the socket's copies."""


class TaskReader:
    """Reads never wait for writes, and see what is committed."""

    def __init__(self, database: Database, budget: Budget) -> None:
        self._database = database
        self._budget = budget

    async def _room(self, sizes: str, *of: Any) -> None:
        """Wait until what is about to be read has room, in the budget's scope around. Raises NoRoom."""
        size = await self._database.fetchval(sizes, *of)
        await self._budget.reserve(Share.READERS, WEIGHT * (size or 0))

    async def head(self, task_id: str, *, owner: str | None) -> TaskHead | None:
        """The task's row alone."""
        row = await self._database.fetchrow(_HEAD, task_id, owner)
        return None if row is None else TaskHead(**_columns_of(row))

    async def get(self, task_id: str, *, owner: str | None, payload: bool = True) -> Task | None:
        """The task with result, error, open pause and, where it is asked for, payload."""
        row = await self._database.fetchrow(_GET_SMALL, task_id, owner, payload)
        if row is None:
            return None
        if any(row[f"has_{name}"] and row[name] is None for name in _BODY_NAMES):
            await self._room(_SIZE, task_id, payload)
            row = await self._database.fetchrow(_GET, task_id, owner, payload)
        return None if row is None else task_of(row)

    async def active(self, task_id: str) -> bool:
        """Whether work on the task makes sense now, by the database's clock."""
        return await self._database.fetchval(_ACTIVE, task_id) is not False

    async def ends_with_ancestor(self, task_id: str) -> bool:
        """Whether an open task has an ancestor whose end is its own, too."""
        return await self._database.fetchval(_ENDS_WITH_ANCESTOR, task_id) is True

    async def snapshot(self, task_id: str, after: int, *, owner: str | None) -> Snapshot | None:
        """The task and the first page of its updates beyond `after`, read in one statement, hence of one moment."""
        row = await self._database.fetchrow(_FIRST_PAGE, task_id, owner, after)
        if row is None:
            return None
        task = TaskHead(**_columns_of(row))
        return Snapshot(task, tuple(_snapshot_updates(task, row)), _end_of(task, row))

    async def updates(self, task_id: str, after: int) -> Sequence[TaskUpdate]:
        """The next page of updates beyond `after`."""
        rows = await self._database.fetch(_NEXT_PAGE, task_id, after)
        return [update_of(task_id, row, row["result"], left_out=bool(row["result_left_out"])) for row in rows]

    async def update(self, task_id: str, seq: int) -> TaskUpdate | None:
        """One entry with all its bodies; None where it was retired."""
        await self._room(_SIZE_OF_UPDATE, task_id, seq)
        row = await self._database.fetchrow(_UPDATE, task_id, seq)
        return None if row is None else update_of(task_id, row, row["result"])

    async def list(self, query: TaskFilter) -> list[TaskHead]:
        """Tasks without bodies, newest first."""
        rows = await self._database.fetch(_listing(query), *_arguments(query))
        return [TaskHead(**_columns_of(row)) for row in rows]

    async def count(self, query: TaskFilter) -> int:
        """How many tasks there are up to the end of a list's page."""
        query = replace(query, limit=query.skip + query.limit, skip=0)
        found: int = await self._database.fetchval(f"SELECT count(*) FROM ({_listing(query)}) n", *_arguments(query))
        return found

    async def pause_point(self, task_id: str, *, owner: str | None) -> PausePoint | None:
        """The task with its open pause and the checkpoint to go on from, and no other body."""
        await self._room(_SIZE_OF_PAUSE, task_id)
        row = await self._database.fetchrow(_PAUSE_POINT, task_id, owner)
        if row is None:
            return None
        task = TaskHead(**_columns_of(row), pause=_pause_of(row))
        return PausePoint(task, row["checkpoint"], row["incarnation"], row["reported_as"] or task.id)


_STORED_DEPTH = 3 * jsontext.MAX_DEPTH
"""Levels of what this gateway wrote: those of what came in, and those around it."""


def task_of(row: Any) -> Task:
    """A task from a row of _COLUMNS and _BODIES."""
    return Task(
        **_columns_of(row),
        payload=row["payload"],
        result=row["result"],
        error=_error_of(row),
        pause=_pause_of(row),
        retry_of=row["retry_of"],
    )


def _columns_of(row: Any) -> dict[str, Any]:
    """The fields of a TaskHead from a row of _COLUMNS."""
    return {
        "id": row["id"],
        "status": TaskStatus.read_of(row["status"], ended=row["finished_at"] is not None),
        "flow": row["flow"],
        "owner": row["owner"],
        "route": Route.from_dict(_loads(row["route"])),
        "progress": row["progress"],
        "last_seq": row["last_seq"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "parent_id": row["parent_id"],
        "context_id": row["context_id"],
        "message": row["message"],
        "actor": row["actor"],
        "deadline_at": row["deadline_at"],
        "remaining": row["remaining"],
        "finished_at": row["finished_at"],
    }


def _error_of(row: Any) -> TaskError | None:
    return None if row["error"] is None else TaskError.from_dict(_loads(row["error"]))


def _pause_of(row: Any) -> Pause | None:
    if row["question"] is None:
        return None
    return Pause.from_dict(_loads(row["question"]))


def _loads(text: str) -> Any:
    return jsontext.loads(text, max_depth=_STORED_DEPTH)


def _snapshot_updates(task: TaskHead, row: Any) -> Iterator[TaskUpdate]:
    names = ("seq", "kind", "status", "progress", "detail", "at")
    for values in zip(*(row[f"u_{name}"] or () for name in names), strict=True):
        fields = dict(zip(names, values, strict=True))
        yield update_of(task.id, fields, row["result"], left_out=bool(row["result_left_out"]))


def _end_of(task: TaskHead, row: Any) -> TaskUpdate | None:
    if not task.status.terminal:
        return None
    whole = not (row["result_left_out"] or row["error_left_out"])
    return final_update_of(task, result=row["result"], error=_error_of(row), whole=whole)


def update_of(task_id: str, row: Any, result: str | None, *, left_out: bool = False) -> TaskUpdate:
    """An update from a row of seq, kind, status, progress, detail, at; the terminal one carries the result, or says
    that it was `left_out`."""
    kind = UpdateKind.read(row["kind"])
    final, detail = kind is UpdateKind.FINAL, row["detail"]
    return TaskUpdate(
        task_id=task_id,
        seq=row["seq"],
        kind=kind,
        status=TaskStatus.read_of(row["status"], ended=final),
        progress=row["progress"],
        at=row["at"],
        entry=read_entry(kind, {} if detail is None else _loads(detail)),
        result=result if final else None,
        whole=detail is not None and not (final and left_out),
    )


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
            SELECT seq, kind, status, progress, {_DETAIL}, at
            FROM task_updates WHERE task_id = f.id AND seq > f.cursor ORDER BY seq LIMIT $3
        ) l
        {_small_body("result", "f.id")} r ON l.kind = 'final'
    ) w
) u
WHERE u.reached - u.bytes < $4
) everybody WHERE of_all - bytes < $5
ORDER BY n, seq
"""

GROWN_BYTES = 32 * 1024 * 1024
"""Bytes that one statement reads for all readers together, beyond a first update for each."""


@dataclass(frozen=True, slots=True)
class Grown:
    """A page of what a log grew by: updates with the bytes that each weighs, and whether the log may hold more."""

    updates: Sequence[tuple[TaskUpdate, int]]
    more: bool


async def grown(
    database: Database, cursors: Sequence[tuple[str, int]], most_bytes: int = 2 * GROWN_BYTES
) -> list[Grown]:
    """For each (task id, cursor) the updates beyond it, in order; one statement for all. A page has at most PAGE
    updates and ends with the one that makes it PAGE_BYTES, or less where many readers share GROWN_BYTES; with the
    update that makes all of them `most_bytes` the statement ends, and the readers behind it get nothing."""
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
