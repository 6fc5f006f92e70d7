"""The `asya` command: its subcommands, and their error handling.

Command modules import only typer at module level, and everything else when they run, so that `asya --help` answers at
once.
"""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from asya_cli import actor, flow_commands, mcp, migrate, operator_command, serve, task, tool
from asya_cli.a2a import command as a2a
from asya_cli.auth import command as auth
from asya_cli.dev.command import dev
from asya_cli.errors import CliError
from asya_cli.login import command as login
from asya_cli.streams import take_every_character
from asya_crds.masking import masked
from asya_crds.readable import readable

app = typer.Typer(
    name="asya",
    help="Flows of asynchronous actors behind MCP, REST and live streams.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("dev")(dev)
app.command("serve")(serve.serve)
app.command("actor")(actor.actor)
app.command("migrate")(migrate.migrate)
app.command("operator")(operator_command.operator)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("expose", help="The same as `asya flow expose`.")(flow_commands.expose)
app.command("unexpose", help="The same as `asya flow hide`.")(flow_commands.hide)
mcp.app.command("expose", help="The same as `asya flow expose`.")(flow_commands.expose)
app.add_typer(flow_commands.app, name="flow")
app.add_typer(tool.app, name="tool")
app.add_typer(task.app, name="task")
app.add_typer(mcp.app, name="mcp")
app.add_typer(a2a.app, name="a2a")
app.add_typer(auth.app, name="auth")

DEBUG_VARIABLE = "ASYA_DEBUG"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"asya {version('asya')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG_VARIABLE, help="Show the traceback of an error.")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def main() -> None:
    """The console script. Errors become one line on stderr; a traceback is shown only on request."""
    take_every_character()
    _have_a_home()
    try:
        app()
    except CliError as error:
        _complain(error, error.message)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader has closed the pipe (`asya task list | head`). The flush at exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except ModuleNotFoundError as error:
        _complain(error, f"{error.name} is not installed; `pip install 'asya[all]'` has everything")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 # the last resort: users get a message, no traceback
        from asya_actor.failures import text_of

        _complain(error, f"{type(error).__name__}: {text_of(error)} (run `asya --debug …` to see where)")
        sys.exit(1)


def _have_a_home() -> None:
    """Set HOME if the user id has no entry in /etc/passwd and HOME is not set, because the Kubernetes client cannot be
    imported then. Like container runtimes, this uses the root folder."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def _complain(error: Exception, message: str) -> None:
    if os.environ.get(DEBUG_VARIABLE) == "1":
        import traceback

        typer.echo(readable(masked("".join(traceback.format_exception(error)))), err=True, nl=False)
    # Several lines are joined into one, because scripts read the last line of stderr.
    typer.echo(f"error: {readable(' '.join(line.strip() for line in message.splitlines()))}", err=True)
