"""The flows that this pod serves. They are swapped as a whole, so that a reader never sees half a change."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from asya_crds.flow import Flow
from asya_crds.flow_problem import FlowProblem
from asya_crds.naming import MAX_ID_LENGTH
from asya_crds.violation import ArgumentCheck
from asya_gateway.domain.errors import FlowNotFound


@dataclass(frozen=True, slots=True, eq=False)
class ServedFlow:
    """A flow with its compiled checks and its source. `check_result` checks results against the outputSchema; None if
    the flow has none. Compared by identity, because each generation of the registry creates its own."""

    flow: Flow
    check: ArgumentCheck
    source: str = ""
    line: int | None = None
    check_result: ArgumentCheck | None = None
    size: int = 0

    @classmethod
    def formerly(cls, name: str) -> "ServedFlow":
        """A flow that is no longer served but still has tasks. Only its name is known."""
        return cls(Flow.model_construct(name=name, entrypoint=""), lambda _arguments: ())


@dataclass(frozen=True, slots=True)
class FlowTable:
    """One generation of the registry, ordered by name."""

    generation: int = 0
    flows: dict[str, ServedFlow] = field(default_factory=dict)
    problems: tuple[FlowProblem, ...] = ()

    @classmethod
    def of(cls, generation: int, flows: Iterable[ServedFlow], problems: Iterable[FlowProblem] = ()) -> "FlowTable":
        """A table ordered by flow name, because listings must be deterministic (MCP 2026-07-28, tools/list)."""
        ordered = sorted(flows, key=lambda served: served.flow.name)
        return cls(generation, {served.flow.name: served for served in ordered}, tuple(problems))


class FlowRegistry:
    """Holds the current table. `swap` is atomic; readers keep the table that they have read."""

    def __init__(self) -> None:
        self._table = FlowTable()
        self.tool_lists = 1
        """The number of the current list of tools. Watchers compare this number, because lists may be long and watchers
        may be many."""
        self._watchers: list[Callable[[FlowTable], None]] = []

    @property
    def table(self) -> FlowTable:
        """The current table."""
        return self._table

    def swap(self, table: FlowTable) -> None:
        """Replace the table, and call the watchers."""
        before, self._table = self.tools(), table
        self.tool_lists += self.tools() != before
        for watcher in tuple(self._watchers):
            watcher(table)

    def watch(self, watcher: Callable[[FlowTable], None]) -> Callable[[], None]:
        """Call `watcher` after each swap; the returned function unsubscribes it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def tool(self, name: str) -> ServedFlow:
        """A flow exposed as MCP tool (and over REST); raises FlowNotFound."""
        served = self._table.flows.get(name)
        if served is None or served.flow.mcp is None:
            raise FlowNotFound(f"Unknown tool: {name[:MAX_ID_LENGTH]}", field="name")
        return served

    def skill(self, name: str) -> ServedFlow:
        """A flow exposed as A2A skill; raises FlowNotFound."""
        served = self._table.flows.get(name)
        if served is None or served.flow.a2a is None:
            raise FlowNotFound(f"Unknown skill: {name}", field="skill")
        return served

    def tools(self) -> list[Flow]:
        """Every flow exposed as a tool, by name."""
        return [served.flow for served in self._table.flows.values() if served.flow.mcp is not None]

    def tools_after(self, name: str, most: int, most_size: int) -> tuple[list[ServedFlow], bool]:
        """The first tools after this name, and whether there are more: up to `most` tools with up to `most_size`
        characters together, but at least one."""
        found: list[ServedFlow] = []
        size = 0
        for served in self._table.flows.values():
            if served.flow.mcp is None or served.flow.name <= name:
                continue
            size += served.size
            if found and (len(found) == most or size > most_size):
                return found, True
            found.append(served)
        return found, False
