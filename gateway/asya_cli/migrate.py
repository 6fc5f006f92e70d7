"""`asya migrate`: the schema, brought up to date before new pods start."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from asyncpg import Connection


def migrate(
    database_url: Annotated[
        str, typer.Option("--database-url", envvar="ASYA_DATABASE_URL", metavar="URL", help="PostgreSQL, 15 or newer.")
    ] = "",
) -> None:
    """Bring the database's schema up to date. Safe while older pods run, and for several at once."""
    import asyncio

    from asya_cli.errors import UsageProblem

    if not database_url:
        raise UsageProblem("ASYA_DATABASE_URL: expected a PostgreSQL URL, postgresql://user:password@host:5432/name")
    from asya_transports.postgres.dsn import InvalidDsn, check_dsn

    try:
        check_dsn(database_url)
    except InvalidDsn as error:
        raise UsageProblem(f"ASYA_DATABASE_URL: {error}") from None
    applied = asyncio.run(apply_migrations(database_url))
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("the schema is up to date")


async def apply_migrations(
    database_url: str, then: "Callable[[Connection], Awaitable[None]] | None" = None
) -> list[str]:
    """Apply what the database lacks, then do what else is wanted over the same session; the names of what was applied.

    Raises CliError where the database cannot be reached.
    """
    import asyncpg

    from asya_cli.errors import CliError, ExitCode
    from asya_gateway.storage.migrate import migrate as apply
    from asya_transports.postgres.dsn import InvalidDsn
    from asya_transports.postgres.sessions import Sessions

    try:
        connection = await Sessions(database_url, {}).connect(timeout=10)
    except InvalidDsn as error:
        raise CliError(f"the database's URL cannot be read: {error}", ExitCode.UNREACHABLE) from None
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError) as error:
        raise CliError(
            f"the database cannot be reached: {str(error) or type(error).__name__}", ExitCode.UNREACHABLE
        ) from error
    try:
        applied = await apply(connection)
        if then is not None:
            await then(connection)
        return applied
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CliError(f"the schema could not be brought up to date: {error}") from error
    finally:
        await connection.close()
