"""SQL fragments that compare a report `r` with its task `t` by (incarnation, hop).

A report without an incarnation belongs to the last one that continues under the task's own id.
"""

_REPORTED = "coalesce(r.incarnation, t.own_incarnation, 0)"
_REACHED = "coalesce(t.incarnation, 0)"

CURRENT = f"{_REPORTED} >= {_REACHED}"
"""The report does not belong to work that a later answer has replaced. (It may be ahead of the row, because a gateway
of the previous version does not count answers.)"""

NEWER = f"({_REPORTED}, r.hop) >= ({_REACHED}, t.hop)"
"""The report's route and actor replace the stored ones."""


def progress_sql(task: str = "t", reported: str = "r.progress") -> str:
    """SQL for the progress of a task after a report. After an answer with a new route, that route covers the remaining
    part of the progress. `task`: the alias of the task's row before the report."""
    number = f"coalesce(r.incarnation, {task}.own_incarnation, 0)"
    return f"""CASE WHEN {number} >= coalesce({task}.incarnation, 0) THEN greatest({task}.progress,
            coalesce({task}.answered_progress + (100 - {task}.answered_progress) * {reported} / 100, {reported}))
            ELSE {task}.progress END"""


PROGRESS = progress_sql()
