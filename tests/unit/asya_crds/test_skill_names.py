"""Skills have paths of their own below /a2a, which no path of the protocol may be."""

import pytest

from asya_crds.flows_file import InvalidFlow, flow_of
from asya_gateway.protocols.a2a.http_json.routes import ROUTES, ROUTES_0_3

FLOW = {"entrypoint": "first"}
TAKEN = sorted({route.path.split("/")[1].partition("{")[0] for route in ROUTES} | {"v1", ".well-known"})


@pytest.mark.parametrize("name", TAKEN)
def test_a_skill_is_not_called_as_a_path_of_the_protocol(name: str) -> None:
    with pytest.raises(InvalidFlow):
        flow_of({**FLOW, "name": name, "a2a": {}})


@pytest.mark.parametrize("name", ["v1", "tasks", "extendedAgentCard"])
def test_a_tool_may_be_called_so(name: str) -> None:
    assert flow_of({**FLOW, "name": name, "mcp": {}}).name == name


def test_paths_of_0_3_are_below_v1() -> None:
    assert "message:send" in TAKEN
    assert {route.path for route in ROUTES_0_3} - {route.path for route in ROUTES} == {"/card"}
