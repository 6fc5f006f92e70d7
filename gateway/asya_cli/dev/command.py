"""`asya dev`, the command."""

import os
from pathlib import Path
from typing import Annotated

import typer


def dev(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Folder of flows.yaml, actors.yaml and the handlers.")
    ] = Path(),
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; if it is taken, the next free one.")
    ] = 8080,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Use a temporary database, deleted at the end.")
    ] = False,
    auth: Annotated[
        bool, typer.Option("--auth", help="Ask callers who they are: logins with the browser, and keys.")
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Delete the tasks of earlier runs first.")] = False,
) -> None:
    """Run a folder of flows and handlers on this machine.

    Starts the gateway, the actors and an embedded PostgreSQL, and ends them with Ctrl-C. Handlers are restarted when
    their files change; a changed flows.yaml is read again.
    """
    from asya_cli.dev.session import Options, run_session
    from asya_cli.errors import UsageProblem

    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder")
    debug = os.environ.get("ASYA_DEBUG") == "1"
    run_session(Options(folder, port, ephemeral=ephemeral, reset=reset, debug=debug, auth=auth))
