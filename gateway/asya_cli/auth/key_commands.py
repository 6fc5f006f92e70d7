"""`asya auth key`: keys that tell callers apart."""

from typing import TYPE_CHECKING, Annotated

import typer

from asya_cli.database import DatabaseUrl, run_on_database
from asya_cli.options import AsJson

if TYPE_CHECKING:
    from asyncpg import Connection

    from asya_gateway.domain.identity.key_text import NewKey
    from asya_gateway.domain.identity.keys import KeyRecord

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The caller: its tasks belong to key:NAME.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="SCOPE", help="What it may do; repeat it.")
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", metavar="ROLE", help="A role's scopes; repeat it.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="2027-01-01, 2027-01-01T12:00:00Z, or from now: 90d, 12h.")
    ] = "",
    entry: Annotated[
        bool, typer.Option("--entry", help="Print an entry for ASYA_API_KEYS_FILE instead of storing the key.")
    ] = False,
    database_url: DatabaseUrl = "",
) -> None:
    """Make a key and print it, once. Only its hash is stored.

    Another key of a living name is a rotation: without --scope and --role it may do what the newest one may. Otherwise
    the default is mcp:read and mcp:invoke.
    """
    import time

    from asya_cli.auth import keys, rendering

    wanted = keys.wanted(name, scope or [], role or [], expires)
    if entry:
        key, record = keys.made(wanted, None, time.time())  # noqa: TID251 # a file of keys has no database
        rendering.print_entry(key, record)
        rendering.print_strange(keys.strange_roles(record))
        return

    async def work(connection: "Connection") -> "tuple[NewKey, KeyRecord, list[str]]":
        return await keys.create(connection, wanted)

    key, record, open_pods = run_on_database(database_url, work)
    rendering.print_created(key, record, open_pods)
    rendering.print_strange(keys.strange_roles(record))


@app.command("list")
def list_keys(
    every: Annotated[bool, typer.Option("--all", help="Also those that were revoked or have expired.")] = False,
    database_url: DatabaseUrl = "",
    as_json: AsJson = False,
) -> None:
    """List keys. Shows who has which, what they may do, and when they were last used; never the keys themselves."""
    from asya_cli.auth import rendering
    from asya_gateway.storage.identity.keys import list_keys as read

    found = run_on_database(database_url, lambda connection: read(connection, every=every))
    rendering.print_keys(found, as_json=as_json)


@app.command("revoke")
def revoke(
    which: Annotated[str, typer.Argument(metavar="ID|NAME", help="One key by its id, or every key of a name.")],
    database_url: DatabaseUrl = "",
) -> None:
    """End a key, or every key of a name. Gateways follow within two seconds, and end its streams."""
    from asya_cli.auth import keys

    for key_id in run_on_database(database_url, lambda connection: keys.revoke(connection, which)):
        typer.echo(f"revoked {key_id}")
