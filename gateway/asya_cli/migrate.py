"""`asya migrate`: updates the schema before new pods start."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from asyncpg import Connection


def migrate(
    database_url: Annotated[
        str, typer.Option("--database-url", envvar="ASYA_DATABASE_URL", metavar="URL", help="PostgreSQL, 15 or newer.")
    ] = "",
    namespace: Annotated[
        str,
        typer.Option("--namespace", metavar="NAME", help="Hand the database over to this namespace."),
    ] = "",
) -> None:
    """Bring the database's schema up to date. Safe while older pods run, and for several at once."""
    import asyncio

    from asya_cli.errors import UsageProblem

    if not database_url:
        raise UsageProblem("ASYA_DATABASE_URL: expected a PostgreSQL URL, postgresql://user:password@host:5432/name")
    from asya_crds.setting_types import check_namespace
    from asya_transports.postgres.dsn import InvalidDsn, check_dsn

    try:
        check_dsn(database_url)
    except InvalidDsn as error:
        raise UsageProblem(f"ASYA_DATABASE_URL: {error}") from None
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


async def apply_migrations(database_url: str) -> list[str]:
    """Apply the missing migrations; returns their names. Raises CliError if the database cannot be reached."""
    return (await apply_and_hand_over(database_url, ""))[0]


async def apply_and_hand_over(
    database_url: str, namespace: str, then: "Callable[[Connection], Awaitable[None]] | None" = None
) -> tuple[list[str], str | None]:
    """The same, and then assign the database to this namespace, unless it is empty; also returns the previous one.
    `then` runs in the same session."""
    import asyncpg

    from asya_cli.errors import CliError, ExitCode
    from asya_gateway.storage.migrate import migrate as apply
    from asya_gateway.storage.namespace import hand_over
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
        before = await hand_over(connection, namespace) if namespace else None
        if then is not None:
            await then(connection)
        return applied, before
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CliError(f"the schema could not be updated: {error}") from error
    finally:
        await connection.close()
