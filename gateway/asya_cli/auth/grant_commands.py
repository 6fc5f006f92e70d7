"""`asya auth grant`: what was granted to OAuth clients."""

from typing import TYPE_CHECKING, Annotated

import typer

from asya_cli.database import DatabaseUrl, run_on_database
from asya_cli.options import AsJson

if TYPE_CHECKING:
    from asyncpg import Connection

app = typer.Typer(help="List and revoke what OAuth clients were granted.", no_args_is_help=True)


@app.command("list")
def list_grants(
    client: Annotated[str, typer.Option("--client", metavar="KEY|ID", help="Only those of one client.")] = "",
    database_url: DatabaseUrl = "",
    as_json: AsJson = False,
) -> None:
    """List living grants. Shows which client may act as whom, and what it may do."""
    from asya_cli.auth import clients, oauth_rendering
    from asya_gateway.storage.identity.oauth_listing import list_grants as read

    key = clients.key_in(client) if client else None
    found = run_on_database(database_url, lambda connection: read(connection, key))
    oauth_rendering.print_grants(found, as_json=as_json)


@app.command("revoke")
def revoke(
    grant: Annotated[
        str, typer.Argument(metavar="[ID]", show_default=False, help="The grant's id from the list.")
    ] = "",
    owner: Annotated[
        str, typer.Option("--owner", metavar="OWNER", help="Every grant of one owner, such as user:corp:ann.")
    ] = "",
    database_url: DatabaseUrl = "",
) -> None:
    """End a grant. This ends its refresh token, and within two seconds its access tokens, streams and held calls.

    With --owner, everything that any client was granted for a person, for example one who has left.
    """
    from asya_cli.auth import clients
    from asya_cli.errors import UsageProblem

    if bool(grant) == bool(owner):
        raise UsageProblem("expected either the ID of a grant or --owner")

    async def work(connection: "Connection") -> str:
        if owner:
            count = await clients.revoke_grants_of(connection, owner)
            return f"{count} grant{'' if count == 1 else 's'} of {owner}"
        await clients.revoke_grant(connection, grant)
        return grant

    typer.echo(f"revoked {run_on_database(database_url, work)}")
