"""What the groups of `asya auth` have in common: checks of arguments, who works on the database, and times."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asya_cli.errors import UsageProblem

if TYPE_CHECKING:
    from asyncpg import Connection


def check_each(option: str, values: Sequence[str], check: Callable[[str], object], most: int) -> None:
    """Check the values of an option that may be repeated. Raises UsageProblem naming it and what was expected."""
    if len(set(values)) > most:
        raise UsageProblem(f"{option}: expected at most {most}")
    for value in values:
        try:
            check(value)
        except ValueError as error:
            raise UsageProblem(f"{option}: {error}") from None


async def acting(connection: "Connection") -> str:
    """Who works on the database, for the audit."""
    return f"database:{await connection.fetchval('SELECT session_user')}"


def shown_time(at: datetime | None) -> str:
    """A time in UTC (RFC 3339); "" for none."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
