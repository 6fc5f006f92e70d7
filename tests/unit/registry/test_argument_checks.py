"""Checks of arguments: every violation with its place, in bounded time and text."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from asya_crds import jsontext
from asya_crds.schema_walk import BrokenSchema, as_pointer
from asya_schemas import compiling
from asya_schemas.compiling import compile_schema


def paths(schema: dict[str, Any], value: Any) -> list[str]:
    return sorted(violation.path for violation in compile_schema(schema)(value))


def test_every_violation_names_its_place() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b/c": {"items": {"type": "integer"}}, "d~": {"minimum": 3}},
        "required": ["missing"],
    }
    assert paths(schema, {"a": 1, "b/c": [1, "x", 2, None], "d~": 2}) == ["", "/a", "/b~1c/1", "/b~1c/3", "/d~0"]


def test_matching_arguments_have_no_violation() -> None:
    assert paths({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": "x", "other": 1}) == []


def test_values_are_never_echoed() -> None:
    (violation,) = compile_schema({"properties": {"key": {"type": "integer"}}})({"key": "secret" * 100_000})
    assert "secret" not in violation.message
    assert len(violation.message) < 300


def test_the_list_of_violations_is_capped() -> None:
    assert len(paths({"items": {"type": "string"}}, list(range(1000)))) == 50


def test_a_huge_wrong_value_is_refused_quickly_and_still_with_places() -> None:
    schema = {
        "properties": {"x": {"type": "array", "items": {"$ref": "#/$defs/word"}}},
        "$defs": {"word": {"type": "string"}},
    }
    value: list[Any] = ["x"] * 500_000
    value[70_000] = 5
    began = time.process_time()
    assert paths(schema, {"x": value}) == ["/x/70000"]
    assert time.process_time() - began < 5  # collecting every error of such a value takes 15 s


def test_a_huge_value_that_breaks_a_rule_of_the_whole_is_refused_there() -> None:
    schema = {"properties": {"x": {"type": "array", "uniqueItems": True}}}
    assert paths(schema, {"x": [1] * 100_000}) == ["/x"]


def test_a_pattern_that_could_backtrack_for_ever_is_refused_or_linear() -> None:
    check = compile_schema({"properties": {"s": {"pattern": "^(a+)+$"}}})
    began = time.process_time()
    assert check({"s": "a" * 100_000 + "!"})
    assert time.process_time() - began < 2
    with pytest.raises(BrokenSchema, match="look-around"):
        compile_schema({"properties": {"s": {"pattern": "(?=x)"}}})


@pytest.mark.parametrize(
    "schema", [{"type": "strin"}, {"properties": []}, {"$ref": "#/$defs/none"}, {"minLength": -1}, {"pattern": "("}]
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"JSON Schema|regular expression"):
        compile_schema(schema)


@pytest.mark.parametrize("wrong", ["strin", 5, ["string", "strin"], [], ["string", "string"], None])
def test_a_type_that_does_not_exist_is_refused_with_those_that_do(wrong: Any) -> None:
    expected = "expected one of array, boolean, integer, null, number, object, string, or a list of some, each once"
    with pytest.raises(BrokenSchema, match=expected) as refused:
        compile_schema({"properties": {"a": {"type": wrong}}})
    assert refused.value.path == ("properties", "a", "type")


def test_a_property_of_the_name_type_is_not_taken_for_a_type() -> None:
    with pytest.raises(BrokenSchema, match=r"boolean.*object"):
        compile_schema({"properties": {"type": 5}})


def test_format_is_an_annotation() -> None:
    # JSON Schema 2020-12 Validation, 7.2.1: implementations must by default treat format as an annotation.
    assert paths({"properties": {"d": {"format": "date"}}}, {"d": "no date"}) == []


def test_large_integers_and_lone_surrogates_are_checked_too() -> None:
    schema = {"properties": {"n": {"maximum": 5}}, "additionalProperties": {"type": "string"}}
    assert paths(schema, {"n": 10**400}) == ["/n"]
    assert paths(schema, {"\ud800": "\ud800"}) == []
    assert paths(schema, {"\ud800": 5}) == ["/\ufffd"]


def test_the_same_schema_is_compiled_once() -> None:
    schema = {"type": "object", "properties": {"once": {"type": "string"}}}
    assert compile_schema(schema) is compile_schema(dict(schema))


@pytest.mark.parametrize(
    ("schema", "value", "path"),
    [
        ({"required": ["text"]}, {"other": "\ud800"}, ""),
        ({"properties": {"text": {"type": "string"}}}, {"text": {"\ud800": "\udfff"}}, "/text"),
        ({"properties": {"text": {"enum": ["a"]}}}, {"text": "\ud800"}, "/text"),
        ({"items": {"type": "integer"}}, ["\ud800"] * 30_000, "/0"),
    ],
)
def test_a_wrong_value_with_lone_surrogates_is_explained_too(schema: dict[str, Any], value: Any, path: str) -> None:
    assert compile_schema(schema)(value)[0].path == path


schemas = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["string", "integer", "array", "object"]), "minimum": st.integers(-5, 5)}
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "items": inner,
            "required": st.lists(st.sampled_from("abc"), unique=True, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=6,
)
values = st.recursive(
    st.integers(-9, 9) | st.text(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


@given(schemas, values)
def test_agrees_with_the_reference_implementation(schema: dict[str, Any], value: Any) -> None:
    expected = {as_pointer(tuple(error.absolute_path)) for error in Draft202012Validator(schema).iter_errors(value)}
    assert {violation.path for violation in compile_schema(schema)(value)} == expected


MANY_PLACES = {"properties": {"s": {"pattern": "[ab]*a[ab]{200}c"}}}


def test_text_that_would_keep_a_pattern_busy_is_refused_unseen() -> None:
    text = "ab" * 5_000_000
    began = time.process_time()
    (violation,) = compile_schema(MANY_PLACES)({"s": text})
    assert time.process_time() - began < 5  # looking at it takes 40 s
    assert (violation.path, "985221 characters" in violation.message) == ("", True)
    assert paths(MANY_PLACES, {"s": "ab" * 100}) == ["/s"]
    assert paths(MANY_PLACES, {"s": "ab" * 100 + "ac"}) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"pattern": "((a?b){50}){50}"}}, ["b" * 100] * 1_000),
        ({"patternProperties": {"[ab]{2000}": True, "[bc]{2000}": True}}, {"a" * 60_000: 1}),
        ({"propertyNames": {"pattern": "^a[ab]{5000,}"}}, {"a" * 60_000: 1}),
        ({"pattern": "^x|[ab]{5000}"}, "a" * 60_000),
        ({"anyOf": [{"pattern": f"[ab]{{400}}{n}"} for n in range(20)]}, "a" * 60_000),
    ],
)
def test_every_text_that_a_pattern_may_look_at_counts(schema: dict[str, Any], value: Any) -> None:
    (violation,) = compile_schema(schema)(value)
    assert "characters of text" in violation.message


def test_a_pattern_that_looks_only_at_the_beginning_does_not_bound_a_document_beside_it() -> None:
    schema = {"properties": {"id": {"pattern": "^[0-9a-f]{8}-[0-9a-f]{4}$"}, "name": {"pattern": "^[a-z-]{1,63}$"}}}
    assert paths(schema, {"id": "0123abcd-0123", "name": "n", "document": "text " * 2_000_000}) == []
    assert paths(schema, {"id": "0123abcd", "document": "text " * 2_000_000}) == ["/id"]


def test_compiled_checks_are_kept_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = compiling._Kept()
    monkeypatch.setattr(compiling, "_kept", kept)
    compiling.keep_at_most(1_000_000)
    wide = [{"enum": [f"{number} {each}" for each in range(500)]} for number in range(50)]
    for schema in wide:
        compiling.compile_schema(schema)
    assert 1 < len(kept) < 20
    assert kept.bytes <= 1_000_000
    first, last = compiling.compile_schema(wide[0]), compiling.compile_schema(wide[-1])
    assert compiling.compile_schema(wide[-1]) is last
    assert compiling.compile_schema(wide[0]) is first


def test_of_kept_checks_those_go_first_that_were_used_longest_ago_and_no_more_than_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = compiling._Kept()
    monkeypatch.setattr(compiling, "_kept", kept)
    schemas: list[dict[str, Any]] = [{"const": f"{number}" * 1_000} for number in range(4)]
    weight = compiling.CHECK_BYTES + compiling.TEXT_WEIGHT * len(jsontext.dumps(schemas[0]))
    compiling.keep_at_most(3 * weight)
    first, second, third = (compiling.compile_schema(schema) for schema in schemas[:3])
    assert (len(kept), kept.bytes) == (3, 3 * weight)
    assert compiling.compile_schema(schemas[0]) is first
    compiling.compile_schema(schemas[3])
    assert (len(kept), kept.bytes) == (3, 3 * weight)
    assert compiling.compile_schema(schemas[0]) is first
    assert compiling.compile_schema(schemas[2]) is third
    assert compiling.compile_schema(schemas[1]) is not second
    compiling.keep_at_most(weight)
    assert (len(kept), kept.bytes) == (1, weight)


def test_a_check_that_outweighs_all_that_may_be_kept_drives_no_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = compiling._Kept()
    monkeypatch.setattr(compiling, "_kept", kept)
    compiling.keep_at_most(100_000)
    small = compiling.compile_schema({"type": "string"})
    compiling.compile_schema({"enum": [f"{number}" for number in range(5_000)]})
    assert compiling.compile_schema({"type": "string"}) is small
    assert len(kept) == 1
