"""Connections that look up PostgreSQL's own types once in each process.

The driver knows few array types, and looks up the others in each new session with a statement that costs more than the
actual work of the session. PostgreSQL's own types have the same numbers in every database.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import asyncpg

FIRST_OF_A_DATABASE = 10_000
"""Lower numbers are assigned in PostgreSQL's source and never change their meaning."""

BASE_TYPE = b"b"

_known: dict[int, Any] = {}
"""Maps an array type's number to the row that describes it."""
_NOTHING_SENT = SimpleNamespace(name="none")
"""Replaces the statement of the lookup. The driver prepares its own statement again if this one was anonymous."""


class BuiltinTypesConnection(asyncpg.Connection):
    """A driver connection. A driver version without the method overridden here does its lookups as before."""

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
