"""Commands that work on the database itself: its URL, and a session of their own."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from asyncpg import Connection

DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--database-url",
        envvar=["ASYA_DATABASE_DIRECT_URL", "ASYA_DATABASE_URL"],
        metavar="URL",
        help="PostgreSQL, 15 or newer.",
    ),
]
"""Without a pooler of transactions, which would lose the migrations' lock."""

Result = TypeVar("Result")


def check_database_url(url: str) -> None:
    """Raises UsageProblem."""
    from asya_cli.errors import UsageProblem
    from asya_transports.postgres.dsn import InvalidDsn, check_dsn

    if not url:
        raise UsageProblem(
            "ASYA_DATABASE_URL: expected a PostgreSQL URL, postgresql://user:password@host:5432/name; it is not set"
        )
    try:
        check_dsn(url)
    except InvalidDsn as error:
        raise UsageProblem(f"ASYA_DATABASE_URL: {error}") from None


@contextlib.asynccontextmanager
async def database_session(url: str) -> "AsyncGenerator[Connection]":
    """A session that ends with the block. Raises CliError if the database cannot be reached."""
    import asyncpg

    from asya_cli.errors import CliError, ExitCode
    from asya_transports.postgres.dsn import InvalidDsn
    from asya_transports.postgres.sessions import Sessions

    try:
        connection = await Sessions(url, {}).connect(timeout=10)
    except InvalidDsn as error:
        raise CliError(f"the database's URL cannot be read: {error}", ExitCode.UNREACHABLE) from None
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError) as error:
        raise CliError(
            f"the database cannot be reached: {str(error) or type(error).__name__}", ExitCode.UNREACHABLE
        ) from error
    try:
        yield connection
    finally:
        await connection.close()


def run_on_database(url: str, work: "Callable[[Connection], Awaitable[Result]]") -> Result:
    """Run a coroutine on a session, if the schema is the one that this version needs. Raises UsageProblem, CliError."""
    import asyncio

    import asyncpg

    from asya_cli.errors import CliError
    from asya_gateway.storage.migrate import LATEST, schema_version

    async def main() -> Result:
        async with database_session(url) as connection:
            try:
                version = await schema_version(connection)
                if version < LATEST:
                    raise CliError(f"the schema is at {version}, expected {LATEST}: run `asya migrate`")
                return await work(connection)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise CliError(f"the database refused: {error}") from error

    check_database_url(url)
    return asyncio.run(main())
