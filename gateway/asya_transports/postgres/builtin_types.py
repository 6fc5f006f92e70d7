"""Connections that ask for PostgreSQL's own types once a process.

The driver knows few array types, and asks each new session what the others are, with a statement that costs more than
all that the session is opened for. What PostgreSQL brings along has the same number in every database.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import asyncpg

FIRST_OF_A_DATABASE = 10_000
"""Numbers below are assigned by hand in PostgreSQL's source, and never change their meaning."""

BASE_TYPE = b"b"

_known: dict[int, Any] = {}
"""An array type's number to the row that describes it."""
_NOTHING_SENT = SimpleNamespace(name="none")
"""In the place of the statement that asked: the driver prepares its own again where this one was anonymous."""


class BuiltinTypesConnection(asyncpg.Connection):
    """A connection of the driver's. A driver without the method that is replaced here asks as it did."""

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> tuple[list[Any], Any]:
        wanted = sorted(typeoids)
        if all(number in _known for number in wanted):
            return [_known[number] for number in wanted], _NOTHING_SENT
        rows, statement = await super()._introspect_types(wanted, timeout)  # type: ignore[misc]
        plain = {row["oid"] for row in rows if row["kind"] == BASE_TYPE and not row["elemtype"]}
        for row in rows:
            if row["oid"] < FIRST_OF_A_DATABASE and row["elemtype"] in plain:
                _known[row["oid"]] = row
        return rows, statement
