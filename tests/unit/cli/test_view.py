"""What `asya dev` writes where there is no terminal."""

import traceback
from io import StringIO
from pathlib import Path
from typing import cast

from rich.console import Console

from asya_cli.dev.view import Picture, View, task_line, user_frames
from asya_crds.task_json import TaskSummaryJson


def task(number: int, status: str) -> TaskSummaryJson:
    """A task as a list shows it, as far as it is read here."""
    found = {"id": f"task-{number}", "flow": "work", "status": status, "error": None, "current_actor_name": "worker"}
    return cast("TaskSummaryJson", found)


def test_every_change_is_a_line_also_of_a_task_that_has_ended_when_it_is_seen_first() -> None:
    written = StringIO()
    view = View(Picture("asya dev .", "http://127.0.0.1:8080"), Console(file=written))
    view.knows([task(1, "succeeded")])
    assert view.show_tasks([task(3, "running"), task(2, "succeeded"), task(1, "succeeded")]) == []
    assert view.show_tasks([task(3, "failed"), task(2, "succeeded"), task(1, "succeeded")]) == ["task-3"]
    assert [line.split("│ ")[1] for line in written.getvalue().splitlines()] == [
        "task task-2 work succeeded",
        "task task-3 work running in worker",
    ]


def test_lines_name_who_wrote_them() -> None:
    written = StringIO()
    view = View(Picture("asya dev .", "http://127.0.0.1:8080"), Console(file=written))
    for kind in ("output", "crew", "info", "error"):
        view.say(kind, "a line")
    speakers = ["handlers", "crew    ", "asya    ", "asya    "]
    assert written.getvalue().splitlines() == [f"{who} │ a line" for who in speakers]


def test_of_an_exception_group_each_place_in_the_users_files_is_shown() -> None:
    def fail(number: int) -> Exception:
        try:
            raise ValueError(number)
        except ValueError as error:
            return error

    try:
        raise ExceptionGroup("several", [fail(1), ExceptionGroup("more", [fail(2)])])
    except ExceptionGroup as error:
        text = "".join(traceback.format_exception(error))
    frames = user_frames(text, Path(__file__).parent)
    assert [line.strip() for line in frames if "File" not in line and "^" not in line] == [
        'raise ExceptionGroup("several", [fail(1), ExceptionGroup("more", [fail(2)])])',
        *["raise ValueError(number)"] * 2,
    ]
    assert all("test_view.py" in line for line in frames if "File" in line)
    assert user_frames(text, Path("/elsewhere")) == []


def test_the_command_that_answers_a_task_names_a_gateway_that_is_not_the_default_one() -> None:
    paused = task(1, "paused")
    assert task_line(paused, "http://127.0.0.1:8080") == "task task-1 work paused: asya task answer task-1 …"
    elsewhere = "task task-1 work paused: asya task answer task-1 --url http://127.0.0.1:8093 …"
    assert task_line(paused, "http://127.0.0.1:8093") == elsewhere
