"""Ends what hangs below an ended task, a chunk a statement.

The task's own end is committed before. From then on every statement that lets work begin looks up the tree
(guards.ended_above), so it does not matter to anybody how long the rest takes.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from asya_crds import jsontext
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.log import FinalEntry
from asya_gateway.domain.reports import FinalReport
from asya_gateway.storage.chunks import CHUNK, Chunk
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ENDED, has_children
from asya_gateway.telemetry.observer import FAN_OUT

log = logging.getLogger(__name__)

BETWEEN = 0.01
"""Seconds between two chunks, which leave the database to others."""
TREES = 10_000
"""Ended tasks whose children wait for their end in this process. What is beyond is found by the orphans' sweep."""
MESSAGE = "Ended with its parent"
"""What each descendant's log says. The caller's own words stand in the log of the task that was ended, once."""

Ended = Callable[[str, str, str, float], None]
"""Hears of (flow, surface, status, seconds from acceptance to end); the surface of a child is FAN_OUT."""

# Newest first, in the order of the index: what has ended already is passed over once, and never looked at again.
_CHILDREN = f"""
WITH page AS MATERIALIZED (
    SELECT id, created_at, NOT status {ENDED} AS open FROM tasks
    WHERE parent_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
    ORDER BY created_at DESC, id DESC LIMIT $4
)
SELECT id, created_at, open, {has_children("page.id")} AS has_children
FROM page ORDER BY created_at DESC, id DESC
"""

_END = f"""
WITH locked AS MATERIALIZED (
    SELECT id FROM tasks WHERE id = ANY ($1) AND NOT status {ENDED} ORDER BY id FOR NO KEY UPDATE
), applied AS (
    UPDATE tasks t SET
        status = $2, ended_as = $2, message = $3,
        last_seq = t.last_seq + 1, remaining = NULL, pause_id = NULL,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
    FROM locked l WHERE t.id = l.id
    RETURNING t.id, t.last_seq, t.progress, t.updated_at, t.flow, t.created_at
), bodies AS (
    INSERT INTO task_bodies (task_id, kind, body) SELECT id, 'error', $4::json FROM applied
    ON CONFLICT DO NOTHING
), logged AS (
    INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, last_seq, 'final', $2, progress, $5::json, updated_at FROM applied
)
SELECT id, flow, extract(epoch FROM updated_at - created_at)::float8 AS took FROM applied
"""

_END_OF = """
SELECT t.status, (SELECT body::text FROM task_bodies b WHERE b.task_id = t.id AND b.kind = 'error') AS error
FROM tasks t WHERE t.id = $1
"""


@dataclass(frozen=True, slots=True)
class End:
    """How a task ended that did not succeed, as far as its descendants end alike."""

    status: str
    code: str
    error_class: str

    @classmethod
    def of(cls, report: FinalReport) -> "End":
        """The end that was reported."""
        if report.error is None:
            return cls.known(report.status, None, None)
        return cls.known(report.status, report.error.code, report.error.error_class)

    @classmethod
    def stored(cls, status: str, error: str | None) -> "End":
        """The end that a row and its error's JSON text tell of."""
        found = {} if error is None else jsontext.loads(error, max_depth=2 * jsontext.MAX_DEPTH)
        return cls.known(status, found.get("code"), found.get("class"))

    @classmethod
    def known(cls, status: str, code: str | None, error_class: str | None) -> "End":
        """With what is always said of such an end where nothing was said."""
        usual = _CANCELED if status == TaskStatus.CANCELED else _FAILED
        return cls(status, code or usual[0], error_class or usual[1])

    def error(self) -> TaskError:
        """The error of a descendant."""
        return TaskError(self.code, MESSAGE, ErrorClass.read(self.error_class))


_CANCELED = ("canceled", ErrorClass.CANCELED.value)
_FAILED = ("runtime_error", ErrorClass.RUNTIME.value)


@dataclass(slots=True)
class _Place:
    """How far the children of one task have been ended: the newest of those that are left stand below `last`."""

    parent_id: str
    last: tuple[datetime | None, str | None] = (None, None)


@dataclass(slots=True, eq=False)
class _Tree:
    """A task that has ended, and the places below it that are left, the deepest last: in this order there are never
    more of them than a chunk for each level."""

    end: End
    places: list[_Place]
    begun: asyncio.Event = field(default_factory=asyncio.Event)


class Cascade:
    """Ends the descendants of ended tasks: chunk by chunk, tree by tree in turn, on one connection at a time.

    Trees are kept in memory alone. What a process leaves undone when it ends is found by the orphans' sweep of any.
    """

    def __init__(self, database: Database, written: Callable[[Sequence[str]], None], ended: Ended) -> None:
        self._database = database
        self._written = written
        self._ended = ended
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._chunk = Chunk(CHUNK)
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to end what was taken, or will be."""
        self._loop = asyncio.create_task(self._run_for_ever(), name="cascade")

    async def stop(self) -> None:
        """End no further chunk."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        for tree in self._trees.values():
            tree.begun.set()

    def take(self, task_id: str, end: End) -> None:
        """End the descendants of a task that has ended. Returns at once."""
        if task_id not in self._trees and len(self._trees) < TREES:
            self._trees[task_id] = _Tree(end, [_Place(task_id)])
            self._wake.set()

    def at_work_below(self, task_id: str) -> bool:
        """Whether the descendants of this task are being ended here already."""
        return task_id in self._trees

    async def begun(self, task_id: str, patience: float) -> None:
        """Wait until the first chunk below a task has ended, if there is one: a small tree has ended by then."""
        tree = self._trees.get(task_id)
        if tree is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await tree.begun.wait()

    async def below(self, task_id: str, end: End) -> int:
        """End all descendants; returns how many this call ended. Raises Unavailable."""
        tree, count = _Tree(end, [_Place(task_id)]), 0
        while tree.places:
            count += await self._step(tree)
        return count

    async def end_with(self, ancestor: str, ids: Sequence[str]) -> int:
        """End these descendants of an ended task; returns how many this call ended. Raises Unavailable."""
        return await self._apply(ids, await self.end_of(ancestor))

    async def end_of(self, task_id: str) -> End:
        """How a task has ended. Raises Unavailable."""
        row = await self._database.fetchrow(_END_OF, task_id)
        if row is None:
            return End.known(TaskStatus.CANCELED, None, None)
        return End.stored(row["status"], row["error"])

    async def _run_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            if not self._trees:
                self._wake.clear()
                continue
            task_id, tree = self._trees.popitem(last=False)
            self._trees[task_id] = tree
            try:
                await self._step(tree)
            except Unavailable:
                await asyncio.sleep(0.5)
                continue
            except Exception:
                log.exception("the descendants of a task are left to the sweeper", extra={"task_id": task_id})
                tree.places.clear()
            if not tree.places:
                del self._trees[task_id]
            tree.begun.set()
            await asyncio.sleep(BETWEEN if self._trees else 0)

    async def _step(self, tree: _Tree) -> int:
        """End one chunk of the deepest children that are left."""
        place = tree.places[-1]
        size = self._chunk.size
        with self._chunk.judged():
            page = await self._database.fetch(_CHILDREN, place.parent_id, *place.last, size)
            applied = await self._apply([row["id"] for row in page if row["open"]], tree.end)
        if len(page) < size:
            tree.places.pop()
        else:
            place.last = (page[-1]["created_at"], page[-1]["id"])
        # What is open below a child that had ended before ends, too.
        tree.places += [_Place(row["id"]) for row in page if row["has_children"]]
        return applied

    async def _apply(self, ids: Sequence[str], end: End) -> int:
        if not ids:
            return 0
        error = end.error()
        rows = await self._database.fetch(
            _END,
            ids,
            end.status,
            MESSAGE,
            jsontext.dumps(error.as_dict()),
            FinalEntry(message=MESSAGE, error=error).to_json(),
        )
        self._written([row["id"] for row in rows])
        for row in rows:
            self._ended(row["flow"], FAN_OUT, end.status, row["took"])
        return len(rows)
