"""The list of requirements and the tests name each other."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

from tests.protocol.mcp.requirements import REQUIREMENTS
from tests.protocol.mcp.requirements.requirement import Requirement

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
LINK = re.compile(r"(\d{4}-\d\d-\d\d|ext-tasks)/[a-z0-9/-]+(#[a-z0-9_-]+)?")
WORDS = {"MUST NOT": "MUST NOT", "SHOULD NOT": "SHOULD NOT", "MUST": "MUST|REQUIRED", "SHOULD": "SHOULD", "MAY": "MAY"}
QUOTED = re.compile(r"""(?<!\w)(?:'[^']*\w[^']*'(?!\w)|"[^"]*\w[^"]*")""")
"""A sentence or the name of a section in quotation marks; an apostrophe within a word is none."""


def described(requirement: Requirement) -> str:
    return f"{requirement.link} {requirement.says[:60]}"


@cache
def docstrings_in(path: Path) -> dict[str, str]:
    """The docstrings of the test functions of a module, by the name within it, classes included."""
    return dict(_tests(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _tests(body: Sequence[ast.stmt], within: str) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{within}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield within + node.name, ast.get_docstring(node) or ""


def exists(test: str) -> bool:
    module, _, name = test.partition("::")
    path = ROOT / module
    return path.is_file() and name in docstrings_in(path)


def test_a_requirement_is_proved_by_tests_or_says_why_it_is_not() -> None:
    for requirement in REQUIREMENTS:
        assert bool(requirement.tests) != bool(requirement.deferred), described(requirement)
        assert [test for test in requirement.tests if not exists(test)] == [], described(requirement)
        assert len(set(requirement.tests)) == len(requirement.tests), described(requirement)


def test_a_requirement_has_a_link_and_the_word_of_its_sentence() -> None:
    for requirement in REQUIREMENTS:
        assert LINK.fullmatch(requirement.link), described(requirement)
        assert requirement.says.strip() == requirement.says != "", described(requirement)
        if requirement.level != "STATES":
            word = rf"\b({WORDS[requirement.level]})\b"
            assert re.search(word, requirement.says), described(requirement)


def test_no_requirement_is_listed_twice() -> None:
    seen = Counter((requirement.link, requirement.says) for requirement in REQUIREMENTS)
    assert [each for each, times in seen.items() if times > 1] == []


def test_every_test_that_quotes_the_specification_proves_a_requirement() -> None:
    named = set(chain.from_iterable(requirement.tests for requirement in REQUIREMENTS))
    quoting = {
        f"{path.relative_to(ROOT).as_posix()}::{name}"
        for path in sorted(HERE.glob("**/test_*.py"))
        for name, docstring in docstrings_in(path).items()
        if QUOTED.search(docstring)
    }
    assert len(quoting) > 100
    assert sorted(quoting - named) == []
