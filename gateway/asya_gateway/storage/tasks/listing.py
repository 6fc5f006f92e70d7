"""Pages of many tasks, each read in the order of an index."""

from collections.abc import Sequence
from typing import Any

from asya_crds.status import TERMINAL
from asya_gateway.domain.ports import TaskFilter
from asya_gateway.storage.tasks.owners import owner_parameter
from asya_gateway.storage.tasks.rows import COLUMNS

_LIST = f"""
SELECT {COLUMNS}
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


def listing(query: TaskFilter) -> str:
    """One statement; each part of it stops at the page's end."""
    if query.status is None:
        parts = [_LIST.format(state=state, status="true", end="LIMIT $8") for state in _states(query)]
    else:
        parts = [_part(state) for state in _states(query)]
    together = " UNION ALL ".join(f"({part})" for part in parts)
    return f"SELECT * FROM ({together}) found ORDER BY created_at DESC, id DESC LIMIT $8 - $9 OFFSET $9"


def arguments_of(query: TaskFilter) -> tuple[Any, ...]:
    created_at, last_id = query.after or (None, None)
    of_whom = (owner_parameter(query.owner), query.status, query.flow, query.context_id, query.parent_id)
    return (*of_whom, created_at, last_id, query.skip + query.limit, query.skip)
