"""One sentence of the specification, and what proves that the gateway keeps it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "STATES"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """`link`: the page below the specification's root with the anchor of its section (`ext-tasks/…`: the tasks
    extension). `level`: the sentence's word; MAY is an option that the gateway takes, STATES a plain sentence that a
    test quotes. `says`: the sentence without its markup, shortened with "…". `tests`: node ids without parameters.
    `deferred`: why there is none."""

    link: str
    level: Level
    says: str
    tests: tuple[str, ...] = ()
    deferred: str = ""


def tests_of(module: str, *names: str) -> tuple[str, ...]:
    """The node ids of tests in one module below tests/."""
    return tuple(f"{module}::{name}" for name in names)
