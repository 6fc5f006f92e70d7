"""JSON as people read it, and as text of one byte for each character."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds import jsontext
from asya_crds.jsontext import InvalidJSON

VALUE = {"name": "Zoë", "half": "\ud83d", "n": [1, 10**40, 2.5]}


def test_one_line_has_a_space_behind_commas_and_colons() -> None:
    assert jsontext.spaced(VALUE) == '{"name": "Zoë", "half": "\ud83d", "n": [1, 1' + "0" * 40 + ", 2.5]}"
    assert jsontext.spaced(VALUE, ascii_only=True).startswith('{"name": "Zo\\u00eb", "half": "\\ud83d", "n": [1, ')


def test_lines_are_indented() -> None:
    assert jsontext.indented({"a": ["é"]}) == '{\n  "a": [\n    "é"\n  ]\n}'
    assert jsontext.indented("é", ascii_only=True) == '"\\u00e9"'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_what_is_no_json_is_not_written_for_people_either(value: object) -> None:
    for write in (jsontext.spaced, jsontext.indented):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write(value)


@given(text=st.text())
def test_a_string_of_ascii_is_read_again(text: str) -> None:
    quoted = jsontext.ascii_quoted(text)
    assert quoted.isascii()
    assert json.loads(quoted) == text


@pytest.mark.parametrize("text", ["NaN", "1e400", "[" * 102 + "]" * 102, '{"a": Infinity}'])
def test_what_the_standard_library_reads_and_is_no_json_is_refused(text: str) -> None:
    json.loads(text)
    with pytest.raises(InvalidJSON):
        jsontext.loads(text)
