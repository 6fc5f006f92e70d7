"""The flows that a process serves, as those see them who watch and list them."""

import pytest

from asya_crds.flow import Flow
from asya_gateway.domain.flows import FlowRegistry, FlowTable, ServedFlow


def served(name: str, size: int = 0, exposed: str = "mcp") -> ServedFlow:
    flow = Flow.model_validate({"name": name, "entrypoint": "first", exposed: {}})
    return ServedFlow(flow, lambda _: (), size=size)


def test_a_list_of_tools_is_another_one_only_where_a_tool_is() -> None:
    registry = FlowRegistry()
    first, hidden = served("first"), served("hidden", exposed="a2a")
    counts = []
    for flows in ([first], [first, hidden], [served("first")], [first, served("second")], [first], []):
        registry.swap(FlowTable.of(1, flows))
        counts.append(registry.tool_lists)
    assert counts == [2, 2, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "found", "more"), [("", ["a", "b"], True), ("b", ["c"], True), ("c", ["d"], False), ("d", [], False)]
)
def test_a_page_of_tools_is_bounded_in_number_and_size_and_has_one_at_least(
    name: str, found: list[str], more: bool
) -> None:
    registry = FlowRegistry()
    registry.swap(FlowTable.of(1, [served("a", 4), served("b", 4), served("c", 99), served("d", 1)]))
    page, goes_on = registry.tools_after(name, 2, 10)
    assert ([each.flow.name for each in page], goes_on) == (found, more)
