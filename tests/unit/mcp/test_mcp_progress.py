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


def test_progress_is_complete_only_at_the_end() -> None:
    """The specification: 'The progress value MUST increase with each notification'."""
    assert shown(Progress("p"), DONE, DONE, update(UpdateKind.FINAL, TaskStatus.SUCCEEDED, 100.0)) == [
        99.0,
        99.001,
        100.0,
    ]


def test_a_call_that_is_quiet_for_days_never_looks_finished() -> None:
    progress = Progress("p")
    texts = [progress.of(DONE), *(progress.beat() for _ in range(10_000))]
    values = [json.loads(text)["params"]["progress"] for text in texts if text is not None]
    assert (len(values), values[-1] < 100) == (10_001, True)
    assert values == sorted(set(values))


@pytest.mark.parametrize("end", [TaskStatus.FAILED, TaskStatus.CANCELED])
def test_a_task_that_does_not_succeed_is_never_complete(end: TaskStatus) -> None:
    assert shown(Progress("p"), WORKING, update(UpdateKind.FINAL, end, 75.0)) == [75.0]
