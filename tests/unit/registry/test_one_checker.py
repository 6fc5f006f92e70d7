"""Operator, mounted file and gateway accept the same flows and report the same mistakes."""

from typing import Any

import pytest
import yaml

from asya_crds import jsontext
from asya_crds.flow_resource import flow_from_resource
from asya_crds.flows_file import InvalidFlow, read_texts
from asya_crds.registry_text import split
from asya_gateway.registry.row_documents import RowDocuments
from asya_gateway.registry.tables import TableBuilder
from asya_operator.domain.registry import YAML, ComputedRegistry, Inputs, compute
from asya_schemas.flows import check_flow


def resource(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": spec.get("name", "one"), "namespace": "n", "uid": "u", "generation": 1}, "spec": spec}


def text_of(*entries: dict[str, Any]) -> dict[str, str]:
    return {"flows.yaml": yaml.safe_dump({"flows": list(entries)}, sort_keys=False)}


def table_of(found: ComputedRegistry) -> dict[str, str]:
    """What a pod serves of the pushed document (by name: the entrypoint)."""
    parts = (found.document.configmap, found.document.resources)
    texts = [jsontext.dumps(part.model_dump(include={"flows", "problems"})) for part in parts]
    documents = RowDocuments(1, tuple(split(text) for text in texts))
    return {name: served.flow.entrypoint for name, served in TableBuilder().build(documents).flows.items()}


def exposed(schema: dict[str, Any], name: str = "one", entrypoint: str = "a") -> dict[str, Any]:
    return {"name": name, "entrypoint": entrypoint, "mcp": {"inputSchema": schema}}


UNUSABLE: list[dict[str, Any]] = [
    {"properties": {"x": {"pattern": "(?=a)b"}}},
    {"properties": {"x": {"pattern": r"(a)\1"}}},
    {"patternProperties": {"(?!a)": {}}},
    {"properties": {"x": {"pattern": "a{1000}{1000}"}}},
    {"properties": {"x": {"type": 7}}},
    {"properties": {"x": {"$ref": "#/$defs/none"}}},
    {"properties": {"x": {"minLength": -1}}},
]


@pytest.mark.parametrize("schema", UNUSABLE, ids=jsontext.dumps)
def test_the_operator_accepts_no_schema_that_gateways_leave_out(schema: dict[str, Any]) -> None:
    found = compute(Inputs(text_of(exposed(schema, "in-text")), [resource(exposed(schema))], None))
    assert table_of(found) == dict.fromkeys(found.served, "a") == {}
    accepted = found.resources["one"].accepted
    assert accepted.reason == "Invalid"
    assert accepted.message.startswith("mcp.inputSchema: ")
    assert found.entries[0].verdict.accepted.message == accepted.message


@pytest.mark.parametrize(
    "schema",
    [{"properties": {"x": {"pattern": "^(a|b)+$"}}}, {"properties": {"x": {"format": "date", "$comment": "fine"}}}, {}],
    ids=jsontext.dumps,
)
def test_what_the_operator_accepts_is_served(schema: dict[str, Any]) -> None:
    found = compute(Inputs(text_of(exposed(schema, "in-text")), [resource(exposed(schema))], None))
    assert set(table_of(found)) == set(found.served) == {"one", "in-text"}


def test_a_schema_that_cannot_be_used_is_named_with_its_line() -> None:
    text = b"""flows:
- name: one
  entrypoint: a
  mcp:
    inputSchema:
      properties:
        x:
          pattern: (?=a)b
"""
    (problem,) = read_texts({"flows.yaml": text}, YAML, check_flow).problems
    assert (problem.name, problem.line) == ("one", 8)
    assert problem.reason.startswith("mcp.inputSchema: /properties/x/pattern: expected a regular expression")


def test_a_flow_with_a_broken_schema_takes_no_name_from_a_whole_one() -> None:
    text = text_of(exposed(UNUSABLE[0], entrypoint="broken"), exposed({}, entrypoint="whole"))
    found = compute(Inputs(text, [], None))
    assert table_of(found) == {"one": "whole"}
    assert [(each.verdict.name, each.verdict.served) for each in found.entries] == [("one", False), ("one", True)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"entrypoint": 5},
        {"entrypoint": "a", "entrypiont": "b"},
        {"entrypoint": "a", "mcp": {"progres": True}},
        {"entrypoint": "a", "mcp": None},
        {"entrypoint": "a", "routeNext": "b"},
        {"entrypoint": "a", "routeNext": ["x-sink"], "timeout": "soon"},
        {"entrypoint": "a", "maxPause": "0s"},
        {"entrypoint": "a", "mcp": {"inputSchema": {"type": "string"}}},
        {"entrypoint": "a", "mcp": {"outputSchema": {"pattern": "(?=a)b"}}},
        {},
    ],
    ids=jsontext.dumps,
)
def test_a_mistake_reads_the_same_in_a_flow_resource_and_in_flows_yaml(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidFlow) as raised:
        flow_from_resource(resource(wrong), check_flow)
    texts = {key: text.encode() for key, text in text_of({"name": "one", **wrong}).items()}
    written = [problem.reason for problem in read_texts(texts, YAML, check_flow).problems]
    assert str(raised.value) == "; ".join(written)
