"""What `asya a2a` prints: results to stdout, everything else to stderr, and an exit code for a task's state."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from asya_cli.a2a.cards import interfaces_of
from asya_cli.errors import CliError, ExitCode
from asya_cli.options import follow_up
from asya_cli.rendering import err, out, print_json, print_result
from asya_cli.terminal import plain
from asya_crds import jsontext
from asya_crds.naming import A2A_NOT_PARTS
from asya_crds.readable import readable

Json = dict[str, Any]

ENDS = {
    "TASK_STATE_COMPLETED": ExitCode.OK,
    "TASK_STATE_FAILED": ExitCode.FAILED,
    "TASK_STATE_CANCELED": ExitCode.FAILED,
    "TASK_STATE_REJECTED": ExitCode.FAILED,
}
WAITS = ("TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED")


class Shown:
    """Collects what an agent says about one task, and shows it as it comes. `as_json`: one line of JSON an event."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.task_id = self.context_id = self.state = ""
        self._as_json = as_json
        self._status: Json = {}
        self._artifacts: dict[str, list[Json]] = {}
        self._notes: dict[str, str] = {}
        self._message: Json | None = None
        self._streaming = False

    @property
    def told(self) -> bool:
        """Whether anything was said."""
        return self._message is not None or bool(self.state or self._artifacts)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: a message, an end or a question."""
        return self._message is not None or self.state in ENDS or self.state in WAITS

    def take(self, event: Mapping[str, Any]) -> None:
        """An event, or the answer of a call. Raises CliError if it is none of A2A."""
        if self._as_json:
            out.file.write(jsontext.spaced(event, ascii_only=True) + "\n")
            out.file.flush()
        try:
            self._take(event)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise CliError("the agent's answer is not of the form of A2A") from None

    def _take(self, event: Mapping[str, Any]) -> None:
        if (message := event.get("message")) is not None:
            self._message = message
            self.context_id = str(message.get("contextId") or "")
        elif (task := event.get("task")) is not None:
            self.task_id, self.context_id = str(task["id"]), str(task.get("contextId") or "")
            self._artifacts = {str(made["artifactId"]): list(made["parts"]) for made in task.get("artifacts") or ()}
            self._notes = {str(made["artifactId"]): _note(made) for made in task.get("artifacts") or ()}
            self._tell(task["status"])
        elif (update := event.get("statusUpdate")) is not None:
            self._name(update)
            self._tell(update["status"])
        elif (update := event.get("artifactUpdate")) is not None:
            self._name(update)
            self._add(update)

    def _name(self, update: Json) -> None:
        """An agent may stream the changes of a task without the task itself."""
        self.task_id = self.task_id or str(update.get("taskId") or "")
        self.context_id = self.context_id or str(update.get("contextId") or "")

    def _tell(self, status: Json) -> None:
        self.state, self._status = str(status["state"]), status
        text = text_of((status.get("message") or {}).get("parts") or ())
        if self.state not in ENDS and self.state not in WAITS and text and not self._as_json:
            self._end_line()
            err.print(text, soft_wrap=True)

    def _add(self, update: Json) -> None:
        made = update["artifact"]
        name, parts = str(made["artifactId"]), list(made["parts"])
        self._notes[name] = _note(made)
        if update.get("append"):
            self._artifacts.setdefault(name, []).extend(parts)
        else:
            self._artifacts[name] = parts
        # The last chunk may repeat what was streamed; it is the result, which is printed at the end.
        if not update.get("lastChunk") and not self._as_json:
            err.file.write(readable(text_of(parts)))
            err.file.flush()
            self._streaming = True

    def _end_line(self) -> None:
        if self._streaming:
            err.file.write("\n")
            self._streaming = False

    @property
    def exit_code(self) -> ExitCode:
        """For the task's state."""
        return ExitCode.WAITING if self.state in WAITS else ENDS.get(self.state, ExitCode.OK)

    def end(self) -> ExitCode:
        """Print the outcome."""
        self._end_line()
        if self._message is not None:
            self._print_parts(self._message.get("parts") or ())
            self._say("message", self.context_id)
            return ExitCode.OK
        if self.state == "TASK_STATE_COMPLETED":
            self._print_results()
        parts = (self._status.get("message") or {}).get("parts") or ()
        word = word_of(self.state)
        style = {"completed": "dim"}.get(word, "red" if self.state in ENDS else "yellow")
        ended = word if word in ("completed", "failed") else f"is {word}"
        about = f"task {self.task_id} {ended}" + (f" (context {self.context_id})" if self.context_id else "")
        text = text_of(parts) if self.state != "TASK_STATE_COMPLETED" else ""
        err.print(f"{about}: {text}" if text else about, style=style, soft_wrap=True)
        if self.state in WAITS:
            self._how_to_answer(parts)
        elif self.state not in ENDS:
            err.print(f"it goes on: {follow_up('a2a', 'watch', self.task_id)}", soft_wrap=True)
        return self.exit_code

    def _say(self, what: str, context_id: str) -> None:
        if context_id:
            err.print(f"{what} in context {context_id}", style="dim", soft_wrap=True)

    def _print_results(self) -> None:
        if not self._as_json:
            for name, parts in self._artifacts.items():
                if note := self._notes.get(name):
                    err.print(f"the actor's parts are none of A2A and shown as data: {note}", style="yellow")
                self._print_parts(parts)

    def _print_parts(self, parts: Any) -> None:
        if self._as_json:
            return
        if all("text" in part for part in parts):
            print_result(text_of(parts))
        elif len(parts) == 1 and "data" in parts[0]:
            print_json(parts[0]["data"])
        else:
            print_json(list(parts))

    def _how_to_answer(self, parts: Any) -> None:
        for data in (part["data"] for part in parts if isinstance(part.get("data"), dict)):
            if isinstance(data.get("url"), str):
                err.print(data["url"], style="yellow", soft_wrap=True)
            if (schema := data.get("schema")) and self.state == "TASK_STATE_INPUT_REQUIRED":
                err.print(f"expected: {jsontext.spaced(schema)}", style="dim", soft_wrap=True)
        if self.state == "TASK_STATE_INPUT_REQUIRED":
            command = follow_up("a2a", "send", "--task", self.task_id, "'…'")
            err.print(f"answer: {command}, or --data '{{…}}'", style="yellow", soft_wrap=True)


def _note(made: Mapping[str, Any]) -> str:
    """Why an artifact of a gateway of ours is data although its actor has returned parts."""
    metadata = made.get("metadata")
    return str(metadata.get(A2A_NOT_PARTS) or "") if isinstance(metadata, dict) else ""


def text_of(parts: Any) -> str:
    """The texts of parts."""
    return "".join(str(part["text"]) for part in parts if "text" in part)


def print_tasks(page: Mapping[str, Any]) -> None:
    """A page of tasks, one on each line, and where the next one begins. Raises CliError if it is none of A2A."""
    table = Table(box=None, pad_edge=False)
    for column in ("ID", "STATE", "SINCE", "CONTEXT"):
        table.add_column(column, no_wrap=column in ("ID", "STATE"))
    try:
        for task in page["tasks"]:
            status = task["status"]
            since = str(status.get("timestamp") or "")[:19].replace("T", " ")
            row = (str(task["id"]), word_of(str(status["state"])), since, str(task.get("contextId") or ""))
            table.add_row(*map(plain, row))
    except (KeyError, TypeError, AttributeError):
        raise CliError("the agent's answer is not of the form of A2A") from None
    more = page.get("nextPageToken")
    if table.row_count:
        out.print(table)
    else:
        err.print("no such task among the newest ones" if more else "no tasks")
    if more:
        err.print(f"more: --cursor {more}", style="dim", soft_wrap=True)


def word_of(state: str) -> str:
    """A TaskState as people read it."""
    return state.removeprefix("TASK_STATE_").lower().replace("_", " ") or "unknown"


def print_card(card: Json) -> None:
    """A card as a table: who the agent is, where it is, and its skills."""
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    rows = {
        "name": card.get("name"),
        "description": card.get("description"),
        "version": card.get("version"),
        "interfaces": "\n".join(f"{each.binding} {each.version} {each.url}" for each in interfaces_of(card)),
        "capabilities": _capabilities(card.get("capabilities")),
        "security": ", ".join(_names(card.get("securitySchemes"))) or "none",
        "signatures": str(len(card["signatures"])) if isinstance(card.get("signatures"), list) else "",
    }
    for name, value in rows.items():
        if value:
            facts.add_row(name, plain(str(value)))
    out.print(facts)
    skills = Table(box=None, pad_edge=False)
    for column in ("SKILL", "DESCRIPTION", "TAGS"):
        skills.add_column(column, overflow="fold")
    listed = card.get("skills")
    for skill in listed if isinstance(listed, list) else ():
        if isinstance(skill, dict):
            tags = ", ".join(map(str, skill.get("tags") or ()))
            skills.add_row(plain(str(skill.get("id")), "bold"), plain(str(skill.get("description", ""))), plain(tags))
    out.print(skills)


def _capabilities(value: Any) -> str:
    named = value if isinstance(value, dict) else {}
    extensions = named.get("extensions")
    uris = (
        [str(each.get("uri")) for each in extensions if isinstance(each, dict)] if isinstance(extensions, list) else []
    )
    return ", ".join([*(name for name, given in named.items() if given is True), *uris])


def _names(value: Any) -> list[str]:
    return [str(name) for name in value] if isinstance(value, dict) else []
