"""SQL fragments made from the domain's order of statuses, so that the order is defined in one place."""

from collections.abc import Iterable

from asya_crds.status import RUNNABLE, TERMINAL, WAITING, TaskStatus


def _listed(statuses: Iterable[TaskStatus]) -> str:
    return "(" + ", ".join(f"'{status.value}'" for status in statuses) + ")"


ENDED = f"IN {_listed(TERMINAL)}"
"""`status {ENDED}`: the task has ended."""

MOVING = f"IN {_listed(RUNNABLE)}"
"""`status {MOVING}`: progress is accepted."""

ASKING = f"IN {_listed(WAITING)}"
"""`status {ASKING}`: the task waits for an answer."""

SPREADING = f"IN {_listed(status for status in TERMINAL if status is not TaskStatus.SUCCEEDED)}"
"""`status {SPREADING}`: an end that also ends all descendants."""

STATUS_AT = "CASE WHEN t.status = 'pending' THEN clock_timestamp() ELSE t.status_at END"
"""SQL for the new `status_at` of a task `t` of which progress is accepted: it is running from its first report on."""

LEVELS_LOOKED_UP = 256
"""Most ancestors that a statement checks. The end of an ancestor further up reaches a task level by level."""


def ended_above(parent_id: str) -> str:
    """SQL for the id of the nearest ancestor whose end also ends the task, or null. It needs one primary key lookup for
    each level. `parent_id` is the SQL of the task's own column; its table must not be named `up`, `above` or
    `further`."""
    seen = f"SELECT up.id, up.parent_id, up.status {SPREADING} AS ends"
    return f"""(
    WITH RECURSIVE above AS (
        {seen}, 1 AS level FROM tasks up WHERE up.id = {parent_id}
        UNION ALL
        SELECT further.* FROM above CROSS JOIN LATERAL (
            {seen}, above.level + 1 FROM tasks up WHERE up.id = above.parent_id LIMIT 1
        ) further WHERE NOT above.ends AND above.level < {LEVELS_LOOKED_UP}
    )
    SELECT id FROM above WHERE ends LIMIT 1)"""


def has_children(task_id: str) -> str:
    """SQL: true if a task has children, ended or not, else null. It reads one index entry. (Without the order, a task
    with many children makes the planner believe that any part of the table contains some child.)"""
    return (
        f"(SELECT true FROM tasks child WHERE child.parent_id = {task_id}"
        " ORDER BY child.created_at DESC, child.id DESC LIMIT 1)"
    )
