"""Words of a command line become arguments of the type that the tool's inputSchema asks for."""

from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from asya_cli.arguments import read_arguments
from asya_cli.dev.introducing import example_arguments
from asya_cli.errors import ExitCode, UsageProblem
from asya_cli.rendering import arguments_text
from asya_cli.schema_types import kinds_of, properties_of

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
        ("tags=5", ["5"]),
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


PYDANTIC = {
    "$defs": {
        "Colour": {"enum": ["red", "1", "null"], "title": "Colour", "type": "string"},
        "Size": {"enum": [1, 2], "type": "integer"},
        "Point": {"type": "object", "properties": {"x": {"$ref": "#/$defs/Point"}}},
        "a/b~c": {"type": "integer"},
        "Again": {"$ref": "#/$defs/Again"},
        "Named": {"$anchor": "Word", "type": "string"},
        "Twice": {"$dynamicAnchor": "Late", "type": "string"},
    },
    "type": "object",
    "properties": {
        "colour": {"anyOf": [{"$ref": "#/$defs/Colour"}, {"type": "null"}], "default": None},
        "colours": {"anyOf": [{"items": {"$ref": "#/$defs/Colour"}, "type": "array"}, {"type": "null"}]},
        "size": {"allOf": [{"$ref": "#/$defs/Size"}], "default": 1},
        "optional_size": {"oneOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]},
        "point": {"$ref": "#/$defs/Point", "description": "where"},
        "escaped": {"$ref": "#/$defs/a~1b~0c"},
        "percent": {"$ref": "#/%24defs/Named"},
        "anchored": {"$ref": "#Word"},
        "dynamic": {"$dynamicRef": "#Late"},
        "nowhere": {"$ref": "#Nobody"},
        "untyped": {"enum": ["on", "1", 2, True, None]},
        "constant": {"const": "5"},
        "number": {"const": 5},
        "both": {"allOf": [{"type": ["string", "integer"]}, {"type": ["integer", "null"]}]},
        "round": {"$ref": "#/$defs/Again"},
        "elsewhere": {"$ref": "https://example.com/schema"},
        "whole": {"type": "integer"},
    },
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": {"type": "integer"},
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("colour=red", "red"),
        ("colour=1", "1"),
        ("colour=null", "null"),
        ("colours=red", ["red"]),
        ("colours=null", None),
        ("size=2", 2),
        ("optional_size=2", 2),
        ("optional_size=null", None),
        ('point={"x": {}}', {"x": {}}),
        ("escaped=5", 5),
        ("percent=5", "5"),
        ("anchored=5", "5"),
        ("dynamic=5", "5"),
        ("nowhere=5", 5),
        ("untyped=on", "on"),
        ("untyped=1", "1"),
        ("untyped=2", 2),
        ("untyped=true", True),
        ("untyped=null", None),
        ("constant=5", "5"),
        ("number=5", 5),
        ("both=5", 5),
        ("round=5", 5),
        ("elsewhere=5", 5),
        ("whole=5.0", 5.0),
        ("x-more=5", "5"),
        ("more=5", 5),
    ],
)
def test_a_value_is_read_through_references_and_combinations(word: str, expected: Any) -> None:
    key = word.partition("=")[0]
    value = read_arguments([word], None, PYDANTIC)[key]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("size=big", "size: expected number, not 'big'"),
        ("both=x", "both: expected integer, not 'x'"),
        ("optional_size=big", "optional_size: expected integer or null"),
        ("more=x", "more: expected integer"),
    ],
)
def test_a_wrong_value_is_told_with_the_types_behind_the_reference(word: str, complaint: str) -> None:
    with pytest.raises(UsageProblem) as refused:
        read_arguments([word], None, PYDANTIC)
    assert complaint.replace("expected number", "expected integer") in refused.value.message


def test_properties_that_the_whole_schema_takes_from_elsewhere_are_known_too() -> None:
    base = {"properties": {"loud": {"type": "boolean"}}, "allOf": [{"properties": {"top": {"type": "string"}}}]}
    schema = {"$ref": "#/$defs/Base", "$defs": {"Base": base}, "properties": {"text": {"type": "string"}}}
    assert read_arguments(["loud=true", "top=5", "text=6"], None, schema) == {"loud": True, "top": "5", "text": "6"}
    assert arguments_text(schema) == "[text=string] [loud=boolean] [top=string]"


def test_schemas_that_name_each_other_are_read_in_bounded_time() -> None:
    """Each way through these would be one of 3^32."""
    again = {"$ref": "#/$defs/tree"}
    tree = {"anyOf": [again, again, again, {"enum": ["leaf", None]}], "allOf": [again, again, again]}
    deep = {f"d{n}": {"oneOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 3} for n in range(12)}
    schema = {
        "properties": {"tree": again, "trees": {"items": again}, "deep": {"$ref": "#/$defs/d0"}},
        "allOf": [{"$ref": "#"}, {"$ref": "#"}, {"properties": {"more": {"type": "integer"}}}],
        "$defs": {"tree": tree, **deep, "d12": {"enum": ["a", "b"]}},
    }
    assert list(properties_of(schema)) == ["tree", "trees", "deep", "more"]
    assert set(kinds_of(schema, "tree").values or ()) == {"leaf", None}
    assert kinds_of(schema, "trees").items is not None
    assert kinds_of(schema, "deep").values == ("a", "b")
    assert kinds_of(schema, "more").names == ("integer",)


def test_what_pydantic_writes_for_an_optional_enum_is_read_as_one() -> None:
    class Level(StrEnum):
        LOW = "1"
        HIGH = "high"

    class Arguments(BaseModel):
        level: Level | None = None
        levels: list[Level] = []

    schema = Arguments.model_json_schema()
    for words in (["level=1", "levels=1", "levels=high"], ["level=null"], ["level=high"]):
        Arguments.model_validate(read_arguments(words, None, schema))
    assert arguments_text(schema) == "[level=string|null] [levels=array]"
    assert example_arguments(schema | {"required": ["level"]}) == {"level": "1"}


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
