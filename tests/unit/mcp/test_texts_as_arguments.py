"""Texts of prompts and templates as the arguments that a flow's inputSchema expects."""

from typing import Any

import pytest

from asya_crds.flow import Flow
from asya_gateway.protocols.mcp.arguments import typed


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "7", 7),
        ({"type": "number"}, "1.5e3", 1500.0),
        ({"type": ["number", "null"]}, "-2", -2),
        ({"type": "boolean"}, "true", True),
        ({"enum": ["small", 7]}, "7", 7),
        ({"type": "string"}, "7", "7"),
        ({}, "7", "7"),
    ],
)
def test_a_text_becomes_what_its_property_expects(schema: dict[str, Any], text: str, value: Any) -> None:
    found = typed(_flow(schema), {"a": text})["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["1e999", "-1e999", "007", "+7", "0x7", "1_000", "٧", "", " 7", "7\n", "NaN", "Infinity"]
)
@pytest.mark.parametrize("type", ["integer", "number", "boolean"])
def test_a_text_that_is_no_such_value_stays_as_it_is(type: str, text: str) -> None:
    """The check against the inputSchema then says what was expected."""
    assert typed(_flow({"type": type}), {"a": text}) == {"a": text}


def _flow(schema: dict[str, Any]) -> Flow:
    exposed = {"inputSchema": {"type": "object", "properties": {"a": schema}}}
    return Flow.model_validate({"name": "f", "entrypoint": "first", "mcp": exposed})
