"""What the options of `asya flow expose` ask for."""

from pathlib import Path
from typing import Any

import pytest

from asya_cli.errors import UsageProblem
from asya_cli.flow_options import merged_fields, set_fields, timeout_of, wanted_flow
from asya_cli.flow_writing import check
from asya_crds.contract import camel
from asya_crds.flow import A2aExposure, Flow, McpExposure

SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("asked", "exposures"),
    [
        ({}, {}),
        ({"mcp": True}, {"mcp": {}}),
        ({"schema": SCHEMA}, {"mcp": {"inputSchema": SCHEMA}}),
        ({"a2a": True}, {"a2a": {}}),
        ({"skill": {"tags": ["a"], "examples": None}}, {"a2a": {"tags": ["a"]}}),
        ({"mcp": True, "a2a": True}, {"mcp": {}, "a2a": {}}),
    ],
)
def test_only_what_is_named_is_asked_for(asked: dict[str, Any], exposures: dict[str, Any]) -> None:
    options = {"schema": None, "skill": {"tags": None}, "mcp": False, "a2a": False, **asked}
    plain = {"entrypoint": "a", "routeNext": None, "description": None, "timeout": None}
    assert wanted_flow(plain, **options) == {"entrypoint": "a", **exposures}


@pytest.mark.parametrize(("text", "timeout"), [(None, None), ("90", 90), ("5m", "5m"), ("1.5", "1.5")])
def test_a_number_of_seconds_is_a_number(text: str | None, timeout: int | str | None) -> None:
    assert timeout_of(text) == timeout


SETTABLE = {
    "entrypoint": "first",
    "routeNext": "[second]",
    "description": "Shouts.",
    "timeout": "30s",
    "maxPause": "1h",
    "scopes": "[finance]",
    "tags": "[office]",
    "mcp.inputSchema": "{type: object, properties: {text: {type: string}}}",
    "mcp.outputSchema": '{"type": "object"}',
    "mcp.progress": "false",
    "mcp.task": "required",
    "mcp.annotations": "{readOnlyHint: true}",
    "mcp.title": "Shout",
    "mcp.input": "[]",
    "mcp.inputKey": "answers",
    "mcp.icons": '[{"src": "https://files.example/a.png"}]',
    "mcp._meta": "{a: 1}",
    "mcp.tool": "true",
    "mcp.prompt": "{}",
    "mcp.resource": "{uri: notes://shout}",
    "a2a.tags": "[loud]",
    "a2a.inputModes": "[text/plain]",
    "a2a.outputModes": "[text/plain]",
    "a2a.examples": "[hello]",
    "a2a.reply": "message",
}


def test_every_field_of_a_flow_can_be_set() -> None:
    fields = {camel(name) for name in Flow.model_fields} - {"name", "mcp", "a2a"}
    for block, model in (("mcp", McpExposure), ("a2a", A2aExposure)):
        fields |= {f"{block}.{field.alias or camel(name)}" for name, field in model.model_fields.items()}
    assert set(SETTABLE) == fields
    found = set_fields(f"{name}={value}" for name, value in SETTABLE.items())
    assert (found["scopes"], found["timeout"]) == (["finance"], "30s")
    assert (found["a2a"]["reply"], found["mcp"]["progress"], found["mcp"]["_meta"]) == ("message", False, {"a": 1})
    check({"name": "shout", **found})


def test_both_spellings_of_a_field_are_taken_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text("type: object")
    words = ("max_pause=5m", "mcp.output_schema=@" + str(tmp_path / "schema.yaml"), "a2a.reply=auto")
    expected = {"maxPause": "5m", "mcp": {"outputSchema": {"type": "object"}}, "a2a": {"reply": "auto"}}
    assert set_fields(words) == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["a2a.reply"], "expected one of FIELD=VALUE, mcp.FIELD=VALUE, a2a.FIELD=VALUE"),
        (["=x"], "expected one of"),
        (["mcp.=x"], "expected one of"),
        (["mcp.prompt.name=x"], "expected one of"),
        (["route.next=x"], "expected one of"),
        (["name=other"], "TARGET is the flow's name"),
        (["a2a.reply=auto", "a2a.reply=task"], "a2a.reply: given twice"),
        (["scopes=[a"], "--set scopes: neither JSON nor YAML"),
        (["a2a.replies=x"], "a2a.replies"),
        (["a2a.reply=shout"], "a2a.reply"),
    ],
)
def test_what_is_no_field_is_refused_with_the_reason(words: list[str], reason: str) -> None:
    with pytest.raises(UsageProblem) as refused:
        check({"name": "shout", "entrypoint": "first", **set_fields(words)})
    assert reason in refused.value.message


def test_set_adds_to_the_other_options_and_contradicts_none() -> None:
    flow = {"entrypoint": "first", "a2a": {"tags": ["loud"]}}
    assert merged_fields(flow, {"scopes": ["a"], "a2a": {"reply": "auto"}}) == {
        "entrypoint": "first",
        "scopes": ["a"],
        "a2a": {"tags": ["loud"], "reply": "auto"},
    }
    for more, name in (({"entrypoint": "other"}, "entrypoint"), ({"a2a": {"tags": []}}, "a2a.tags")):
        with pytest.raises(UsageProblem, match=f"--set {name}: another option gives it"):
            merged_fields(flow, more)
