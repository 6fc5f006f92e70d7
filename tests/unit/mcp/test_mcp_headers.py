"""Routing headers: decoding, agreement, and which arguments travel in headers."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from asya_gateway.protocols.mcp.errors import HeaderMismatch
from asya_gateway.protocols.mcp.param_headers import check_param_headers, param_headers
from asya_gateway.protocols.mcp.routing import decoded, single


def headers_of(**values: str) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict({key.replace("_", "-"): value for key, value in values.items()}))


@given(st.text())
def test_what_is_encoded_comes_back(text: str) -> None:
    value = text.encode("utf-8", "replace").decode()
    assert decoded(f"=?base64?{base64.b64encode(value.encode()).decode()}?=", "Mcp-Name") == value


@given(st.text())
def test_a_header_is_decoded_or_refused_and_nothing_else(text: str) -> None:
    try:
        result = decoded(f"=?base64?{text}?=", "Mcp-Name")
    except HeaderMismatch:
        return
    assert isinstance(result, str)


@pytest.mark.parametrize(
    "value", ["plain", "=?base64?YQ==", "YQ==?=", "=?BASE64?YQ==?=", "=?base64", "", "a=?base64?YQ==?="]
)
def test_without_both_its_ends_a_value_is_literal(value: str) -> None:
    assert decoded(value, "Mcp-Name") == value


@pytest.mark.parametrize("payload", ["YQ", "YQ=", "Y Q==", "YR==", "Y!==", "_w==", "/w==", "YQ==\n"])
def test_base64_that_is_not_canonical_is_refused(payload: str) -> None:
    with pytest.raises(HeaderMismatch, match="Mcp-Name"):
        decoded(f"=?base64?{payload}?=", "Mcp-Name")


@pytest.mark.parametrize("value", ["é", "a\x7f", "\x00", "=?base64?é?=", "a\nb"])
def test_characters_that_no_header_may_hold_are_refused(value: str) -> None:
    """Streamable HTTP, "Server Validation": 'A header value contains invalid characters.'"""
    with pytest.raises(HeaderMismatch):
        decoded(value, "Mcp-Param-A")


def test_white_space_around_a_value_does_not_count() -> None:
    """RFC 9110, 5.5: a field value does not include leading or trailing whitespace."""
    assert single(headers_of(Mcp_Method=" \ttools/list "), "mcp-method") == "tools/list"


def annotated(**more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, **more}}


def test_annotations_are_found_at_any_depth_of_properties() -> None:
    schema = annotated(deep={"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}})
    assert [(each.path, each.header) for each in param_headers(schema)] == [
        (("region",), "Mcp-Param-Region"),
        (("deep", "n"), "Mcp-Param-N"),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "number", "x-mcp-header": "Ratio"},
        {"type": "object", "x-mcp-header": "Whole"},
        {"type": ["string", "null"], "x-mcp-header": "Maybe"},
        {"x-mcp-header": "Untyped"},
        {"type": "string", "x-mcp-header": ""},
        {"type": "string", "x-mcp-header": "with space"},
        {"type": "string", "x-mcp-header": 7},
        {"type": "string", "x-mcp-header": "REGION"},
    ],
)
def test_a_schema_that_breaks_a_rule_has_no_parameter_headers(broken: dict[str, Any]) -> None:
    assert param_headers(annotated(other=broken)) == []


@pytest.mark.parametrize("schema", [{}, {"properties": []}, {"properties": {"a": True}}, {"properties": {"a": 1}}])
def test_schemas_without_annotations_have_no_parameter_headers(schema: dict[str, Any]) -> None:
    assert param_headers(schema) == []


@pytest.mark.parametrize(
    ("type", "value", "header", "agrees"),
    [
        ("string", "eu", "eu", True),
        ("string", "EU", "eu", False),
        ("string", "", "", True),
        ("integer", 42, "42", True),
        ("integer", 42.0, "42", True),
        ("integer", 42, "42.00", True),
        ("integer", 42, "42.5", False),
        ("integer", 42, "4.2e1", False),
        ("integer", 2**53 - 1, str(2**53 - 1), True),
        ("integer", 2**53 - 1, str(2**53 - 2), False),
        ("integer", 1 - 2**53, f"{1 - 2**53}.0", True),
        # server/tools: "Integer values MUST be within the safe range".
        ("integer", 2**53, str(2**53), False),
        ("integer", -(2**53), str(-(2**53)), False),
        ("integer", "42", "42", True),
        ("integer", 4.5, "4.5", True),
        ("integer", True, "true", True),
        ("boolean", True, "true", True),
        ("boolean", False, "False", False),
        ("boolean", False, "false", True),
    ],
)
def test_values_compare_by_their_type(type: str, value: Any, header: str, agrees: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"type": type, "x-mcp-header": "A"}}}
    if agrees:
        check_param_headers(param_headers(schema), {"a": value}, headers_of(Mcp_Param_A=header))
    else:
        with pytest.raises(HeaderMismatch):
            check_param_headers(param_headers(schema), {"a": value}, headers_of(Mcp_Param_A=header))


@pytest.mark.parametrize("value", [None, [1], {"b": 1}])
def test_a_value_that_has_no_header_form_must_come_without_one(value: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}}
    check_param_headers(param_headers(schema), {"a": value}, headers_of())
    with pytest.raises(HeaderMismatch):
        check_param_headers(param_headers(schema), {"a": value}, headers_of(Mcp_Param_A="x"))


def test_an_argument_below_something_that_is_no_object_is_absent() -> None:
    schema = {"properties": {"a": {"properties": {"b": {"type": "string", "x-mcp-header": "B"}}}}}
    check_param_headers(param_headers(schema), {"a": "text"}, headers_of())
