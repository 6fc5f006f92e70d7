"""The list of requirements and the tests name each other."""

import re
from itertools import chain
from pathlib import Path

from tests.protocol.mcp.requirements import REQUIREMENTS
from tests.support.requirements import check_proofs, check_sentences, quoting, repeated

LINK = re.compile(r"(\d{4}-\d\d-\d\d|ext-tasks)/[a-z0-9/-]+(#[a-z0-9_-]+)?")


def test_a_requirement_is_proved_by_tests_or_says_why_it_is_not() -> None:
    check_proofs(REQUIREMENTS)


def test_a_requirement_has_a_link_and_the_word_of_its_sentence() -> None:
    check_sentences(REQUIREMENTS, LINK)


def test_no_requirement_is_listed_twice() -> None:
    assert repeated(REQUIREMENTS) == []


def test_every_test_that_quotes_the_specification_proves_a_requirement() -> None:
    named = set(chain.from_iterable(requirement.tests for requirement in REQUIREMENTS))
    found = quoting(Path(__file__).parent)
    assert len(found) > 100
    assert sorted(found - named) == []
