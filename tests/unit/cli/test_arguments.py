"""Words of a command line become arguments of the type that the tool's inputSchema asks for."""

from pathlib import Path
from typing import Any

import pytest

from asya_cli.arguments import read_arguments
from asya_cli.errors import ExitCode, UsageProblem

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "loud": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "point": {"type": "object"},
        "maybe": {"type": ["string", "null"]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    },
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("text=5", "5"),
        ("text=true", "true"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("count=5", 5),
        ("count=123456789012345678901234567890", 123456789012345678901234567890),
        ("ratio=1", 1),
        ("ratio=1.5", 1.5),
        ("loud=true", True),
        ("loud=False", False),
        ('tags=["a", "b"]', ["a", "b"]),
        ("tags=a", ["a"]),
        ('point={"x": 1}', {"x": 1}),
        ("maybe=null", None),
        ("maybe=5", "5"),
        ("either=5", 5),
        ("either=five", "five"),
        ("unknown=5", 5),
        ("unknown=[1]", [1]),
        ("unknown=plain text", "plain text"),
        ("unknown=NaN", "NaN"),
        ("text=@@home", "@home"),
    ],
)
def test_a_value_has_the_type_that_the_schema_gives_its_key(word: str, expected: Any) -> None:
    key = word.partition("=")[0]
    value = read_arguments([word], None, SCHEMA)[key]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["count=five"], "count: expected integer, not 'five'"),
        (["count=1.5"], "count: expected integer"),
        (["count=true"], "count: expected integer"),
        (["ratio=true"], "ratio: expected number"),
        (["loud=1"], "loud: expected boolean"),
        (["point=[1]"], "point: expected object"),
        (["text"], "'text': expected key=value"),
        (["=5"], "'=5': expected key=value"),
        (["text=a", "text=b"], "text: given twice"),
        (["text=@/nowhere/at/all"], "text: cannot read /nowhere/at/all"),
    ],
)
def test_what_cannot_be_meant_is_refused_naming_the_key(words: list[str], complaint: str) -> None:
    with pytest.raises(UsageProblem, match="^" + complaint.replace("[", r"\[")) as caught:
        read_arguments(words, None, SCHEMA)
    assert caught.value.code is ExitCode.USAGE


def test_a_key_given_several_times_fills_an_array() -> None:
    assert read_arguments(["tags=a", "tags=b", 'tags=["c"]'], None, SCHEMA) == {"tags": ["a", "b", "c"]}


def test_words_stand_over_the_json_object() -> None:
    assert read_arguments(["count=2"], '{"count": 1, "other": [1]}', SCHEMA) == {"count": 2, "other": [1]}


@pytest.mark.parametrize("text", ["[1]", "5", "{", "null"])
def test_the_json_must_be_an_object(text: str) -> None:
    with pytest.raises(UsageProblem, match=r"^--json: expected"):
        read_arguments([], text, SCHEMA)


def test_a_value_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "poem").write_text("line one\nline two\n")
    assert read_arguments([f"text=@{tmp_path}/poem"], None, SCHEMA) == {"text": "line one\nline two\n"}
