"""docs/indexes.md against the schema, both ways: no index and no setting of a table without a reason."""

import re
from pathlib import Path

import asyncpg

PAGE = Path(__file__).parents[2] / "docs" / "indexes.md"
INDEX = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \|$", re.M)
SETTING = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([\w.]+) \| ([^|]+) \|$", re.M)
INDEXES = "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public'"
SETTINGS = """
SELECT relname, split_part(option, '=', 1) AS name, split_part(option, '=', 2) AS value
FROM pg_class, unnest(reloptions) AS option WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""


async def rows(database_url: str, sql: str) -> list[tuple[str, ...]]:
    connection = await asyncpg.connect(database_url)
    try:
        return sorted(tuple(row) for row in await connection.fetch(sql))
    finally:
        await connection.close()


async def test_every_index_has_one_reason(database_url: str) -> None:
    documented = INDEX.findall(PAGE.read_text())
    assert sorted((table, index) for table, index, _ in documented) == await rows(database_url, INDEXES)
    assert all(len(reason) > 15 for _, _, reason in documented)


async def test_every_setting_of_a_table_has_a_reason(database_url: str) -> None:
    documented = SETTING.findall(PAGE.read_text())
    assert sorted((table, name, value) for table, name, value, _ in documented) == await rows(database_url, SETTINGS)


async def test_no_index_is_the_beginning_of_another(database_url: str) -> None:
    """Its searches could use the other one. (A primary key, or one with another condition, is not the same.)"""
    definition = re.compile(r"^CREATE INDEX (\w+) ON \S+ USING btree \((.*?)\)(?: WHERE (.*))?$")
    found: dict[str, dict[str, tuple[list[str], str]]] = {}
    sql = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    for table, text in await rows(database_url, sql):
        if match := definition.match(text):
            found.setdefault(table, {})[match[1]] = (match[2].split(", "), match[3] or "")
    assert sum(map(len, found.values())) > 20
    for indexes in found.values():
        for name, (columns, condition) in indexes.items():
            for other, (more, its_condition) in indexes.items():
                assert name == other or condition != its_condition or more[: len(columns)] != columns, (name, other)
