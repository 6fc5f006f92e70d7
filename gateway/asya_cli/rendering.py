"""The output for users: tables, results and tasks. Results go to stdout, progress and messages to stderr."""

from typing import TYPE_CHECKING, Any

from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from asya_cli.questions import pause_text
from asya_cli.schema_types import kinds_of, properties_of
from asya_cli.streams import writes
from asya_cli.terminal import ReadableConsole, plain
from asya_crds import jsontext
from asya_crds.answers import AnswerAction
from asya_crds.readable import is_readable, json_escaped, readable
from asya_crds.status import WAITING, TaskStatus

if TYPE_CHECKING:
    from asya_crds.call_messages import AnswerJson
    from asya_crds.flows_json import FlowProblemJson
    from asya_crds.task_json import TaskErrorJson, TaskJson, TaskSummaryJson

STATUS_STYLES: dict[str, str] = {
    TaskStatus.PENDING: "dim",
    TaskStatus.RUNNING: "cyan",
    TaskStatus.PAUSED: "yellow",
    TaskStatus.AUTH_REQUIRED: "yellow",
    TaskStatus.SUCCEEDED: "green",
    TaskStatus.FAILED: "red",
    TaskStatus.CANCELED: "magenta",
}

out = ReadableConsole()
err = ReadableConsole(stderr=True)


def print_json(value: Any) -> None:
    """Print JSON, coloured on a terminal. Integers of any size and all characters are preserved; control characters,
    and characters outside the output's encoding, are written as escapes."""
    text = json_escaped(jsontext.indented(value))
    if not writes(text, out.encoding):
        text = jsontext.indented(value, ascii_only=True)
    if out.is_terminal:
        out.print(JSONHighlighter()(text), soft_wrap=True)
    else:
        out.file.write(text + "\n")


def print_line(text: str) -> None:
    """Print a line of a file, with control characters escaped."""
    out.file.write(readable(text) + "\n")


def print_result(value: Any) -> None:
    """Print a result: text as text, everything else as JSON. Text with control characters is also printed as JSON,
    whose escapes show them."""
    if isinstance(value, str) and is_readable(value) and writes(value, out.encoding):
        out.file.write(value + "\n")
    else:
        print_json(value)


def status_text(status: str) -> Text:
    """A status with its colour."""
    return plain(status, STATUS_STYLES.get(status, ""))


def tools_table(tools: list[dict[str, Any]]) -> Table:
    """Tools with their arguments; optional ones are in brackets."""
    table = Table(box=None, pad_edge=False)
    for column in ("TOOL", "ARGUMENTS", "DESCRIPTION"):
        table.add_column(column, overflow="fold")
    for tool in tools:
        arguments = plain(arguments_text(tool["inputSchema"]))
        table.add_row(plain(tool["name"], "bold"), arguments, plain(tool.get("description", "")))
    return table


def offers_table(heading: str, offers: list[dict[str, Any]]) -> Table:
    """Prompts with their arguments, optional ones in brackets; or resources and templates."""
    table = Table(box=None, pad_edge=False)
    for column in (heading, "ARGUMENTS", "DESCRIPTION") if heading == "PROMPT" else (heading, "DESCRIPTION"):
        table.add_column(column, overflow="fold")
    for offer in offers:
        key = offer.get("uri") or offer.get("uriTemplate") or offer["name"]
        row = [plain(key, "bold"), plain(offer.get("description", ""))]
        if heading == "PROMPT":
            named = [(each["name"], each.get("required")) for each in offer.get("arguments", ())]
            row.insert(1, plain(" ".join(f"{name}=" if needed else f"[{name}=]" for name, needed in named)))
        table.add_row(*row)
    return table


def arguments_text(schema: dict[str, Any]) -> str:
    """`text=string [limit=integer]` for an object's schema."""
    required = set(schema.get("required") or ())
    words = []
    for name in properties_of(schema):
        word = f"{name}={'|'.join(kinds_of(schema, name).names) or 'json'}"
        words.append(word if name in required else f"[{word}]")
    return " ".join(words)


def tasks_table(tasks: list["TaskSummaryJson"]) -> Table:
    """Tasks, one on each line; with their owners if some belong to others."""
    owned = any("owner" in task for task in tasks)
    table = Table(box=None, pad_edge=False)
    for column in ("ID", "FLOW", "STATUS", "PROGRESS", "ACTOR", "CREATED", *(["OWNER"] if owned else [])):
        table.add_column(column, no_wrap=column in ("ID", "STATUS"))
    for task in tasks:
        table.add_row(
            task["id"],
            task.get("flow") or "",
            status_text(task["status"]),
            f"{task['progress_percent']:.0f} %",
            task.get("current_actor_name") or "",
            task["created_at"][:19].replace("T", " "),
            *([plain(task.get("owner", "you") or "nobody")] if owned else []),
        )
    return table


def print_task(task: "TaskJson") -> None:
    """Print one task: one line for each field, result and payload as JSON."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    rows: dict[str, Any] = {
        "id": task["id"],
        "flow": task.get("flow"),
        "owner": task.get("owner"),
        "status": status_text(task["status"]),
        "progress": f"{task['progress_percent']:g} %",
        "route": route_text(task),
        "message": task.get("message"),
        "parent": task.get("parent_id"),
        "created": task["created_at"],
        "finished": task.get("finished_at"),
        "deadline": task.get("deadline_at"),
        "error": error_text(error) if (error := task.get("error")) else None,
        "question": pause_text(task) if task.get("pause") else None,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, plain(value) if isinstance(value, str) else value)
    out.print(table)
    for name, body in (("payload", task.get("payload")), ("result", task.get("result"))):
        if body is not None:
            out.print(plain(name, "dim"))
            print_json(body)


def tell_declined(task: "TaskJson", said: "AnswerJson") -> None:
    """Say what became of a question that was declined or dismissed."""
    what = f"input {said['key']} of task {task['id']}" if said.get("key") else f"the question of task {task['id']}"
    word = "declined" if said.get("action") == AnswerAction.DECLINE else "dismissed"
    still = "; it stays open for others" if task["status"] in WAITING else ""
    err.print(f"{what} was {word}{still}", soft_wrap=True)


def route_text(task: "TaskSummaryJson") -> str:
    """`clean ✓ → analyze → report`: the task's past, present and future actors."""
    route = task["route"]
    behind = [*route["prev"], *([route["curr"]] if task["status"] == "succeeded" and route["curr"] else [])]
    ahead = [name for name in (route["curr"], *route["next"]) if name][len(behind) - len(route["prev"]) :]
    return " → ".join([*(f"{name} ✓" for name in behind), *ahead])


def error_text(error: "TaskErrorJson") -> str:
    """A task's error {code, message, class, actor?, attempts?} as one line."""
    where = f" in {error['actor']}" if error.get("actor") else ""
    attempts = f" after {error['attempts']} attempts" if (error.get("attempts") or 0) > 1 else ""
    details = error.get("details")
    kind = details.get("type") if isinstance(details, dict) else None
    # An exception's message may be meaningless without its type: that of KeyError is only the key.
    what = ": ".join(str(part) for part in (kind, error.get("message") or error.get("code")) if part)
    return f"{what} ({error.get('class', 'failed')}{where}{attempts})"


def problem_text(problem: "FlowProblemJson") -> str:
    """Why a flow is not served."""
    line = f"line {problem['line']}: " if problem.get("line") else ""
    return f"{line}{problem.get('reason', '')}"
