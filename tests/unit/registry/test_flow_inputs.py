"""`mcp.input` as people write it: what is read, and the reason for what is not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_crds.flows_file import InvalidFlow, flow_of
from asya_crds.rounds.forms import check_form_schema
from asya_crds.rounds.quoting import filled_text, filled_url, quoted_paths
from asya_crds.schema_walk import BrokenSchema
from asya_schemas.flows import check_flow, compile_flow

FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ROOTS: dict[str, Any] = {"roots": {}}
ASKS = {"elicitation": {"message": "Who?", "requestedSchema": FORM}}


def flow(*rounds: Any, **mcp: Any) -> dict[str, Any]:
    return {"name": "f", "entrypoint": "a", "mcp": {"input": list(rounds), **mcp}}


def reason(document: dict[str, Any]) -> str:
    with pytest.raises(InvalidFlow) as refused:
        check_flow(flow_of(document))
    return str(refused.value)


def elicitation(**fields: Any) -> dict[str, Any]:
    return {"a": {"elicitation": {"message": "Who?", **fields}}}


def sampling(**fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": {"type": "text", "text": "Hi"}}]
    return {"a": {"sampling": {"messages": messages, "maxTokens": 10, **fields}}}


ARGUMENTS = {"type": "object", "properties": {"who": {"type": "string"}}}


def test_every_kind_is_read_and_written_as_it_was() -> None:
    document = flow(
        {"form": ASKS, "model": sampling(temperature=0.5, modelPreferences={"hints": [{"name": "x"}]})["a"]},
        {"folders": ROOTS, "page": elicitation(url="https://a.example/${who}")["a"]},
        inputSchema=ARGUMENTS,
        inputKey="answers",
    )
    read = flow_of(document)
    assert read.document()["mcp"] == document["mcp"]
    assert flow_of(read.document()) == read


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (flow({}), "mcp.input.0: expected a round of 1 to 8 inputs by their keys"),
        (flow({f"k{n}": ROOTS for n in range(9)}), "mcp.input.0: expected a round of 1 to 8 inputs by their keys"),
        (flow(*({f"k{n}": ROOTS} for n in range(9))), "mcp.input: "),
        (flow({"a": {}}), "mcp.input.0.a: expected one of elicitation, sampling, roots"),
        (flow({"a": {**ROOTS, **ASKS}}), "mcp.input.0.a: expected one of elicitation, sampling, roots"),
        (flow({"a b": ROOTS}), "expected a key of 1 to 64 letters"),
        (flow({"a": ROOTS}, {"a": ROOTS}), "input.1.a: expected a key that no earlier round has"),
        (flow({"a": {"form": {}}}), "mcp.input.0.a.form: unknown field"),
        (flow({"a": {**ROOTS, "onDecline": "never"}}), "onDecline: expected 'fail', 'wait' or 'continue'"),
        (flow(elicitation()), "mcp.input.0.a.elicitation: expected requestedSchema (a form) or url, one of them"),
        (flow(elicitation(url="http://a.example/")), "elicitation.url: expected https; http only"),
        (flow(elicitation(url="https://a b/")), "elicitation.url: expected a URL in ASCII"),
        (flow(elicitation(url="https://${who}.example/"), inputSchema=ARGUMENTS), "they would choose where"),
        (flow(elicitation(message="${who}", url="https://a")), "${who} quotes no argument of inputSchema.properties"),
        (flow(elicitation(message="${who", url="https://a")), "message: expected ${name} or ${name.member}"),
        (flow(elicitation(message="${1+1}", url="https://a")), "message: expected ${name} or ${name.member}"),
        (flow(elicitation(message="", url="https://a")), "message: "),
        (flow(elicitation(message="${input.b}", url="https://a"), {"b": ROOTS}), "no input of an earlier round"),
        (flow(sampling(maxTokens=0)), "mcp.input.0.a.sampling.maxTokens: expected at least 1"),
        (flow(sampling(messages=[])), "mcp.input.0.a.sampling.messages: "),
        (flow(sampling(tools=[])), "mcp.input.0.a.sampling.tools: unknown field"),
        (flow(sampling(messages=[{"role": "system", "content": {"type": "text", "text": "x"}}])), "role: expected"),
        (flow(sampling(messages=[{"role": "user", "content": {"type": "video"}}])), "expected 'type' to be one of"),
        (flow(sampling(metadata={"x": "y" * 70_000})), "input: expected at most 65536 characters of JSON"),
        (flow({"a": ROOTS}, inputKey="who", inputSchema=ARGUMENTS), "inputKey: expected a name that inputSchema does"),
        (flow({"a": ROOTS}, inputKey="a.b"), "mcp.inputKey: expected a key of 1 to 64 letters"),
        (
            flow({"a": ROOTS}, inputSchema={"type": "object", "maxProperties": 1}),
            "mcp.input: /maxProperties: with mcp.input, maxProperties would refuse the answers",
        ),
        (
            flow({"a": ROOTS}, inputSchema={"type": "object", "not": {"allOf": [{"additionalProperties": False}]}}),
            "mcp.input: /not/allOf/0: with mcp.input, expected only the root to limit its members",
        ),
        (
            flow({"a": ROOTS}, inputSchema={"type": "object", "$ref": "#/$defs/x", "$defs": {"x": {}}}),
            "mcp.input: /$ref: with mcp.input, expected the root itself to list the arguments",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(document: dict[str, Any], expected: str) -> None:
    assert expected in reason(document)


def test_the_check_of_a_call_takes_the_answers_beside_the_arguments() -> None:
    closed = {**ARGUMENTS, "additionalProperties": False, "required": ["who"]}
    checks = compile_flow(flow_of(flow({"form": ASKS, "folders": ROOTS}, inputSchema=closed)))
    accepted = {"action": "accept", "content": {"name": "x"}}
    assert checks.arguments is not None
    assert not checks.arguments({"who": "x"})
    assert checks.arguments({"who": "x", "input": {}})
    assert not checks.call({"who": "x", "input": {"form": accepted, "folders": None}})
    for wrong, place in [
        ({}, "/input"),
        ({"form": None, "folders": None}, "/input"),
        ({"form": accepted, "folders": None, "more": 1}, "/input"),
        ({"form": {"action": "decline"}, "folders": None}, "/input/form/action"),
        ({"form": {"action": "accept", "content": {}}, "folders": None}, "/input/form/content"),
        ({"form": accepted, "folders": {"roots": [{}]}}, "/input/folders/roots/0"),
    ]:
        assert place in [each.path for each in checks.call({"who": "x", "input": wrong})], wrong


GOOD_FIELDS: list[dict[str, Any]] = [
    {"type": "string", "title": "A", "description": "B", "minLength": 1, "maxLength": 2, "default": ""},
    {"type": "string", "format": "email"},
    {"type": "number", "minimum": 0.5, "maximum": 2, "default": 1.5},
    {"type": "integer", "default": 1},
    {"type": "boolean", "default": False},
    {"type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"], "default": "a"},
    {"type": "string", "oneOf": [{"const": "a", "title": "A"}]},
    {"type": "array", "items": {"type": "string", "enum": ["a"]}, "minItems": 1, "maxItems": 2, "default": ["a"]},
    {"type": "array", "items": {"anyOf": [{"const": "a", "title": "A"}]}},
]  # fmt: skip


@pytest.mark.parametrize("field", GOOD_FIELDS, ids=range(len(GOOD_FIELDS)))
def test_a_form_takes_what_clients_can_show(field: dict[str, Any]) -> None:
    check_form_schema(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"a": field}}
    )


BAD_FIELDS: list[tuple[Any, str]] = [
    ({}, "/properties/a/type"),
    (7, "/properties/a"),
    ({"type": "object", "properties": {}}, "/properties/a/type"),
    ({"type": ["string", "null"]}, "/properties/a/type"),
    ({"type": "null"}, "/properties/a/type"),
    ({"type": "string", "pattern": "a"}, "/properties/a/pattern"),
    ({"type": "string", "format": "ipv4"}, "/properties/a/format"),
    ({"type": "string", "minLength": -1}, "/properties/a/minLength"),
    ({"type": "string", "title": 1}, "/properties/a/title"),
    ({"type": "string", "default": 1}, "/properties/a/default"),
    ({"type": "string", "enum": []}, "/properties/a/enum"),
    ({"type": "string", "enum": ["a"], "enumNames": []}, "/properties/a/enumNames"),
    ({"type": "string", "enum": ["a"], "minLength": 1}, "/properties/a/minLength"),
    ({"type": "string", "oneOf": [{"const": "a"}]}, "/properties/a/oneOf"),
    ({"type": "number", "maximum": "1"}, "/properties/a/maximum"),
    ({"type": "integer", "default": True}, "/properties/a/default"),
    ({"type": "boolean", "enum": [True]}, "/properties/a/enum"),
    ({"type": "array"}, "/properties/a/items"),
    ({"type": "array", "items": {"type": "object"}}, "/properties/a/items"),
    ({"type": "array", "items": {"type": "string"}}, "/properties/a/items/enum"),
]


@pytest.mark.parametrize(("field", "place"), BAD_FIELDS, ids=range(len(BAD_FIELDS)))
def test_a_form_refuses_what_clients_cannot_show(field: Any, place: str) -> None:
    """client/elicitation, "Requested Schema": "flat objects with primitive properties only"."""
    with pytest.raises(BrokenSchema) as refused:
        check_form_schema({"type": "object", "properties": {"a": field}})
    assert str(refused.value).startswith(place + ": ")


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "array"}, "/type"),
        ({"type": "object"}, "/properties"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "/required"),
        ({"type": "object", "properties": {}, "required": "a"}, "/required"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, "/additionalProperties"),
        ({"type": "object", "properties": {"": {"type": "string"}}}, "/properties/"),
    ],
)
def test_a_form_is_one_flat_object(schema: Any, place: str) -> None:
    with pytest.raises(BrokenSchema) as refused:
        check_form_schema(schema)
    assert str(refused.value).startswith(place + ": ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no quotes, $ and {}", "no quotes, $ and {}"),
        ("${who} and ${who}", "Ann and Ann"),
        ("$${who}", "${who}"),
        ("${address.city}", "Ulm"),
        ("${address}", '{"city":"Ulm"}'),
        ("${address.city.more}${nothing}", ""),
        ("${count}", "3"),
        ("${odd}", "a\ufffdb"),
        ("${long}", "x" * 999 + "…"),
        ("${nested}", "${who}"),
    ],
)
def test_texts_quote_arguments(text: str, shown: str) -> None:
    values = {
        "who": "Ann", "address": {"city": "Ulm"}, "count": 3, "odd": "a\x1bb", "long": "x" * 2000, "nested": "${who}",
    }  # fmt: skip
    assert filled_text(text, values) == shown


@given(st.text())
def test_a_quoted_value_cannot_leave_its_place_in_a_url(value: str) -> None:
    url = filled_url("https://a.example/p/${x}?q=1", {"x": value})
    assert url.startswith("https://a.example/p/")
    assert url.endswith("?q=1")
    inside = url.removeprefix("https://a.example/p/").removesuffix("?q=1")
    assert inside.isascii()
    assert not set(inside) & set("/?#@:&= \n")


@given(st.text(alphabet="${}a.b-", max_size=40))
def test_every_text_is_filled_or_refused(text: str) -> None:
    try:
        paths = list(quoted_paths(text))
    except ValueError:
        return
    assert all(1 <= len(path) <= 8 for path in paths)
    filled_text(text, {"a": "x"})


def test_a_text_quotes_a_bounded_number_of_arguments() -> None:
    with pytest.raises(ValueError, match="at most 16"):
        list(quoted_paths("${a}" * 17))
