"""Pieces of SQL that compare a report `r` with its task `t` by (incarnation, hop).

A report that names no incarnation belongs to the last one that goes on under the task's own id.
"""

_REPORTED = "coalesce(r.incarnation, t.own_incarnation, 0)"
_REACHED = "coalesce(t.incarnation, 0)"

CURRENT = f"{_REPORTED} >= {_REACHED}"
"""The report is not of work that a later answer has replaced. (It may be ahead of the row: a gateway of the version
before counts no answers.)"""

NEWER = f"({_REPORTED}, r.hop) >= ({_REACHED}, t.hop)"
"""The report's route and actor replace the stored ones."""

PROGRESS = f"""CASE WHEN {_REPORTED} >= {_REACHED} THEN greatest(t.progress,
            coalesce(t.answered_progress + (100 - t.answered_progress) * r.progress / 100, r.progress))
            ELSE t.progress END"""
"""What is left after an answer is what its own route, which begins anew, goes through."""
