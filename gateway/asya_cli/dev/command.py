"""`asya dev`, the command."""

import os
from pathlib import Path
from typing import Annotated

import typer


def dev(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where flows.yaml, actors.yaml and the handlers are.")
    ] = Path(),
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; the next free one if it is taken.")
    ] = 8080,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Keep nothing: a database that is gone at the end.")
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Forget the tasks of earlier runs first.")] = False,
) -> None:
    """Run a folder of flows and handlers: gateway, actors and an embedded PostgreSQL, until Ctrl-C.

    Handlers are restarted when their files change; flows.yaml is read again as it is.
    """
    from asya_cli.dev.session import Options, run_session
    from asya_cli.errors import UsageProblem

    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder")
    debug = os.environ.get("ASYA_DEBUG") == "1"
    run_session(Options(folder, port, ephemeral=ephemeral, reset=reset, debug=debug))
