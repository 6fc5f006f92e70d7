"""What PostgreSQL's own array types are is asked once a process, not in every session."""

from typing import Any

import asyncpg
import pytest

from asya_transports.postgres import builtin_types
from asya_transports.postgres.sessions import Sessions


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The types that the driver asked the server about."""
    found: list[list[int]] = []
    ask = asyncpg.Connection._introspect_types  # type: ignore[attr-defined]

    async def counting(self: Any, typeoids: Any, timeout: Any) -> Any:
        found.append(list(typeoids))
        return await ask(self, typeoids, timeout)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", counting)
    monkeypatch.setattr(builtin_types, "_known", {})
    return found


async def test_a_later_session_asks_for_no_builtin_type(database_url: str, asked: list[list[int]]) -> None:
    sessions = Sessions(database_url, {})
    for _ in range(3):
        connection = await sessions.connect()
        row = await connection.fetchrow(
            "SELECT $1::bigint[], $2::bool[], $3::json[], $4::timestamptz[]", [1, 2**40], [True], ['{"a":1}'], []
        )
        assert row is not None
        assert list(row.values()) == [[1, 2**40], [True], ['{"a":1}'], []]
        assert await connection.fetchval("SELECT $1::float8[]", [0.5]) == [0.5]
        await connection.close()
    assert [len(types) for types in asked] == [4, 1]


async def test_a_type_of_the_database_is_asked_for_in_each_session(database_url: str, asked: list[list[int]]) -> None:
    sessions = Sessions(database_url, {})
    connection = await sessions.connect()
    await connection.execute("CREATE TYPE colour AS ENUM ('red', 'blue')")
    await connection.close()
    for _ in range(2):
        connection = await sessions.connect()
        assert await connection.fetchval("SELECT $1::colour[]", ["red"]) == ["red"]
        await connection.close()
    assert len(asked) == 2
