"""`asya migrate`: updates the schema before new pods start."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from asya_cli.database import DatabaseUrl, check_database_url, database_session

if TYPE_CHECKING:
    from asyncpg import Connection


def migrate(
    database_url: DatabaseUrl = "",
    namespace: Annotated[
        str,
        typer.Option("--namespace", metavar="NAME", help="Hand the database over to this namespace."),
    ] = "",
) -> None:
    """Bring the database's schema up to date. Safe while older pods run, and for several at once."""
    import asyncio

    from asya_cli.errors import UsageProblem
    from asya_crds.setting_types import check_namespace

    check_database_url(database_url)
    if namespace:
        try:
            check_namespace(namespace)
        except ValueError as error:
            raise UsageProblem(f"--namespace: {error}") from None
    applied, before = asyncio.run(apply_and_hand_over(database_url, namespace))
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("the schema is up to date")
    if namespace:
        typer.echo(f"the database belongs to the namespace {namespace}" + (f", before to {before}" if before else ""))


async def apply_and_hand_over(
    database_url: str, namespace: str, then: "Callable[[Connection], Awaitable[None]] | None" = None
) -> tuple[list[str], str | None]:
    """Apply the missing migrations, then assign the database to this namespace, unless it is empty. Returns the names
    of the migrations, and the previous namespace. `then` runs in the same session. Raises CliError if the database
    cannot be reached."""
    import asyncpg

    from asya_cli.errors import CliError
    from asya_gateway.storage.migrate import migrate as apply
    from asya_gateway.storage.namespace import hand_over

    async with database_session(database_url) as connection:
        try:
            applied = await apply(connection)
            before = await hand_over(connection, namespace) if namespace else None
            if then is not None:
                await then(connection)
            return applied, before
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise CliError(f"the schema could not be updated: {error}") from error
