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

PROGRESS = f"""CASE WHEN {_REPORTED} >= {_REACHED} THEN greatest(t.progress,
            coalesce(t.answered_progress + (100 - t.answered_progress) * r.progress / 100, r.progress))
            ELSE t.progress END"""
"""After an answer with a new route, that route covers the remaining part of the progress."""
