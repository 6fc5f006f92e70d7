"""`asya mcp`: the names of these commands in asya-lab, and what only MCP has."""

import typer

from asya_cli import offers, task, tool

app = typer.Typer(
    help="Run prompts and read resources. The others are aliases of `asya tool`, `asya task` and `asya flow`: list, "
    "show, call, status, stream, expose.",
    no_args_is_help=True,
)
app.command("list")(tool.list_tools)
app.command("show")(tool.show_tool)
app.command("call")(tool.call_tool)
app.command("status")(task.get_task)
app.command("stream")(task.watch_task)
app.command("prompts")(offers.list_prompts)
app.command("prompt")(offers.get_prompt)
app.command("resources")(offers.list_resources)
app.command("read")(offers.read_resource)
