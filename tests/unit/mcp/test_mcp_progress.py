"""A task's log as notifications/progress (MCP 2025-11-25, basic/utilities/progress)."""

import json
from datetime import UTC, datetime

import pytest

from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.log import read_entry
from asya_gateway.domain.task import TaskUpdate
from asya_gateway.protocols.mcp.progress import Progress


def update(kind: UpdateKind, status: TaskStatus, progress: float) -> TaskUpdate:
    return TaskUpdate("t", 1, kind, status, progress, datetime.now(UTC), read_entry(kind, {}))


def shown(progress: Progress, *updates: TaskUpdate) -> list[float]:
    texts = [progress.of(each) for each in updates]
    return [json.loads(text)["params"]["progress"] for text in texts if text is not None]


WORKING = update(UpdateKind.PROGRESS, TaskStatus.RUNNING, 75.0)
DONE = update(UpdateKind.PROGRESS, TaskStatus.RUNNING, 100.0)


def test_progress_is_complete_though_the_end_overtook_the_last_report() -> None:
    assert shown(Progress("p"), WORKING, update(UpdateKind.FINAL, TaskStatus.SUCCEEDED, 100.0)) == [75.0, 100.0]


def test_progress_that_is_complete_is_told_once() -> None:
    """The specification: 'The progress value MUST increase with each notification'."""
    assert shown(Progress("p"), DONE, update(UpdateKind.FINAL, TaskStatus.SUCCEEDED, 100.0)) == [100.0]


@pytest.mark.parametrize("end", [TaskStatus.FAILED, TaskStatus.CANCELED])
def test_a_task_that_does_not_succeed_is_never_complete(end: TaskStatus) -> None:
    assert shown(Progress("p"), WORKING, update(UpdateKind.FINAL, end, 75.0)) == [75.0]
