"""A task's row, as read by statements without bodies."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from asya_crds import jsontext
from asya_crds.envelope import Route
from asya_crds.status import TaskStatus

COLUMNS = (
    "t.id, t.parent_id, t.context_id, t.owner, t.flow, t.status, t.route::text AS route, t.progress, t.message, "
    "t.actor, t.deadline_at, extract(epoch FROM t.remaining)::float8 AS remaining, t.last_seq, t.created_at, "
    "t.updated_at, t.finished_at, t.status_at"
)

ORDINARY = 512
"""Characters of the longest route that is kept in a cache."""
_STORED_DEPTH = 3 * jsontext.MAX_DEPTH
"""Levels of nesting of stored JSON: those of the input, and those added around it."""


def columns_of(row: Any) -> dict[str, Any]:
    """The fields of a TaskHead from a row of COLUMNS."""
    return {
        "id": row["id"],
        "status": TaskStatus.read_of(row["status"], ended=row["finished_at"] is not None),
        "flow": row["flow"],
        "owner": row["owner"],
        "route": (_route if len(row["route"]) <= ORDINARY else _route.__wrapped__)(row["route"]),
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
        "status_at": _status_at(row),
    }


@lru_cache(maxsize=1024)
def _route(text: str) -> Route:
    """Cached, because the tasks of a flow end with the same few routes."""
    return Route.from_dict(loads(text))


def _status_at(row: Any) -> datetime:
    """When the task got its status. A pod of the version before does not tell when a task began to run; it is taken for
    the time of its last entry."""
    open_since = row["created_at"] if row["status"] == TaskStatus.PENDING else row["status_at"] or row["updated_at"]
    found: datetime = row["finished_at"] or open_since
    return found


def loads(text: str) -> Any:
    """Decode a JSON value written by a gateway."""
    return jsontext.loads(text, max_depth=_STORED_DEPTH)
