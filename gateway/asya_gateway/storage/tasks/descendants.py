"""Ends descendants of an ended task: each statement ends a chunk of one parent's children."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from asya_crds import jsontext
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.log import FinalEntry
from asya_gateway.domain.reports import FinalReport
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ENDED, has_children
from asya_gateway.storage.tasks.rows import stored_body
from asya_gateway.storage.tasks.written import ENDING, GROWN, INTO_BODIES, INTO_LOG
from asya_gateway.telemetry.observer import FAN_OUT

SLOTS = 3
"""Chunks that are ended at the same time in a database, whatever the number of processes."""
_SLOT_CLASS = 0x61737961
"""First part of the keys of their advisory locks ("asya" in ASCII)."""
MESSAGE = "Ended with its parent"
"""The message in each descendant's log. The caller's own reason is only in the log of the task that was ended."""

Ended = Callable[[str, str, str, float], None]
"""Called with (flow, surface, status, seconds from acceptance to end). The surface of a child is FAN_OUT."""

# Newest first, in the order of the index: tasks that have already ended are passed once and never read again.
_WITHIN = """parent_id = $1
    AND (created_at, id) < (coalesce($2::timestamptz, 'infinity'), coalesce($3::text, ''))
    AND (created_at, id) >= (coalesce($4::timestamptz, '-infinity'), coalesce($5::text, ''))"""
_ORDER = "ORDER BY created_at DESC, id DESC"

_CUT = f"SELECT created_at, id FROM tasks WHERE {_WITHIN} {_ORDER} OFFSET $6 LIMIT 1"

_WAITING = f"""
SELECT id FROM (SELECT id, status FROM tasks WHERE {_WITHIN} {_ORDER} LIMIT $6) page WHERE NOT status {ENDED}
"""

_ASKED = " ".join(f"WHEN pg_try_advisory_xact_lock({_SLOT_CLASS}, {number}) THEN true" for number in range(SLOTS))


def _applied(joined: str, status: str, message: str, error: str, detail: str) -> str:
    """SQL for the CTE `applied`, which ends the `locked` rows, and for the writes that go with it."""
    return f"""applied AS (
    UPDATE tasks t SET
        status = {status}, ended_as = {status}, message = {message},
        {ENDING}
    FROM locked l WHERE {joined}
    RETURNING {GROWN}, t.flow,
              extract(epoch FROM t.updated_at - t.created_at)::float8 AS took
), bodies AS (
    {INTO_BODIES} SELECT id, 'error', {error}::json FROM applied
    ON CONFLICT DO NOTHING
), logged AS (
    {INTO_LOG}
    SELECT id, last_seq, 'final', {status}, progress, {detail}::json, updated_at FROM applied
)"""


# Each row is looked up once, in the order of an index, and is then addressed by its place in the table, so nothing
# depends on how many rows the planner expects. (Without a limit it expects a quarter of a tree between two edges in its
# middle, and reads the whole table.) The statement waits for no row. A row that is locked by others, or was changed
# since the statement began, is neither applied nor ended when it returns. Without a slot it touches nothing.
_END_RANGE = f"""
WITH slot AS MATERIALIZED (
    SELECT CASE {_ASKED} ELSE false END AS had
), page AS MATERIALIZED (
    SELECT id, ctid AS place, NOT status {ENDED} AS open FROM tasks WHERE (SELECT had FROM slot) AND {_WITHIN}
    {_ORDER} LIMIT $10
), locked AS MATERIALIZED (
    SELECT ctid AS place FROM tasks
    WHERE ctid = ANY (ARRAY(SELECT place FROM page WHERE open)) AND NOT status {ENDED} FOR NO KEY UPDATE SKIP LOCKED
), {_applied("t.ctid = l.place", "$6", "$7", "$8", "$9")}
SELECT NULL AS id, NULL AS flow, NULL AS took, NULL AS missed, NULL AS has_children, had FROM slot
UNION ALL
SELECT p.id, a.flow, a.took, p.open AND a.id IS NULL, {has_children("p.id")}, true
FROM page p LEFT JOIN applied a USING (id)
"""

# In the order of ids, like every statement that waits for several rows.
_END_EACH = f"""
WITH locked AS MATERIALIZED (
    SELECT id FROM tasks WHERE id = ANY ($1) AND NOT status {ENDED} ORDER BY id FOR NO KEY UPDATE
), {_applied("t.id = l.id", "$2", "$3", "$4", "$5")}
SELECT id, flow, took FROM applied
"""

_END_OF = f"""
SELECT t.status, {stored_body("error")} AS error
FROM tasks t WHERE t.id = $1
"""


@dataclass(frozen=True, slots=True)
class SharedEnd:
    """How an unsuccessful task ended, in the parts that its descendants share."""

    status: str
    code: str
    error_class: str

    @classmethod
    def of(cls, report: FinalReport) -> "SharedEnd":
        """The end in a final report."""
        if report.error is None:
            return cls.known(report.status, None, None)
        return cls.known(report.status, report.error.code, report.error.error_class)

    @classmethod
    def stored(cls, status: str, error: str | None) -> "SharedEnd":
        """The end stored in a row and its error's JSON text."""
        found = {} if error is None else jsontext.loads(error, max_depth=2 * jsontext.MAX_DEPTH)
        return cls.known(status, found.get("code"), found.get("class"))

    @classmethod
    def known(cls, status: str, code: str | None, error_class: str | None) -> "SharedEnd":
        """The end, with default code and class if they are unknown."""
        usual = _CANCELED if status == TaskStatus.CANCELED else _FAILED
        return cls(status, code or usual[0], error_class or usual[1])

    def error(self) -> TaskError:
        """The error of a descendant."""
        return TaskError(self.code, MESSAGE, ErrorClass.read(self.error_class))

    def columns(self) -> tuple[str, str, str, str]:
        """Status, message, error and the log's detail, as statement arguments."""
        error = self.error()
        detail = FinalEntry(message=MESSAGE, error=error).to_json()
        return self.status, MESSAGE, jsontext.dumps(error.as_dict()), detail


_CANCELED = ("canceled", ErrorClass.CANCELED.value)
_FAILED = ("runtime_error", ErrorClass.RUNTIME.value)

Edge = tuple[datetime | None, str | None]
"""created_at and id of a child, or a pair of None for the outermost edge."""
OUTSIDE: Edge = (None, None)


@dataclass(frozen=True, slots=True)
class Range:
    """Children of one task, newest first: those after `above`, down to `last`. `held`: some of them were locked or
    changed by others, so the next statement waits for them."""

    parent_id: str
    above: Edge = OUTSIDE
    last: Edge = OUTSIDE
    held: bool = False

    def arguments(self) -> tuple[Any, ...]:
        """The range as statement arguments."""
        return (self.parent_id, *self.above, *self.last)

    def parted(self, edge: Edge) -> "tuple[Range, Range]":
        """The part down to this edge, and the one after it."""
        return replace(self, last=edge), replace(self, above=edge)


@dataclass(frozen=True, slots=True)
class RangeEnded:
    """The result for a range: how many children this call ended, whether possibly open ones were skipped, and which of
    them have children."""

    count: int
    missed: bool
    parents: Sequence[str]


class Descendants:
    """Runs the statements. `over` is called with the tasks that it has ended, `ended` with each end."""

    def __init__(self, database: Database, over: Callable[[Sequence[str]], None], ended: Ended) -> None:
        self._database = database
        self._over = over
        self._ended = ended

    async def cut(self, range_: Range, size: int) -> tuple[Range, Range | None]:
        """Splits off the first `size` children; returns them and the rest, if any. Raises Unavailable."""
        row = await self._database.fetchrow(_CUT, *range_.arguments(), size - 1)
        return (range_, None) if row is None else range_.parted((row["created_at"], row["id"]))

    async def end_range(self, range_: Range, end: SharedEnd, most: int) -> RangeEnded | None:
        """End the first `most` children of a range, without waiting for locked ones; None if all slots are taken.
        Raises Unavailable."""
        told, *rows = await self._database.fetch(_END_RANGE, *range_.arguments(), *end.columns(), most)
        if not told["had"]:
            return None
        applied = [row for row in rows if row["flow"] is not None]
        self._tell(applied, end)
        parents = [row["id"] for row in rows if row["has_children"]]
        return RangeEnded(len(applied), any(row["missed"] for row in rows), parents)

    async def end_held(self, range_: Range, end: SharedEnd, most: int) -> int:
        """End those of the first `most` children that are still open, waiting for each; returns how many this call
        ended. Raises Unavailable."""
        rows = await self._database.fetch(_WAITING, *range_.arguments(), most)
        return await self.end_each([row["id"] for row in rows], end)

    async def end_each(self, ids: Sequence[str], end: SharedEnd) -> int:
        """End these tasks, waiting for each; returns how many this call ended. Raises Unavailable."""
        if not ids:
            return 0
        rows = await self._database.fetch(_END_EACH, ids, *end.columns())
        self._tell(rows, end)
        return len(rows)

    async def end_of(self, task_id: str) -> SharedEnd:
        """How the task ended. Raises Unavailable."""
        row = await self._database.fetchrow(_END_OF, task_id)
        if row is None:
            return SharedEnd.known(TaskStatus.CANCELED, None, None)
        return SharedEnd.stored(row["status"], row["error"])

    def _tell(self, rows: Sequence[Any], end: SharedEnd) -> None:
        self._over([row["id"] for row in rows])
        for row in rows:
            self._ended(row["flow"], FAN_OUT, end.status, row["took"])
