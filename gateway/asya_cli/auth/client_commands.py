"""`asya auth client`: programs that get tokens of the gateway's authorization server."""

from typing import TYPE_CHECKING, Annotated

import typer

from asya_cli.database import DatabaseUrl, run_on_database
from asya_cli.options import AsJson

if TYPE_CHECKING:
    from asyncpg import Connection

app = typer.Typer(help="Make, list and revoke OAuth clients.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="SCOPE", help="The most that it may do; repeat it.")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option("--redirect-uri", metavar="URI", help="Where codes are sent (code flow); repeat it."),
    ] = None,
    secret: Annotated[
        bool, typer.Option("--secret", help="Give it a secret, with which it may act for itself (client_credentials).")
    ] = False,
    database_url: DatabaseUrl = "",
) -> None:
    """Make a client. Its id, and its secret if it has one, are printed once.

    The default scopes are mcp:read and mcp:invoke. Clients that register themselves never get more than these without
    a person's login.
    """
    from asya_cli.auth import clients, oauth_rendering

    made = clients.made(name, scope or [], redirect_uri or [], secret=secret)
    run_on_database(database_url, lambda connection: clients.store(connection, made.client))
    oauth_rendering.print_created(made)


@app.command("list")
def list_clients(
    every: Annotated[bool, typer.Option("--all", help="Also registrations that hold no grant.")] = False,
    database_url: DatabaseUrl = "",
    as_json: AsJson = False,
) -> None:
    """List clients. These are those of operators, and those to which something is granted."""
    from asya_cli.auth import oauth_rendering
    from asya_gateway.storage.identity.oauth_listing import list_clients as read

    found = run_on_database(database_url, lambda connection: read(connection, every=every))
    oauth_rendering.print_clients(found, every=every, as_json=as_json)


@app.command("revoke")
def revoke(
    which: Annotated[str, typer.Argument(metavar="KEY|ID", help="A client's key from the list, or its id.")],
    database_url: DatabaseUrl = "",
) -> None:
    """End a client and everything that was granted to it. Gateways follow within two seconds."""
    from asya_cli.auth import clients

    async def work(connection: "Connection") -> tuple[bool, int]:
        return await clients.revoke(connection, which)

    known, grants = run_on_database(database_url, work)
    typer.echo(f"revoked {'the client and ' if known else ''}{grants} grant{'' if grants == 1 else 's'}")
