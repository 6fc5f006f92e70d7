"""Schemas that would make checking arguments unbounded, or that clients would drop, are refused at registration."""

import json
from typing import Any

import pytest

from asya_crds.schema_cost import evaluations
from asya_crds.schema_rules import check_input_schema
from asya_crds.schema_walk import BrokenSchema
from asya_schemas.costs import cost_at_one_place
from asya_schemas.patterns import TEXT_BUDGET, TextLimit


def multiplied(depth: int) -> dict[str, Any]:
    defs: dict[str, Any] = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(depth)}
    return {"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": {**defs, f"d{depth}": {}}}


def refer(schema: Any, beginning: str) -> Any:
    """The schema with references that begin otherwise: percent-encoded (RFC 6901, section 6), or by anchors."""
    if isinstance(schema, list):
        return [refer(each, beginning) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"].replace("#/$defs/", beginning)}
    named = {key: {"$anchor": key, **part} for key, part in schema.get("$defs", {}).items()}
    return {key: refer(part, beginning) for key, part in {**schema, **({"$defs": named} if named else {})}.items()}


def moved(schema: dict[str, Any], home: str) -> dict[str, Any]:
    """The schema with its definitions under a key that JSON Schema does not know."""
    text = json.dumps({home: schema["$defs"]} | {key: part for key, part in schema.items() if key != "$defs"})
    moved: dict[str, Any] = json.loads(text.replace("#/$defs/", f"#/{home}/"))
    return moved


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ({"$ref": "https://example.com/x"}, "never fetched"),
        ({"$ref": "other.json#/a"}, "never fetched"),
        ({"properties": {"a": {"$dynamicRef": "http://x"}}}, "/properties/a/$dynamicRef"),
        ({"$id": "https://example.com/x"}, "$id is not supported"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "2020-12"),
        ({"$ref": "#"}, "multiply"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "multiply"),
        (multiplied(20), "multiply"),
        *((refer(multiplied(20), written), "multiply") for written in ("#/%24defs/", "#/%24%64efs/", "#")),
        (moved(multiplied(20), "components"), "multiply"),
        ({"$ref": "#/$defs/gone"}, "/$ref: not a JSON Schema: expected $ref to lead to a schema"),
        ({"$ref": "#gone"}, "to lead to a schema"),
        ({"$ref": "#%2F$defs"}, "to lead to a schema"),
        ({"$ref": "#/x/a", "x": {"a": {"not": {"$ref": "./#/x/b"}}, "b": {}}}, "never fetched"),
        ({"$ref": "#/x/a", "x": {"a": {"$id": "https://example.com/x"}}}, "$id is not supported"),
        ({"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}, "multiply"),
        (nested(70), "levels"),
        ({"description": "x" * 200_000}, "bytes"),
    ],
)
def test_a_schema_that_cannot_be_bounded_is_refused(schema: dict[str, Any], part: str) -> None:
    with pytest.raises(BrokenSchema, match=part.replace("$", r"\$")):
        check_input_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        multiplied(4),
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}},
        {"type": ["object", "array"], "items": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}},
        {"properties": {"data": {"const": {"$ref": "http://is-data"}, "enum": [{"$id": 1}]}}},
        {"properties": {"$ref": {"type": "string"}, "x": {"$ref": "#/properties/$ref"}}},
    ],
)
def test_an_ordinary_schema_passes(schema: dict[str, Any]) -> None:
    check_input_schema(schema)


def test_a_schema_of_many_independent_properties_weighs_little() -> None:
    properties: dict[str, Any] = {f"p{i}": {"type": "string"} for i in range(500)}
    properties["list"] = {"items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}
    schema = {"properties": properties}
    assert evaluations(schema, json.dumps(schema)) == 3


@pytest.mark.parametrize("place", ["$defs", "definitions", "components", "examples"])
def test_a_schema_costs_the_same_wherever_its_parts_are(place: str) -> None:
    part = {"pattern": "[ab]{500}", "required": [str(number) for number in range(100)]}
    home: Any = [part] if place == "examples" else {"0": part}
    schema = {"properties": {"x": {"$ref": f"#/{place}/0"}}, place: home}
    assert TextLimit(schema, 1).characters == TEXT_BUDGET // 500
    assert cost_at_one_place(schema, 1) > 50


HEADER = "x-mcp-header"


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ({"properties": {"a": {"type": "number", HEADER: "A"}}}, "type integer, string or boolean"),
        ({"properties": {"a": {"type": "string", HEADER: "A B"}}}, "RFC 9110"),
        ({"properties": {"a": {"type": "string", HEADER: ""}}}, "RFC 9110"),
        ({"properties": {"a": {"type": "string", HEADER: "A\r\nB"}}}, "RFC 9110"),
        ({"properties": {"a": {"type": "string", HEADER: 5}}}, "RFC 9110"),
        ({"properties": {"a": {"items": {"type": "string", HEADER: "A"}}}}, "reached through `properties` alone"),
        ({"anyOf": [{"properties": {"a": {"type": "string", HEADER: "A"}}}]}, "reached through `properties` alone"),
        (
            {"properties": {"a": {"type": "string", HEADER: "X-A"}, "b": {"type": "string", HEADER: "x-a"}}},
            "taken by /properties/a",
        ),
    ],
)
def test_header_rules_of_mcp_are_kept(schema: dict[str, Any], part: str) -> None:
    # MCP 2026-07-28, Streamable HTTP: clients must drop a tool whose x-mcp-header breaks the rules.
    with pytest.raises(BrokenSchema, match=part):
        check_input_schema(schema)


def test_a_nested_property_may_travel_in_a_header() -> None:
    inner = {"type": "object", "properties": {"region": {"type": "string", HEADER: "Region"}}}
    check_input_schema({"properties": {"where": inner}})
