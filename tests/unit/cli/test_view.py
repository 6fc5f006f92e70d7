"""What `asya dev` writes where there is no terminal."""

from io import StringIO
from typing import Any

from rich.console import Console

from asya_cli.dev.view import Picture, View


def task(number: int, status: str) -> dict[str, Any]:
    """A task as a list shows it."""
    return {"id": f"task-{number}", "flow": "work", "status": status, "error": None, "current_actor_name": "worker"}


def test_every_change_is_a_line_also_of_a_task_that_has_ended_when_it_is_seen_first() -> None:
    written = StringIO()
    view = View(Picture("asya dev .", "http://127.0.0.1:8080"), Console(file=written))
    view.knows([task(1, "succeeded")])
    assert view.show_tasks([task(3, "running"), task(2, "succeeded"), task(1, "succeeded")]) == []
    assert view.show_tasks([task(3, "failed"), task(2, "succeeded"), task(1, "succeeded")]) == ["task-3"]
    assert [line.split("│ ")[1] for line in written.getvalue().splitlines()] == [
        "task task-2 work succeeded",
        "task task-3 work running worker",
    ]
