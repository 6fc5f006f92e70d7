"""The forms that a pause's schema becomes, per revision (client/elicitation, "Requested Schema")."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.protocols.mcp.requested_schema import NotAForm, requested_schema
from asya_gateway.protocols.mcp.versions import Revision
from asya_schemas.compiling import compile_schema
from tests.support.mcp import conforms
from tests.support.schemas import answer_schemas, filled

FORMS = [Revision.JUNE_2025, Revision.NOVEMBER_2025, Revision.JULY_2026]
SINCE_NOVEMBER = FORMS[1:]


def check_form(form: dict[str, Any], revision: Revision) -> None:
    """The official schema takes a request with this form."""
    params = {"message": "?", "requestedSchema": form}
    request: dict[str, Any] = {"method": "elicitation/create", "params": params}
    if revision is Revision.NOVEMBER_2025:
        request |= {"jsonrpc": "2.0", "id": 1}
    conforms(request, "ElicitRequest", str(revision))
    for field in form["properties"].values():
        conforms(field, "PrimitiveSchemaDefinition", str(revision))


def form_of(properties: dict[str, Any], revision: Revision) -> dict[str, Any]:
    form = requested_schema({"type": "object", "properties": properties}, revision)
    check_form(form, revision)
    return form


FLAT: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Name", "minLength": 1, "maxLength": 9, "default": "Ada"},
        "mail": {"type": "string", "format": "email", "description": "Where to"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "default": 30},
        "score": {"type": "number", "default": 95.5},
        "sure": {"type": "boolean", "default": True},
        "color": {"type": "string", "enum": ["r", "g"], "default": "r"},
        "titled": {"type": "string", "oneOf": [{"const": "r", "title": "Red"}], "default": "r"},
        "legacy": {"type": "string", "enum": ["r"], "enumNames": ["Red"]},
        "several": {"type": "array", "items": {"type": "string", "enum": ["r", "g"]}, "minItems": 1, "maxItems": 2},
        "several_titled": {"type": "array", "items": {"anyOf": [{"const": "r", "title": "Red"}]}, "default": ["r"]},
    },
    "required": ["name"],
}


@pytest.mark.parametrize("revision", SINCE_NOVEMBER)
def test_a_form_passes_verbatim(revision: Revision) -> None:
    assert requested_schema(FLAT, revision) == FLAT
    check_form(FLAT, revision)


def test_an_older_revision_gets_what_it_can_show() -> None:
    """2025-06-18 has no multiple selections, no titled `oneOf`, and defaults of booleans only."""
    flat = {name: part for name, part in FLAT["properties"].items() if part["type"] != "array"}
    assert form_of(flat, Revision.JUNE_2025)["properties"] == {
        "name": {"type": "string", "title": "Name", "minLength": 1, "maxLength": 9},
        "mail": {"type": "string", "format": "email", "description": "Where to"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "score": {"type": "number"},
        "sure": {"type": "boolean", "default": True},
        "color": {"type": "string", "enum": ["r", "g"]},
        "titled": {"type": "string", "enum": ["r"], "enumNames": ["Red"]},
        "legacy": {"type": "string", "enum": ["r"], "enumNames": ["Red"]},
    }
    with pytest.raises(NotAForm, match="several"):
        requested_schema(FLAT, Revision.JUNE_2025)


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "string", "pattern": "^a$"}, {"type": "string", "description": "(must match ^a$)"}),
        (
            {"type": "integer", "description": "How many?", "multipleOf": 5, "exclusiveMinimum": 0},
            {"type": "integer", "description": "How many? (a multiple of 5; more than 0)"},
        ),
        ({"type": "number", "exclusiveMaximum": 1}, {"type": "number", "description": "(less than 1)"}),
        ({"type": "string", "format": "uuid"}, {"type": "string", "description": "(format: uuid)"}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "(one of 1, 2)"}),
        ({"const": True}, {"type": "boolean", "description": "(must be true)"}),
        ({"const": "yes"}, {"type": "string", "enum": ["yes"]}),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"]}),
        ({"enum": [1, 2.5]}, {"type": "number", "description": "(one of 1, 2.5)"}),
        ({"type": ["string", "null"], "default": None}, {"type": "string"}),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "title": "N"},
            {"type": "integer", "minimum": 1, "title": "N"},
        ),
        (
            {"$ref": "#/$defs/color", "description": "Which?"},
            {"type": "string", "enum": ["r", "g"], "description": "Which?"},
        ),
        (
            {"type": "array", "items": {"$ref": "#/$defs/color"}},
            {"type": "array", "items": {"type": "string", "enum": ["r", "g"]}},
        ),
        (
            {"type": "array", "uniqueItems": True, "items": {"oneOf": [{"const": "r"}]}},
            {"type": "array", "items": {"anyOf": [{"const": "r", "title": "r"}]}},
        ),
        ({"type": "string", "minLength": 1.0}, {"type": "string", "minLength": 1}),
        ({"type": "string", "default": 5}, {"type": "string"}),
        ({"type": "integer", "default": True}, {"type": "integer"}),
        ({"type": "string", "enum": ["a"], "default": "b"}, {"type": "string", "enum": ["a"]}),
        ({"type": "string", "examples": ["a"], "deprecated": True}, {"type": "string"}),
        (True, {"type": "string"}),
        ({}, {"type": "string"}),
    ],
)
def test_what_generators_of_schemas_write_becomes_a_field(part: Any, field: Any) -> None:
    schema = {"type": "object", "properties": {"a": part}, "$defs": {"color": {"type": "string", "enum": ["r", "g"]}}}
    form = requested_schema(schema, Revision.JULY_2026)
    check_form(form, Revision.JULY_2026)
    assert form["properties"] == {"a": field}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string"}, "not an object"),
        ({"type": "array"}, "not an object"),
        ({"type": "object", "minProperties": 1}, "minProperties"),
        ({"type": "object", "oneOf": [{"required": ["a"]}]}, "oneOf"),
        ({"type": "object", "required": ["a"]}, "a is required"),
        ({"properties": {"a": {"type": "object"}}}, "a: a form has no field of type object"),
        ({"properties": {"a": {"type": "null"}}}, "a: a form has no field of type null"),
        ({"properties": {"a": {"type": "array", "items": {"type": "string"}}}}, "a: a form has no field for a list"),
        ({"properties": {"a": {"type": "array"}}}, "a: a form has no field for a list"),
        ({"properties": {"a": {"type": ["string", "integer"]}}}, "a: a form's field has one type"),
        ({"properties": {"a": {"enum": [1, "a"]}}}, "a: a form's field has one type"),
        ({"properties": {"a": {"enum": [None]}}}, "a: a form"),
        ({"properties": {"a": {"type": "string", "not": {"const": "b"}}}}, "a: not has no place"),
        ({"properties": {"a": {"type": "string", "anyOf": [{"maxLength": 1}, {"minLength": 5}]}}}, "a: anyOf"),
        ({"properties": {"a": False}}, "a admits no value"),
        ({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}, "lead to themselves"),
        ({"properties": {"a": {"$ref": "https://example.com/schema"}}}, "no references"),
        ({"properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": "string"}}}, None),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "no references"),
    ],
)
def test_what_no_form_can_ask_is_said(schema: Any, reason: str | None) -> None:
    if reason is None:
        check_form(requested_schema(schema, Revision.JULY_2026), Revision.JULY_2026)
        return
    with pytest.raises(NotAForm, match=reason):
        requested_schema(schema, Revision.JULY_2026)


@pytest.mark.parametrize("revision", FORMS)
@given(schema=answer_schemas(), data=st.data())
def test_a_form_is_one_of_its_revision_and_takes_what_the_schema_takes(
    revision: Revision, schema: dict[str, Any], data: st.DataObject
) -> None:
    """What is entered breaks the schema only where the description says more than the form can check."""
    try:
        form = requested_schema(schema, revision)
    except NotAForm:
        return
    check_form(form, revision)
    answer = data.draw(filled(form))
    for violation in compile_schema(schema)(answer):
        name = violation.path.split("/")[1] if "/" in violation.path else violation.path
        assert form["properties"][name]["description"].endswith(")"), violation


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "array", "#/$defs/a", "a"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "properties", "items", "enum", "oneOf", "anyOf", "$ref", "$defs", "a", "const",
                         "required", "enumNames", "default", "title"]), inner, max_size=5),
    max_leaves=20,
))  # fmt: skip
def test_any_schema_that_compiles_becomes_a_form_or_none(value: Any) -> None:
    if not isinstance(value, dict):
        return
    try:
        compile_schema(value)
    except ValueError:
        return
    for revision in FORMS:
        try:
            check_form(requested_schema(value, revision), revision)
        except NotAForm:
            continue
