"""Documents that operators write: mistakes have a line and a field, and quote no value."""

import pytest
from pydantic import BaseModel, ConfigDict, Field

from asya_gateway.mounted import documents
from asya_gateway.mounted.documents import read_document
from asya_gateway.mounted.watching import InvalidFile


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = Field(1, ge=1)


class Entries(BaseModel):
    model_config = ConfigDict(extra="forbid")
    entries: list[Entry]


def test_yaml_and_json_are_read() -> None:
    assert read_document(b"entries: [{name: a}]", Entries).entries == [Entry(name="a")]
    assert read_document(b'\xef\xbb\xbf{"entries": []}', Entries).entries == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "entries: required field is missing"),
        (b"# nothing\n", "entries: required field is missing"),
        (b"- a\n", "line 1: expected an object"),
        (b"entries:\n- name: a\n  size: 0\n", "line 3: entries.0.size: expected at least 1"),
        (b"entries:\n- name: a\n  sise: 1\n", "line 3: entries.0.sise: unknown field (did you mean size?)"),
        (b"entries:\n- name: secret!\n  size: hunter2\n- {}\n", "line 3: entries.0.size: expected a whole number"),
        (b"entries:\n- {name: a, name: b}\n", "line 2: entries.0.name: "),
        (b"entries: [", "line 2: not YAML"),
        (b"entries: \xff", "not UTF-8 at byte 9"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_field(text: bytes, expected: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_document(text, Entries)
    assert str(caught.value).startswith(expected)
    assert "hunter2" not in str(caught.value)


def test_not_more_than_some_mistakes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_TOLD", 1)
    with pytest.raises(InvalidFile, match=r"entries.0.name.*; and 2 more$"):
        read_document(b"entries: [{}, {}, {}]", Entries)
