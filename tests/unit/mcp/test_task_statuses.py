"""How a task of the gateway looks in both dialects of MCP tasks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from asya_crds.envelope import Route
from asya_crds.status import ErrorClass, TaskStatus
from asya_crds.task_error import TaskError
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.mcp.tasks.statuses import (
    EXPERIMENTAL,
    EXTENSION,
    McpStatus,
    message_of,
    poll_interval,
    status_of,
    task_members,
    ttl_of,
)
from tests.support.mcp import EXT_TASKS, conforms

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = TaskHead("t", TaskStatus.RUNNING, "flow", "", Route((), "a", ()), 10.0, 3, BEGAN, BEGAN, message="at work")


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (TaskStatus.PENDING, None, McpStatus.WORKING),
        (TaskStatus.RUNNING, None, McpStatus.WORKING),
        (TaskStatus.PAUSED, None, McpStatus.INPUT_REQUIRED),
        (TaskStatus.AUTH_REQUIRED, None, McpStatus.INPUT_REQUIRED),
        (TaskStatus.SUCCEEDED, None, McpStatus.COMPLETED),
        (TaskStatus.FAILED, ErrorClass.BUSINESS, McpStatus.COMPLETED),
        (TaskStatus.FAILED, ErrorClass.RUNTIME, McpStatus.FAILED),
        (TaskStatus.FAILED, ErrorClass.DEADLINE, McpStatus.FAILED),
        (TaskStatus.FAILED, None, McpStatus.FAILED),
        (TaskStatus.CANCELED, ErrorClass.CANCELED, McpStatus.CANCELLED),
        (TaskStatus.read_of("of a newer version", ended=True), None, McpStatus.FAILED),
        (TaskStatus.read_of("of a newer version", ended=False), None, McpStatus.WORKING),
    ],
)
def test_every_status_has_one_in_mcp(status: TaskStatus, error: ErrorClass | None, expected: McpStatus) -> None:
    assert status_of(replace(RUNNING, status=status), error) is expected


def test_a_task_is_kept_without_limit_until_it_has_ended() -> None:
    """Extension, Task: 'Time-to-live duration from creation in integer milliseconds, null for unlimited'."""
    assert ttl_of(RUNNING, 60) is None
    ended = replace(RUNNING, status=TaskStatus.SUCCEEDED, finished_at=BEGAN + timedelta(seconds=1.5))
    assert ttl_of(ended, 60) == 61_500
    assert ttl_of(ended, 0) == 1_500


def test_an_older_task_is_polled_less_often() -> None:
    intervals = [poll_interval(RUNNING, BEGAN.timestamp() + age) for age in (-5, 0, 29, 31, 86_400)]
    assert intervals == sorted(intervals)
    assert intervals[0] == 1_000 < intervals[-1]


def test_the_dialects_differ_in_two_names() -> None:
    for dialect, definition, version in ((EXTENSION, "Task", EXT_TASKS), (EXPERIMENTAL, "Task", "2025-11-25")):
        members = task_members(RUNNING, McpStatus.WORKING, "at work", dialect, 60, BEGAN.timestamp())
        conforms(members, definition, version)
        assert members[dialect.ttl] is None
        assert members["createdAt"] == "2026-01-01T00:00:00.000000Z"
    assert "statusMessage" not in task_members(RUNNING, McpStatus.WORKING, None, EXTENSION, 60, BEGAN.timestamp())


def test_a_message_is_the_errors_or_the_last_reports() -> None:
    failed = replace(RUNNING, status=TaskStatus.FAILED, error=TaskError("x", "lost " * 2000, ErrorClass.RUNTIME))
    assert message_of(RUNNING) == "at work"
    assert message_of(replace(RUNNING, status=TaskStatus.PENDING)) == "Queued"
    assert len(message_of(failed) or "") == 4000
