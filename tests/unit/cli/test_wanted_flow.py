"""What the options of `asya flow expose` ask for."""

from typing import Any

import pytest

from asya_cli.flow_options import timeout_of, wanted_flow

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
