"""`asya auth`: its groups of commands. They work on the database, like `asya migrate`."""

import typer

from asya_cli.auth import client_commands, grant_commands, key_commands

app = typer.Typer(help="Make, list and revoke what callers prove themselves by.", no_args_is_help=True)
app.add_typer(key_commands.app, name="key")
app.add_typer(client_commands.app, name="client")
app.add_typer(grant_commands.app, name="grant")
