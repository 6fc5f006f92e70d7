"""Watches a task until its end: a progress bar on a terminal, lines elsewhere, streamed tokens as they arrive."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from asya_cli.client import LOST, Event, GatewayClient
from asya_cli.errors import CliError, ExitCode
from asya_cli.options import follow_up
from asya_cli.questions import pause_text
from asya_cli.rendering import err, error_text, print_result
from asya_cli.streams import writes
from asya_crds import jsontext
from asya_crds.readable import readable
from asya_crds.status import TERMINAL, WAITING

if TYPE_CHECKING:
    from asya_crds.task_json import TaskJson, UpdateJson


async def watch(client: GatewayClient, task_id: str) -> ExitCode:
    """Follow a task until it ends or waits; then print its result, its error or its question. On Ctrl-C and without a
    gateway, print how to continue, because the task itself continues."""
    again = follow_up("task", "watch", task_id)
    try:
        return await _watch(client, task_id)
    except asyncio.CancelledError:
        err.print(f"task {task_id} goes on: {again}, or {follow_up('task', 'cancel', task_id)}", soft_wrap=True)
        raise
    except CliError as error:
        if error.code is not ExitCode.UNREACHABLE:
            raise
        raise CliError(f"{error.message}; to watch the task again: {again}", error.code) from error


async def _watch(client: GatewayClient, task_id: str) -> ExitCode:
    task = await client.task(task_id)
    if task["status"] in (*TERMINAL, *WAITING):
        return tell_end(task)
    async with aclosing(client.follow(task_id)) as events:
        await _show(client, task_id, events)
    return tell_end(await client.task(task_id))


async def _show(client: GatewayClient, task_id: str, events: AsyncGenerator[Event]) -> None:
    display = _Display()
    try:
        async for event in events:
            if event is LOST:
                err.print("connection lost, trying again", style="yellow")
            elif event.name == "update":
                display.update(event.data)
                # The log begins with old entries, so a question in it may already have been answered.
                if event.data["status"] in WAITING and (await client.task(task_id))["status"] in WAITING:
                    return
            else:
                display.live(event.data)
    finally:
        display.close()


def tell_end(task: "TaskJson") -> ExitCode:
    """Print the outcome of a task."""
    match task["status"]:
        case "succeeded":
            print_result(task["result"])
            return ExitCode.OK
        case "paused" | "auth_required":
            err.print(
                f"task {task['id']} is {task['status']}: {pause_text(task)}",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )
            return ExitCode.WAITING
        case "failed" | "canceled" as status:
            reason = error_text(error) if (error := task.get("error")) else task.get("message") or ""
            err.print(f"task {task['id']} {status}: {reason}", style="red", markup=False)
            return ExitCode.FAILED
        case status:
            err.print(f"task {task['id']} is {status}", markup=False)
            return ExitCode.OK


class _Display:
    """The progress bar until the first token, because streamed text and a redrawn bar cannot share a line."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._streaming = False
        if err.is_terminal:
            self._bar = Progress(
                SpinnerColumn("dots" if writes("⠋", err.encoding) else "line"),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                console=err,
                transient=True,
            )
            self._row = self._bar.add_task("waiting", total=100)
            self._bar.start()

    def update(self, update: "UpdateJson") -> None:
        """Show an update of the task's log."""
        text = update.get("message") or update["status"]
        if actor := update.get("actor"):
            text = f"{actor}: {text}" if not text.startswith(f"{actor}:") else text
        if self._bar is not None:
            self._bar.update(self._row, completed=update["progress_percent"], description=readable(text))
        elif not err.is_terminal and not self._streaming:
            err.print(f"{update['progress_percent']:5.1f} %  {text}", markup=False, soft_wrap=True)

    def live(self, payload: Any) -> None:
        """Show a live event."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._streaming = True
        err.file.write(readable(live_text(payload)))
        err.file.flush()

    def close(self) -> None:
        """Restore the terminal."""
        if self._bar is not None:
            self._bar.stop()
        if self._streaming:
            err.file.write("\n")


def live_text(payload: Any) -> str:
    """The text of a live event: of a token, or of the parts of an A2A artifact or message; any other event as a line of
    JSON."""
    if isinstance(payload, str):
        return payload
    if isinstance(payload, dict):
        for key in ("token", "text", "delta", "content"):
            if isinstance(payload.get(key), str):
                found: str = payload[key]
                return found
        if (text := _text_of_parts(payload)) is not None:
            return text
    return jsontext.spaced(payload) + "\n"


def _text_of_parts(payload: dict[str, Any]) -> str | None:
    """The text of the parts of an A2A artifact or message; None for anything else, because a handler may send any
    JSON."""
    update = payload.get("artifact_update")
    holder = update.get("artifact") if isinstance(update, dict) else payload.get("message")
    parts = holder.get("parts") if isinstance(holder, dict) else None
    if not isinstance(parts, list):
        return None
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
