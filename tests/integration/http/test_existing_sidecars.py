"""What existing sidecars and their crew send, in the forms in which they really send it (docs/protocols/mesh.md)."""

from typing import Any

import pytest

from tests.support.gateway import Gateway


async def overdue_task(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task whose deadline has passed, which no sweeper notices."""
    monkeypatch.setattr(gateway.running.storage.sweeper, "_overdue", none_found)
    task_id = await gateway.submit()
    await gateway.running.storage.database.execute("UPDATE tasks SET deadline_at = now() WHERE id = $1", task_id)
    return task_id


async def none_found() -> list[Any]:
    return []


@pytest.mark.parametrize("error_class", [None, "runtime"])
async def test_a_failure_that_comes_after_the_deadline_is_the_deadlines(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error_class: str | None
) -> None:
    task_id = await overdue_task(gateway, monkeypatch)
    final = {"id": task_id, "status": "failed", "error": "Runtime timeout exceeded", "class": error_class}
    assert (await gateway.post(f"/mesh/{task_id}/final", final))[0] == 200
    _, task = await gateway.get(f"/tasks/{task_id}")
    error = task["error"]
    assert (error["class"], error["code"], error["message"]) == (
        "deadline",
        "deadline_exceeded",
        "Runtime timeout exceeded",
    )


async def test_a_result_that_comes_before_the_deadline_was_noticed_still_counts(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await overdue_task(gateway, monkeypatch)
    await gateway.finish(task_id, 1)
    assert (await gateway.get(f"/tasks/{task_id}"))[1]["result"] == 1
