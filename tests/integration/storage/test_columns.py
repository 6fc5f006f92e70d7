"""Columns of a batch that travel as one text."""

import asyncpg
import pytest

from asya_gateway.storage.columns import NULL, joined, split


@pytest.mark.parametrize(
    ("kind", "values", "read"),
    [
        ("text", ["a"], ["a"]),
        ("text", [""], [""]),
        ("text", ["", "x", ""], ["", "x", ""]),
        ("text", ["ä{},\"\\'NULL", "NULL"], ["ä{},\"\\'NULL", "NULL"]),
        ("text", [NULL, "b"], [None, "b"]),
        ("text", [NULL], [None]),
        ("bigint", ["9223372036854775807", "-1", NULL], [2**63 - 1, -1, None]),
        ("integer", ["0"], [0]),
        ("float8", [repr(0.1), repr(1e300), repr(12.0)], [0.1, 1e300, 12.0]),
        ("json", ['{"a":"\\u001f"}', NULL, "null"], ['{"a":"\\u001f"}', None, "null"]),
    ],
)
async def test_what_is_joined_here_is_the_same_array_there(
    empty_database_url: str, kind: str, values: list[str], read: list[object]
) -> None:
    connection = await asyncpg.connect(empty_database_url)
    try:
        sql = f"SELECT value FROM unnest({split(1, kind)}) WITH ORDINALITY AS u(value, n) ORDER BY n"
        assert [row["value"] for row in await connection.fetch(sql, joined(values))] == read
    finally:
        await connection.close()


@pytest.mark.parametrize("value", ["a\x1fb", "\x1f"])
def test_a_value_that_would_be_taken_for_two_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="without control characters"):
        joined(["a", value])
