"""`asya mcp`: the names of these commands in asya-lab."""

import typer

from asya_cli import task, tool

app = typer.Typer(
    help="Aliases of `asya tool`, `asya task` and `asya flow`: list, show, call, status, stream, expose.",
    no_args_is_help=True,
)
app.command("list")(tool.list_tools)
app.command("show")(tool.show_tool)
app.command("call")(tool.call_tool)
app.command("status")(task.get_task)
app.command("stream")(task.watch_task)
