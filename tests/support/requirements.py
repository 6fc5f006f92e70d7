"""Lists of a specification's sentences with the tests that prove them, and what makes such a list sound.

Every protocol has a package `requirements` beside its tests, and a module test_requirements.py that checks it.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from typing_extensions import override

ROOT = Path(__file__).parents[2]

Level = Literal["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "STATES"]

WORDS = {"MUST NOT": "MUST NOT", "SHOULD NOT": "SHOULD NOT", "MUST": "MUST|REQUIRED", "SHOULD": "SHOULD", "MAY": "MAY"}
QUOTED = re.compile(r"""(?<!\w)(?:'[^']*\w[^']*'(?!\w)|"[^"]*\w[^"]*")""")
"""A sentence or the name of a section in quotation marks; an apostrophe within a word is none."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """`link`: the page below the specification's root with the anchor of its section. `level`: the sentence's word; MAY
    is an option that the gateway takes, STATES a plain sentence that a test quotes. `says`: the sentence without its
    markup, shortened with "…". `tests`: node ids without parameters. `deferred`: why there is none."""

    link: str
    level: Level
    says: str
    tests: tuple[str, ...] = ()
    deferred: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.link} {self.says[:60]}"


def tests_of(module: str, *names: str) -> tuple[str, ...]:
    """The node ids of tests in one module below tests/."""
    return tuple(f"{module}::{name}" for name in names)


def check_proofs(requirements: Iterable[Requirement]) -> None:
    """A requirement is proved by tests that exist, or says why it is not."""
    for requirement in requirements:
        assert bool(requirement.tests) != bool(requirement.deferred), str(requirement)
        assert [test for test in requirement.tests if not exists(test)] == [], str(requirement)
        assert len(set(requirement.tests)) == len(requirement.tests), str(requirement)


def check_sentences(requirements: Iterable[Requirement], link: re.Pattern[str]) -> None:
    """A requirement has a link of this form, and the word of its sentence."""
    for requirement in requirements:
        assert link.fullmatch(requirement.link), str(requirement)
        assert requirement.says.strip() == requirement.says != "", str(requirement)
        if requirement.level != "STATES":
            word = rf"\b({WORDS[requirement.level]})\b"
            assert re.search(word, requirement.says), str(requirement)


def repeated(requirements: Iterable[Requirement]) -> list[tuple[str, str]]:
    """Links and sentences that are listed twice."""
    seen = Counter((requirement.link, requirement.says) for requirement in requirements)
    return [each for each, times in seen.items() if times > 1]


def quoting(*folders: Path) -> set[str]:
    """The node ids of the tests below these folders whose docstrings quote a specification."""
    return {
        f"{path.relative_to(ROOT).as_posix()}::{name}"
        for folder in folders
        for path in sorted(folder.glob("**/test_*.py"))
        for name, docstring in docstrings_in(path).items()
        if QUOTED.search(docstring)
    }


def exists(test: str) -> bool:
    """Whether there is a test of this node id."""
    module, _, name = test.partition("::")
    path = ROOT / module
    return path.is_file() and name in docstrings_in(path)


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
