"""`asya flow expose` checks schemas like the operator if the engine is installed, and otherwise says so."""

import sys

import pytest

from asya_cli.errors import UsageProblem
from asya_cli.flow_writing import UNCHECKED, check

SCHEMA = {"type": "object", "properties": {"x": {"pattern": "(?=a)b"}}}
FLOW = {"name": "one", "entrypoint": "a", "mcp": {"inputSchema": SCHEMA}}


@pytest.fixture
def base_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without the schema engine."""
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    for name in [name for name in sys.modules if name.startswith("asya_schemas")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_pattern_that_no_gateway_takes_is_refused_here(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageProblem, match=r"mcp\.inputSchema: /properties/x/pattern"):
        check(FLOW)
    assert UNCHECKED not in capsys.readouterr().err


@pytest.mark.usefixtures("base_install")
def test_without_the_engine_the_operator_checks_and_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    check(FLOW)
    assert UNCHECKED in capsys.readouterr().err


@pytest.mark.usefixtures("base_install")
def test_nothing_is_said_of_a_flow_without_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    check({"name": "one", "entrypoint": "a", "mcp": {}})
    assert capsys.readouterr().err == ""
