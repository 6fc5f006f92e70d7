"""A docstring says more than the name that it stands under: a shape, a unit, an error, a condition."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILLERS = frozenset(
    ["a", "an", "and", "as", "by", "for", "from", "in", "is", "it", "its", "of", "one", "that", "the", "this", "to"]
)
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def stems(text: str) -> set[str]:
    """Words without the endings that a noun, a plural and a verb of one stem do not share."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"([A-Z])", r" \1", text).lower())
    return {re.sub(r"(ing|ed|es|s|e|d)$", "", word) for word in words if word not in FILLERS}


def empty_ones(source: str) -> Iterator[str]:
    """The names whose docstring only repeats them, or only points elsewhere."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, Documented):
            continue
        text = ast.get_docstring(node)
        if text is not None and (text.startswith("See ") or stems(text.lower()) <= stems(node.name)):
            yield node.name


def test_the_search_finds_what_says_nothing_and_leaves_the_rest() -> None:
    said = 'def stop():\n    """{}"""'
    for text in ("Stop.", "Stops it.", "See the base class."):
        assert list(empty_ones(said.format(text))) == ["stop"], text
    for text in ("Stop, and wait for its readers.", "Raises Unavailable.", "{id, status}."):
        assert list(empty_ones(said.format(text))) == [], text
    assert list(empty_ones('class RequestSpan:\n    """The span of a request."""')) == ["RequestSpan"]


@pytest.mark.parametrize("folder", ["crds", "gateway", "operator"])
def test_no_docstring_only_repeats_a_name_or_points_elsewhere(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert len(files) > 30
    found = {str(file.relative_to(ROOT)): list(empty_ones(file.read_text())) for file in files}
    assert {file: names for file, names in found.items() if names} == {}
