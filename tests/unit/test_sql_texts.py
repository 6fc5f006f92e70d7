"""A statement is put together from fragments with named places. An edit of finished SQL (`sql.replace("$12", "$9")`)
breaks in silence when the SQL changes, and so does a list of columns that stands in several files when one gets a new
column."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "gateway"
FILES = sorted([*ROOT.glob("asya_gateway/storage/**/*.py"), *ROOT.glob("asya_transports/postgres/**/*.py")])
PLACE = re.compile(r"\{\w+\}")
"""A place that is named in the fragment, as str.format's."""
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def edits(source: str) -> Iterator[int]:
    """The lines that replace something else than a named place in a constant, or in an expression of constants."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "replace":
            continue
        names = [each.id for each in ast.walk(node.func.value) if isinstance(each, ast.Name)]
        first = node.args[0] if node.args else None
        named = isinstance(first, ast.Constant) and isinstance(first.value, str) and PLACE.fullmatch(first.value)
        if any(map(CONSTANT.fullmatch, names)) and not named:
            yield node.lineno


def test_the_search_finds_edits_and_nothing_else() -> None:
    assert list(edits('_A = _B.replace("$12", "$9")')) == [1]
    assert list(edits('x = (_A + _B).replace("ended_at", "asked_at")')) == [1]
    assert list(edits("x = _A.replace(old, new)")) == [1]
    assert list(edits('x = _A.replace("{fresh}", fresh); y = text.replace("a", "b"); z = replace(A, b=1)')) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_finished_sql_is_not_edited(file: Path) -> None:
    assert list(edits(file.read_text())) == []


INSERT = re.compile(r"INSERT INTO\s+(\w+)(?:\s+AS\s+\w+)?\s*\(([\w\s,]+)\)")


def inserts(source: str) -> set[str]:
    """The tables with the columns into which the SQL of a file inserts."""
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings]
    texts = [node.value for node in constants if isinstance(node.value, str)]
    return {f"{table} ({' '.join(columns.split())})" for text in texts for table, columns in INSERT.findall(text)}


def test_the_search_finds_lists_of_columns() -> None:
    assert inserts('_A = f"""WITH a AS (INSERT INTO t AS x (a,\n  b) VALUES ({y}))""" + "INSERT INTO u(c) SELECT"') == {
        "t (a, b)",
        "u (c)",
    }
    assert inserts('_A = f"INSERT INTO t ({COLUMNS}) VALUES ($1)"') == set()
    assert inserts('"""Use INSERT INTO t (a)."""') == set()


def test_a_list_of_inserted_columns_is_in_one_file() -> None:
    found = [(columns, file) for file in FILES for columns in inserts(file.read_text())]
    counted = Counter(columns for columns, _ in found)
    assert len(counted) > 20
    assert {columns: str(file) for columns, file in found if counted[columns] > 1} == {}
