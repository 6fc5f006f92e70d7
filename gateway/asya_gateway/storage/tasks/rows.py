"""Columns of bodies and logs, and the objects made from such rows."""

from collections.abc import Sequence
from typing import Any

from asya_crds.status import TaskStatus, UpdateKind
from asya_crds.task_error import TaskError
from asya_gateway.domain.log import read_entry
from asya_gateway.domain.pause import Pause
from asya_gateway.domain.task import LARGEST_INLINE, Task, TaskUpdate
from asya_gateway.storage.tasks.heads import columns_of, loads


def inline(column: str) -> str:
    """SQL: the text of a JSON column if it is small, else null. The server knows the stored size without reading the
    value, and it is never larger than the text. Checking it first avoids decompressing megabytes that would be left
    out."""
    return (
        f"CASE WHEN pg_column_size({column}) <= {LARGEST_INLINE} THEN "
        f"CASE WHEN octet_length({column}::text) <= {LARGEST_INLINE} THEN {column}::text END END"
    )


def small_body(kind: str, task: str) -> str:
    """A lateral join: `{kind}` is a task's body of this kind if it is small; `{kind}_left_out` is true if there is a
    larger one."""
    return f"""LEFT JOIN LATERAL (
        SELECT found.body AS {kind}, found.body IS NULL AS {kind}_left_out FROM (
            SELECT {inline("b.body")} AS body FROM task_bodies b WHERE b.task_id = {task} AND b.kind = '{kind}'
        ) found
    )"""


def stored_body(kind: str) -> str:
    """SQL: a task's body of this kind, however large, or null."""
    return f"(SELECT body::text FROM task_bodies b WHERE b.task_id = t.id AND b.kind = '{kind}')"


def small_bodies(kinds: Sequence[str], where: str) -> str:
    """A SELECT of the bodies of these kinds of an ended task `t`, those `where` it holds, if they are small;
    `left_out` is true if there is a larger one. It is an aggregate, which the planner cannot turn into a join that
    walks a whole index."""
    columns = ", ".join(f"max(body) FILTER (WHERE kind = '{kind}') AS {kind}" for kind in kinds)
    return f"""SELECT {columns}, bool_or(body IS NULL) AS left_out FROM (
        SELECT kind, {inline("body")} AS body FROM task_bodies
        WHERE task_id = t.id AND t.finished_at IS NOT NULL AND ({where})
    ) bodies"""


RETRY_OF = "(SELECT retry_of FROM task_retries r WHERE r.task_id = t.id) AS retry_of"

DETAIL = f"CASE WHEN kind = 'progress' THEN detail::text ELSE {inline('detail')} END AS detail"
"""A progress report's detail is small by its own limit. That of a question or an end may be as large as a result."""

PAGE = 200
"""Most updates in one read for one reader."""
PAGE_BYTES = 4 * 1024 * 1024
"""A page of what is new ends once its details have this many bytes, after at least one update."""
ROW_BYTES = 512
"""Those of an entry in memory, beside its detail."""


def task_of(row: Any) -> Task:
    """A task from a row of COLUMNS and _BODIES."""
    return Task(
        **columns_of(row),
        payload=row["payload"],
        result=row["result"],
        error=error_of(row),
        pause=pause_of(row),
        retry_of=row["retry_of"],
    )


def error_of(row: Any) -> TaskError | None:
    return None if row["error"] is None else TaskError.from_dict(loads(row["error"]))


def pause_of(row: Any) -> Pause | None:
    """The open pause, from its `question` and from what has become of its `inputs`: {key: [answered, set_aside]}."""
    if row["question"] is None:
        return None
    pause = Pause.from_dict(loads(row["question"]))
    if row["inputs"] is None:
        return pause
    states = loads(row["inputs"])
    return pause.after(
        {key for key, (answered, _) in states.items() if answered}, {key: aside for key, (_, aside) in states.items()}
    )


def update_of(task_id: str, row: Any, result: str | None, *, left_out: bool = False) -> TaskUpdate:
    """An update from a row of seq, kind, status, progress, detail, at. The terminal one has the result, or `left_out`
    is true."""
    kind = UpdateKind.read(row["kind"])
    final, detail = kind is UpdateKind.FINAL, row["detail"]
    return TaskUpdate(
        task_id=task_id,
        seq=row["seq"],
        kind=kind,
        status=TaskStatus.read_of(row["status"], ended=final),
        progress=row["progress"],
        at=row["at"],
        entry=read_entry(kind, {} if detail is None else loads(detail)),
        result=result if final else None,
        whole=detail is not None and not (final and left_out),
    )
