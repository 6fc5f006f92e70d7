"""A pause is found in the text of a report that is too large to be read, wherever in it, and nothing else is."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_gateway.protocols.mesh.pause_search import PauseSearch

WORDS = st.sampled_from(["status", "paused", "pause_metadata", "checkpoint", 'a"b', "\\", "é", "", "{", "]}"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


def finds(text: bytes, size: int, level: int = 1) -> bool:
    search = PauseSearch(level)
    return any(search.finds(text[start : start + size]) for start in range(0, len(text), size))


def is_pause(report: dict[str, Any]) -> bool:
    return isinstance(report.get("pause_metadata"), str | dict | list) or report.get("status") == "paused"


@given(st.dictionaries(WORDS, VALUES, max_size=4), st.integers(1, 9))
def test_what_is_found_is_what_the_decoded_report_says(report: dict[str, Any], size: int) -> None:
    text = jsontext.dumps(report).encode()
    assert finds(text, size) is is_pause(report)
    assert finds(text, len(text)) is is_pause(report)
    event = jsontext.dumps({"type": "status", "data": report}).encode()
    assert finds(event, size, level=2) is is_pause(report)


LARGE = 10_000_000
BODIES = {
    "one string": '"' + "x" * LARGE + '"',
    "escaped quotes": '"' + '\\"' * (LARGE // 2) + '"',
    "empty lists": "[" + "[]," * (LARGE // 3) + "[]]",
    "strings": "[" + '"",' * (LARGE // 3) + "1]",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_question_behind_ten_megabytes_is_found_in_short_steps(body: str) -> None:
    text = f'{{"checkpoint":{{"payload":{body}}},"pause_metadata":{{}}}}'.encode()
    search, longest, found = PauseSearch(), 0.0, False
    for start in range(0, len(text), 64 * 1024):
        began = time.process_time()
        found = search.finds(text[start : start + 64 * 1024])
        longest = max(longest, time.process_time() - began)
    assert found
    assert longest < 0.25
