"""The output of `asya dev`: a live view of flows and tasks on a terminal, lines elsewhere."""

import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from asya_cli.dev.handlers import HandlerProcess, ProcessState
from asya_cli.options import command_at
from asya_cli.rendering import error_text, problem_text, status_text
from asya_cli.terminal import plain
from asya_crds.readable import readable
from asya_crds.status import TERMINAL, WAITING, TaskStatus

if TYPE_CHECKING:
    from asya_crds.flows_json import FlowProblemJson, ServedFlowJson
    from asya_crds.task_json import TaskJson, TaskSummaryJson

SHOWN_TASKS = 8
STATE_STYLES = {
    ProcessState.STARTING: "yellow",
    ProcessState.RUNNING: "green",
    ProcessState.BROKEN: "red",
    ProcessState.CRASHED: "red",
    ProcessState.STOPPED: "dim",
}
KIND_STYLES = {"error": "red", "info": "cyan"}
SPEAKERS = {"output": "handlers", "crew": "crew"}


@dataclass
class Picture:
    """The content of the live view; the session keeps it up to date."""

    title: str
    url: str
    processes: list[HandlerProcess] = field(default_factory=list)
    flows: "list[ServedFlowJson]" = field(default_factory=list)
    problems: "list[FlowProblemJson]" = field(default_factory=list)
    tasks: "list[TaskSummaryJson]" = field(default_factory=list)


class View:
    """Scrolling lines, and on a terminal the live view below them."""

    def __init__(self, picture: Picture, console: Console) -> None:
        self.picture = picture
        self.console = console
        self._live: Live | None = None
        self._seen: dict[str, str] = {}
        self._order: deque[str] = deque(maxlen=1000)

    def start(self) -> None:
        """Start the live view, if the output is a terminal."""
        if self.console.is_terminal:
            self._live = Live(
                get_renderable=self._draw,
                console=self.console,
                refresh_per_second=4,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def stop(self) -> None:
        """Stop the live view, and restore the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, kind: str, line: str) -> None:
        """Print a line: `output` of handlers, that of the `crew`, `info` or `error` of our own."""
        prefix = plain(f"{SPEAKERS.get(kind, 'asya'):8} │ ", "dim")
        # Lines after the first are indented, so that foreign text cannot imitate our own lines.
        first, *more = line.split("\n")
        for text in (first, *(f"  {each}" for each in more)):
            self.console.print(prefix + plain(text, KIND_STYLES.get(kind, "")), soft_wrap=True)

    def show_tasks(self, tasks: "list[TaskSummaryJson]") -> list[str]:
        """Show the newest tasks, newest first; without a terminal, each change is a line. Returns the ids of newly
        failed tasks."""
        failed = []
        self.picture.tasks = tasks[:SHOWN_TASKS]
        for task in reversed(tasks):
            before = self._seen.get(task["id"])
            if before == task["status"]:
                continue
            self._remember(task)
            if task["status"] == TaskStatus.FAILED:
                failed.append(task["id"])
            elif not self.console.is_terminal:
                self.say("info", task_line(task, self.picture.url))
        return failed

    def show_failure(self, task: "TaskJson", folder: Path) -> None:
        """Show why a task failed, and where in the user's files."""
        self.say("error", task_line(task, self.picture.url))
        error = task.get("error")
        details = error.get("details") if error else None
        for line in user_frames(details.get("traceback") if isinstance(details, dict) else None, folder):
            self.say("error", line)

    def knows(self, tasks: "list[TaskSummaryJson]") -> None:
        """Mark tasks of earlier runs as known."""
        self.picture.tasks = tasks[:SHOWN_TASKS]
        for task in tasks:
            self._remember(task)

    def _remember(self, task: "TaskSummaryJson") -> None:
        if task["id"] not in self._seen:
            if len(self._order) == self._order.maxlen:
                self._seen.pop(self._order.popleft(), None)
            self._order.append(task["id"])
        self._seen[task["id"]] = task["status"]

    def _draw(self) -> RenderableType:
        picture = self.picture
        head = Text.assemble(
            (readable(picture.title), "bold"), ("  ", ""), (picture.url, "underline"), ("  Ctrl-C to stop", "dim")
        )
        return Group(Text(""), head, self._actors(), self._flows(), self._tasks())

    def _actors(self) -> RenderableType:
        line = plain("actors  ", "dim")
        for process in self.picture.processes:
            for name in ["crew"] if process.crew else [actor.name for actor in process.actors]:
                broken = name in process.left_out
                line.append(f"{name} ", STATE_STYLES[ProcessState.BROKEN if broken else process.state])
            line.append(f"({process.state}) ", "dim")
        return line

    def _flows(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        for flow in self.picture.flows:
            table.add_row(plain("flow", "dim"), plain(flow["name"], "bold"), route_text(flow))
        for problem in self.picture.problems:
            table.add_row(
                plain("flow", "dim"), plain(str(problem.get("name", "")), "red"), plain(problem_text(problem), "red")
            )
        return table

    def _tasks(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        for task in self.picture.tasks:
            table.add_row(
                plain("task", "dim"),
                task["id"],
                task.get("flow") or "",
                status_text(task["status"]),
                f"{task['progress_percent']:3.0f} %",
                task_detail(task, self.picture.url),
            )
        return table


_IN_A_GROUP = re.compile(r" +\| ")
"""How a traceback marks the lines of an exception group (such as that of asyncio.TaskGroup) and its members."""


def user_frames(traceback: object, folder: Path) -> list[str]:
    """The lines of a traceback in the user's folder, without those of the worker."""
    found: list[str] = []
    inside = False
    for line in traceback.splitlines() if isinstance(traceback, str) else ():
        line = _IN_A_GROUP.sub("", line)
        if frame := re.match(r'  File "(.+?)", line \d+', line):
            path = Path(frame[1])
            inside = path.is_relative_to(folder) and "site-packages" not in path.parts
            if inside:
                line = line.replace(frame[1], str(path.relative_to(folder)))
        elif not line.startswith("    "):
            inside = False
        if inside:
            found.append(line)
    return found


def route_text(flow: "ServedFlowJson") -> str:
    """`clean → analyze` of a flow as /health/flows shows it."""
    return " → ".join(flow.get("actors") or [])


def task_line(task: "TaskSummaryJson", url: str) -> str:
    """A task's change as a line."""
    line = f"task {task['id']} {task.get('flow') or ''} {task['status']}"
    detail = task_detail(task, url)
    if not detail:
        return line
    # Open and not waiting, the detail is the actor's name.
    works = not task.get("error") and task["status"] not in WAITING
    return f"{line} in {detail}" if works else f"{line}: {detail}"


def task_detail(task: "TaskSummaryJson", url: str) -> str:
    """The most important detail besides the status. `url` is the gateway's."""
    if error := task.get("error"):
        return error_text(error)
    if task["status"] in WAITING:
        return f"{command_at(url, 'task', 'answer', task['id'])} …"
    return "" if task["status"] in TERMINAL else task.get("current_actor_name") or ""
