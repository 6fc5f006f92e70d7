"""`--input-schema` takes what flows.yaml takes: JSON, or YAML that JSON can say."""

from pathlib import Path

import pytest

from asya_cli.errors import UsageProblem
from asya_cli.flow_options import read_schema


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"enum": ["on", "\\ud83d\\ude00"]}', {"enum": ["on", "😀"]}),
        ("enum: ['on', 2024-01-01]", {"enum": ["on", "2024-01-01"]}),
        ("\ufefftype: object\r\n", {"type": "object"}),
        ('{\n\t"type": "object"\n}', {"type": "object"}),
    ],
)
def test_a_schema_is_read_from_json_and_yaml(text: str, schema: object, tmp_path: Path) -> None:
    assert read_schema(text, None) == schema
    (tmp_path / "schema.yaml").write_bytes(text.encode())
    assert read_schema(None, tmp_path / "schema.yaml") == schema


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("const: .nan", "line 1: NaN and infinity are not JSON numbers"),
        ("a: 1\na: 2", "line 2: the key occurs twice"),
        ("[1]", "expected an object"),
        ("{", "neither JSON nor YAML"),
        ("{" * 2000, "neither JSON nor YAML"),
    ],
)
def test_an_invalid_schema_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UsageProblem) as refused:
        read_schema(text, None)
    assert reason in refused.value.message


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageProblem, match=r"schema\.json: not UTF-8 at byte 0"):
        read_schema(None, tmp_path / "schema.json")
