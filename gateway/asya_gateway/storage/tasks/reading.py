"""Reads tasks: one with its bodies and its pause, a follower's snapshot, or a page of many."""

from collections.abc import Iterator
from typing import Any

from asya_gateway.domain.answers import PausePoint
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.owners import OwnerScope
from asya_gateway.domain.ports import TaskFilter, TaskPage
from asya_gateway.domain.task import (
    Snapshot,
    StoredPage,
    Task,
    TaskHead,
    TaskUpdate,
    final_update_of,
)
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks import listing
from asya_gateway.storage.tasks.guards import ASKING, ENDED, ended_above
from asya_gateway.storage.tasks.heads import COLUMNS, columns_of
from asya_gateway.storage.tasks.owners import owned, owner_parameter
from asya_gateway.storage.tasks.rows import (
    DETAIL,
    PAGE,
    RETRY_OF,
    ROW_BYTES,
    error_of,
    inline,
    pause_of,
    small_body,
    stored_body,
    task_of,
    update_of,
)

INPUTS = """CASE WHEN t.pause_id IS NOT NULL THEN (
    SELECT json_object_agg(i.key, json_build_array(i.answered_at IS NOT NULL, i.set_aside))::text FROM task_inputs i
    WHERE i.task_id = t.id AND i.pause_id = t.pause_id AND (i.answered_at IS NOT NULL OR i.set_aside <> '{}')
) END AS inputs"""
"""What has become of the open pause's inputs."""

_BODIES = f"""
CASE WHEN $3 THEN {stored_body("payload")} END AS payload,
{stored_body("result")} AS result,
{stored_body("error")} AS error,
(SELECT question::text FROM task_pauses p WHERE p.task_id = t.id AND p.pause_id = t.pause_id) AS question,
{INPUTS},
{RETRY_OF}
"""


_MINE = f"t.id = $1 AND {owned(2, 't.owner')}"

_SMALL = ", ".join(
    f"{inline(text)} AS {name}, {text} IS NOT NULL AS has_{name}"
    for name, text in (("payload", "p.body"), ("result", "r.body"), ("error", "e.body"), ("question", "q.question"))
)

_GET_SMALL = f"""
SELECT {COLUMNS}, {_SMALL}, {INPUTS}, {RETRY_OF}
FROM tasks t
LEFT JOIN task_bodies p ON $3 AND p.task_id = t.id AND p.kind = 'payload'
LEFT JOIN task_bodies r ON r.task_id = t.id AND r.kind = 'result'
LEFT JOIN task_bodies e ON e.task_id = t.id AND e.kind = 'error'
LEFT JOIN task_pauses q ON q.task_id = t.id AND q.pause_id = t.pause_id
WHERE {_MINE}
"""
"""Reads a task with small bodies in one statement. Large bodies are left out."""

_SIZE = """
SELECT coalesce(sum(octet_length(body::text)), 0) + coalesce((
    SELECT octet_length(q.question::text) FROM tasks t
    JOIN task_pauses q ON q.task_id = t.id AND q.pause_id = t.pause_id WHERE t.id = $1), 0)
FROM task_bodies WHERE task_id = $1 AND ($2 OR kind <> 'payload')
"""

_HEAD = f"SELECT {COLUMNS} FROM tasks t WHERE {_MINE}"

_GET = f"SELECT {COLUMNS}, {_BODIES} FROM tasks t WHERE {_MINE}"

# A gateway of the previous version does not count answers in the row.
_ANSWERS = """greatest(
    coalesce(t.incarnation, 0),
    (SELECT count(*) FROM task_pauses p WHERE p.task_id = t.id AND p.answered_at IS NOT NULL)::integer
)"""

_PAUSE_POINT = f"""
SELECT {COLUMNS}, p.question::text AS question, p.checkpoint::text AS checkpoint,
       p.reported_as, {_ANSWERS} + 1 AS incarnation, {INPUTS}, given.*
FROM tasks t LEFT JOIN task_pauses p ON p.task_id = t.id AND p.pause_id = t.pause_id
CROSS JOIN LATERAL (
    SELECT array_agg(i.key) AS given_keys, array_agg(i.answer::text) AS given_values FROM task_inputs i
    WHERE i.task_id = t.id AND i.pause_id = t.pause_id AND i.answered_at IS NOT NULL
) given
WHERE {_MINE}
"""

_SIZE_OF_PAUSE = """
SELECT coalesce(max(octet_length(p.question::text) + coalesce(octet_length(p.checkpoint::text), 0)), 0) + coalesce((
    SELECT sum(octet_length(i.answer::text)) FROM tasks t
    JOIN task_inputs i ON i.task_id = t.id AND i.pause_id = t.pause_id WHERE t.id = $1), 0)
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

# One row for the whole log: if the log were joined row by row, every update would repeat the payload.
_SNAPSHOT = f"""
SELECT {COLUMNS}, r.*, e.*, u.*
FROM tasks t
{small_body("result", "t.id")} r ON t.finished_at IS NOT NULL
{small_body("error", "t.id")} e ON t.finished_at IS NOT NULL
CROSS JOIN LATERAL (
    SELECT array_agg(seq ORDER BY seq) AS u_seq, array_agg(kind ORDER BY seq) AS u_kind,
           array_agg(status ORDER BY seq) AS u_status, array_agg(progress ORDER BY seq) AS u_progress,
           array_agg(detail ORDER BY seq) AS u_detail, array_agg(at ORDER BY seq) AS u_at, max(bytes) AS u_bytes
    FROM ({{page}}) p
) u
WHERE {_MINE}
"""

_PAGE = f"""
SELECT * FROM (
    SELECT seq, kind, status, progress, detail, at,
           sum(coalesce(octet_length(detail), 0) + {ROW_BYTES}) OVER (ORDER BY seq) AS bytes,
           row_number() OVER (ORDER BY seq) AS number
    FROM (
        SELECT seq, kind, status, progress, {DETAIL}, at FROM task_updates
        WHERE task_id = {{task}} AND seq > {{after}} {{bound}} ORDER BY seq LIMIT {PAGE}
    ) l
) w WHERE (number = 1 AND {{most}} > 0) OR bytes <= {{most}}
"""

_FIRST_PAGE = _SNAPSHOT.format(
    page=_PAGE.format(task="t.id", after="$3", most="$4::bigint", bound="AND seq <= t.last_seq")
)

_NEXT_PAGE = f"""
SELECT p.*, r.* FROM ({_PAGE.format(task="$1", after="$2", most="$3::bigint", bound="")}) p
{small_body("result", "$1")} r ON p.kind = 'final'
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

_BODY_NAMES = ("payload", "result", "error", "question")
WEIGHT = 6
"""Weight of a body that is read, per byte: the driver's buffer, the text, the response as text and bytes, and the
socket's copies."""


class TaskReader:
    """Reads tasks. Reads never wait for writes, and see committed data."""

    def __init__(self, database: Database, budget: Budget) -> None:
        self._database = database
        self._hot = database.hot
        self._budget = budget

    async def _room(self, sizes: str, *of: Any) -> None:
        """Wait until there is room for the bodies to be read, in the enclosing scope of the budget. Raises NoRoom."""
        size = await self._database.fetchval(sizes, *of)
        await self._budget.reserve(Share.READERS, WEIGHT * (size or 0))

    async def head(self, task_id: str, *, owner: OwnerScope) -> TaskHead | None:
        """Only the task's row."""
        row = await self._hot.fetchrow(_HEAD, task_id, owner_parameter(owner))
        return None if row is None else TaskHead(**columns_of(row))

    async def get(self, task_id: str, *, owner: OwnerScope, payload: bool = True) -> Task | None:
        """The task with result, error, open pause and, on request, payload."""
        row = await self._hot.fetchrow(_GET_SMALL, task_id, owner_parameter(owner), payload)
        if row is None:
            return None
        if any(row[f"has_{name}"] and row[name] is None for name in _BODY_NAMES):
            await self._room(_SIZE, task_id, payload)
            row = await self._database.fetchrow(_GET, task_id, owner_parameter(owner), payload)
        return None if row is None else task_of(row)

    async def active(self, task_id: str) -> bool:
        """Whether work on the task makes sense now. The deadline is checked by the database's clock."""
        return await self._hot.fetchval(_ACTIVE, task_id) is not False

    async def ends_with_ancestor(self, task_id: str) -> bool:
        """Whether an open task has an ancestor whose end also ends it."""
        return await self._database.fetchval(_ENDS_WITH_ANCESTOR, task_id) is True

    async def snapshot(self, task_id: str, after: int, *, owner: OwnerScope, most: int) -> Snapshot | None:
        """The task and the first page of its updates beyond `after`, read in one statement and so consistent."""
        row = await self._hot.fetchrow(_FIRST_PAGE, task_id, owner_parameter(owner), after, most)
        if row is None:
            return None
        task = TaskHead(**columns_of(row))
        size = int(row["u_bytes"] or 0) + len(row["result"] or "") + len(row["error"] or "")
        return Snapshot(task, tuple(_snapshot_updates(task, row)), after, size, _end_of(task, row))

    async def updates(self, task_id: str, after: int, most: int) -> StoredPage:
        """The next page of updates beyond `after`."""
        rows = await self._hot.fetch(_NEXT_PAGE, task_id, after, most)
        updates = [update_of(task_id, row, row["result"], left_out=bool(row["result_left_out"])) for row in rows]
        size = int(rows[-1]["bytes"]) + len(rows[-1]["result"] or "") if rows else 0
        return StoredPage(updates, size)

    async def update(self, task_id: str, seq: int) -> TaskUpdate | None:
        """One entry with all its bodies; None if retention has removed it."""
        await self._room(_SIZE_OF_UPDATE, task_id, seq)
        row = await self._database.fetchrow(_UPDATE, task_id, seq)
        return None if row is None else update_of(task_id, row, row["result"])

    async def page(self, query: TaskFilter) -> TaskPage:
        """Tasks without bodies, newest first."""
        return await listing.page(self._database, query)

    async def count(self, query: TaskFilter) -> int:
        """The number of tasks up to the end of a page."""
        return await listing.count(self._database, query)

    async def pause_point(self, task_id: str, *, owner: OwnerScope) -> PausePoint | None:
        """The task with its open pause and the checkpoint, and no other body."""
        await self._room(_SIZE_OF_PAUSE, task_id)
        row = await self._database.fetchrow(_PAUSE_POINT, task_id, owner_parameter(owner))
        if row is None:
            return None
        task = TaskHead(**columns_of(row), pause=pause_of(row))
        values = dict(zip(row["given_keys"] or (), row["given_values"] or (), strict=True))
        return PausePoint(task, row["checkpoint"], row["incarnation"], row["reported_as"] or task.id, values)


def _snapshot_updates(task: TaskHead, row: Any) -> Iterator[TaskUpdate]:
    names = ("seq", "kind", "status", "progress", "detail", "at")
    for values in zip(*(row[f"u_{name}"] or () for name in names), strict=True):
        fields = dict(zip(names, values, strict=True))
        yield update_of(task.id, fields, row["result"], left_out=bool(row["result_left_out"]))


def _end_of(task: TaskHead, row: Any) -> TaskUpdate | None:
    if not task.status.terminal:
        return None
    whole = not (row["result_left_out"] or row["error_left_out"])
    return final_update_of(task, result=row["result"], error=error_of(row), whole=whole)
