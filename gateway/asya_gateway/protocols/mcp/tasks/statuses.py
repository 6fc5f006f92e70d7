"""A task's status, times and message as both dialects of MCP tasks have them.

The dialects differ in the names of two members and in one status: a tool's own error (`isError`) is `completed` in the
extension ("This status MUST NOT be used for non-JSON-RPC errors") and `failed` in 2025-11-25 ("this includes cases
where the tool call result has isError set to true").
"""

from enum import StrEnum
from typing import Any, NamedTuple

from asya_crds.envelope import format_time
from asya_crds.status import ErrorClass, TaskStatus
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.mcp.errors import LONGEST_MESSAGE, bounded

QUEUED = "Queued"
YOUNG = 30.0
"""Seconds in which most tasks end; then they are polled less often."""
POLL, POLL_LATER = 1_000, 5_000
"""Suggested milliseconds between two polls of a young and of an older task."""


class McpStatus(StrEnum):
    """The statuses of a task in MCP."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FieldNames(NamedTuple):
    """The names of the members that differ."""

    ttl: str
    poll: str


EXTENSION = FieldNames("ttlMs", "pollIntervalMs")
EXPERIMENTAL = FieldNames("ttl", "pollInterval")


def status_of(task: TaskHead, error_class: ErrorClass | None) -> McpStatus:
    """The status in the extension. `error_class` is that of an ended task's error."""
    match task.status:
        case TaskStatus.SUCCEEDED:
            return McpStatus.COMPLETED
        case TaskStatus.CANCELED:
            return McpStatus.CANCELLED
        case status if status.terminal:
            return McpStatus.COMPLETED if error_class is ErrorClass.BUSINESS else McpStatus.FAILED
        case status if status.waiting:
            return McpStatus.INPUT_REQUIRED
        case _:
            return McpStatus.WORKING


def message_of(task: TaskHead) -> str | None:
    """The text for a person, without the answer to a question that is asked elsewhere."""
    if task.error is not None:
        return bounded(task.error.message, LONGEST_MESSAGE)
    if task.status is TaskStatus.PENDING:
        return QUEUED
    return None if task.message is None else bounded(task.message, LONGEST_MESSAGE)


def task_members(
    task: TaskHead, status: McpStatus, message: str | None, dialect: FieldNames, retention: float, now: float
) -> dict[str, Any]:
    """The members of a Task object. `retention` is how many seconds an ended task is kept, `now` the database's
    time."""
    return {
        "taskId": task.id,
        "status": status.value,
        **({"statusMessage": message} if message else {}),
        "createdAt": format_time(task.created_at),
        "lastUpdatedAt": format_time(task.updated_at),
        dialect.ttl: ttl_of(task, retention),
        dialect.poll: poll_interval(task, now),
    }


def ttl_of(task: TaskHead, retention: float) -> int | None:
    """Milliseconds from the task's creation for which it is kept; None, without limit, until it has ended: its timeout
    stands still while it waits for a person."""
    if task.finished_at is None:
        return None
    return int(((task.finished_at - task.created_at).total_seconds() + retention) * 1000)


def poll_interval(task: TaskHead, now: float) -> int:
    """Suggested milliseconds until the next poll."""
    return POLL if now - task.created_at.timestamp() < YOUNG else POLL_LATER
